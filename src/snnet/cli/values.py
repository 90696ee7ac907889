"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

_FACTORS = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def parse_amount(text: str) -> float:
    """Read a number such as `3e9`, `3G` or `30M`.

    Raises:
        ValueError: If it is none.
    """
    factor = _FACTORS.get(text[-1:].lower(), 0.0)
    try:
        value = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        value = float("nan")
    if value != value:
        raise ValueError(f"{text!r} is not a number; write it as 3e9 or 3G.")
    return value


def _convert(_: Any, tokens: Sequence[Any]) -> float:
    return parse_amount(tokens[0].value)


Amount = Annotated[float | None, Parameter(converter=_convert)]
"""A number that may be written with k, M or G."""

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines instead of a table.")]

DataName = Annotated[
    str,
    Parameter(
        name="--data",
        help="Images: embedded (in the package), folder (one folder per class), torchvision/NAME, or a timm name "
        "such as hfds/NAME.",
    ),
]
Root = Annotated[
    Path | None, Parameter(help="Folder of the data; for --data folder it holds train/CLASS/ and val/CLASS/.")
]
Device = Annotated[str | None, Parameter(help="cpu or cuda; by default a GPU where there is one.")]


Classes = Annotated[int | None, Parameter(help="Give every anchor a fresh classifier for so many classes.")]


def default_device(device: str | None) -> str:
    """Return the device that a user named, or else the GPU where there is one and the CPU where there is none."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def human(value: float | None, digits: int = 3) -> str:
    """Return a count with three digits and its unit, such as `4.61 G`; `-` where there is none."""
    if value is None:
        return "-"
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            shown = value / factor
            return f"{shown:.{max(0, digits - len(str(int(abs(shown)))))}f}{unit}"
    return f"{value:.{digits}g}"
