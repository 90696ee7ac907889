"""Options that several commands share, and what their values mean."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from pydantic import Field

from snnet.cli.console import say
from snnet.errors import RecipeError, TableError
from snnet.network import FamilySettings
from snnet.table import COLUMNS, Column
from snnet.utils import check_output, parse_amount

if TYPE_CHECKING:
    from snnet.recipes import RunData

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines instead of a table.")]


def writable(path: Path, *, is_file: bool = False) -> Path:
    """Return where results go; refuse it before any work if no directory, or no file, can be written there."""
    return check_output(path, RecipeError, is_file=is_file)


def _check_directory(_: type, path: Path | None) -> None:
    if path is not None:
        writable(path)


Directory = Annotated[Path, Parameter(validator=_check_directory)]
Seed = Annotated[int, Parameter(validator=Number(gte=0, lt=2**63))]
IMAGES = (
    "Images: embedded (in the package), folder (one folder per class), wds/NAME (shards of a WebDataset), "
    "torchvision/NAME, or a timm name such as hfds/NAME."
)
Corrupt = Annotated[
    int | None,
    Parameter(help="Most images that may be skipped because they do not decode; one in a hundred by default."),
]
Upright = Annotated[
    bool | None,
    Parameter(
        help="Turn pictures as their EXIF data say; as in the run, else yes, but for published networks, whose scores "
        "are of pictures as timm reads them."
    ),
]
Device = Annotated[str | None, Parameter(help="cpu or cuda; by default a GPU where there is one.")]
Stitches = Annotated[
    str,
    Parameter(
        help="all; anchors; frontier (the best by measured top-1 and MACs); or numbers and ids, separated by spaces "
        "or ';', such as '0 17 0:0-5,1:5-12'."
    ),
]


def default_device(device: str | None) -> str:
    """Return the device that a user named, or else the GPU where there is one and the CPU where there is none."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")


@Parameter(name="*", consume_multiple=True, negative_iterable="")
class FamilyOptions(FamilySettings):
    """What a command takes of a family besides its anchors."""

    num_classes: int | None = Field(None, ge=1, description="give every anchor a fresh classifier for so many classes")

    def given(self) -> dict[str, Any]:
        """Return the options that the user set."""
        return self.model_dump(include=self.model_fields_set)


USUAL_FAMILY = FamilyOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class ImagesOfRun:
    """The images that a command goes through; those of the run that made the network, where nothing is given."""

    data: Annotated[
        str | None,
        Parameter(help=f"{IMAGES} By default those of the run, by its recipe.yaml; embedded where there is none."),
    ] = None
    root: Annotated[Path | None, Parameter(help="Folder of the data; alone, where the images of the run lie now.")] = (
        None
    )
    upright: Upright = None

    def of(self, network: str, others: Mapping[str, Any] | None = None) -> "RunData":
        """Return the data for a saved network, with other overrides of its recipe that are not None."""
        told = {"data.name": self.data, "data.root": self.root and str(self.root), "data.upright": self.upright}
        told |= others or {}
        return data_of(network, {name: value for name, value in told.items() if value is not None})


RUN_IMAGES = ImagesOfRun()


def data_of(source: str, told: Mapping[str, Any]) -> "RunData":
    """Return the data for a saved network, and say which it is and why; see `data_of_run`."""
    from snnet.recipes import data_of_run

    found = data_of_run(source, told)
    say(found.why, style="dim")
    return found


def parse_overrides(tokens: Sequence[str], short: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return settings of a recipe given as flags, `--optim.lr 1e-4`, by dotted key.

    Several values after one key are a list, none is yes.

    Args:
        tokens: What the user wrote.
        short: Dotted key -> value of a short flag for it; None where that was not given.

    Raises:
        RecipeError: If a value has no key or a key comes twice; the message lists all such faults.
    """
    values: dict[str, list[str]] = {}
    faults = []
    key = ""
    for token in tokens:
        if token.startswith("--"):
            key, equals, value = token[2:].partition("=")
            if key in values:
                faults.append(f"--{key} is given twice")
            values[key] = [value] if equals else []
        elif key:
            values[key].append(token)
        else:
            faults.append(f"{token!r} belongs to no setting; write --section.key {token}")
    if faults:
        raise RecipeError("; ".join(faults) + ".")
    found = {key.replace("-", "_"): _override(parts) for key, parts in values.items()}
    for key, given in (short or {}).items():
        if given is not None and str(found.setdefault(key, given)) != str(given):
            raise RecipeError(f"--{key} is {found[key]!r}, and its short form is {str(given)!r}; give one.")
    return found


def _override(parts: list[str]) -> Any:
    if not parts:
        return True
    if len(parts) > 1:
        return parts
    return None if parts[0] in ("null", "~") else parts[0]


def _parse_limit(text: str) -> tuple[str, float]:
    """Return column and limit of `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise TableError(f"--limit {text}: {text!r} is not NAME=VALUE, such as top1=80.")
    try:
        return name.strip(), parse_amount(value.strip())
    except ValueError as error:
        raise TableError(f"--limit {text}: {error}") from None


def _amount(_: Any, tokens: Sequence[Any]) -> float:
    return parse_amount(tokens[0].value)


def _limit(kind: Column) -> tuple[str, Any, None]:
    """Return the option that limits a kind of column."""
    about = f"{'Least' if kind.higher_is_better else 'Most'} {kind.about}{'' if kind.form else ', such as 3e9 or 3G'}."
    return kind.name, Annotated[float | None, Parameter(converter=_amount, help=about)], None


# The command line takes no class apart that claims to be of the standard library, as made ones do.
_Limits: Any = make_dataclass("_Limits", map(_limit, COLUMNS.values()), namespace={"__module__": __name__}, frozen=True)


@Parameter(name="*")
@dataclass(frozen=True)
class BudgetOptions(_Limits):  # type: ignore[misc]
    """A limit on each kind of column, and what else decides which stitch is the best."""

    limit: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="Any other column as NAME=VALUE, such as latency_ms_p95=20; several times."),
    ] = ()
    prefer: Annotated[
        str | None, Parameter(help="Column to be best in (top1): highest for top1, top5 and throughput, else lowest.")
    ] = None
    batch: Annotated[
        int | None, Parameter(help="Images at once, at which what was measured counts; by default at 1.")
    ] = None
    any_machine: Annotated[
        bool | None,
        Parameter(negative="", help="Take latencies and the like whatever machine and precision they are of."),
    ] = None

    def given(self) -> dict[str, Any]:
        """Return the options that the user set, as `net.select` takes them."""
        values = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        values.update(map(_parse_limit, values.pop("limit", ())))
        return values


NO_BUDGET = BudgetOptions()
