# Tested in tests/cli/test_select.py.
"""The budget of one stitch, as options of a command."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, make_dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from snnet.errors import TableError
from snnet.table import COLUMNS, Column
from snnet.utils import parse_amount


def parse_limit(text: str) -> tuple[str, float]:
    """Return column and limit of `NAME=VALUE`.

    Raises:
        TableError: If it is something else.
    """
    name, equals, value = text.partition("=")
    try:
        return (name.strip(), parse_amount(value.strip())) if equals else _refuse(text)
    except ValueError as error:
        raise TableError(f"--limit {text}: {error}") from None


def _refuse(text: str) -> tuple[str, float]:
    raise ValueError(f"{text!r} is not NAME=VALUE, such as top1=80.")


def _convert(_: Any, tokens: Sequence[Any]) -> float:
    return parse_amount(tokens[0].value)


def _option(kind: Column) -> tuple[str, Any, None]:
    """Return the option that limits a kind of column."""
    about = f"{'Least' if kind.higher_is_better else 'Most'} {kind.about}{'' if kind.form else ', such as 3e9 or 3G'}."
    return kind.name, Annotated[float | None, Parameter(converter=_convert, help=about)], None


# The command line takes no class apart that claims to be of the standard library, as made ones do.
_Limits: Any = make_dataclass(
    "_Limits", map(_option, COLUMNS.values()), namespace={"__module__": __name__}, frozen=True
)


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
        values.update(map(parse_limit, values.pop("limit", ())))
        return values


NO_BUDGET = BudgetOptions()
