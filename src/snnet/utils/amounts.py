"""Numbers as people write and read them: `3G`, `4.61 G`, `12,345 images`."""

import math
import re

SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
"""Factors with their units, the largest first."""

_FACTORS = {"t": 1e12, **{unit.lower(): factor for factor, unit in SCALES}}


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


def human(value: float | None, digits: int = 3) -> str:
    """Return a count with three digits and its unit, such as `4.61 G`; `-` where there is none."""
    if value is None:
        return "-"
    for factor, unit in SCALES:
        if abs(value) >= factor:
            return f"{fixed(value / factor, digits)} {unit}"
    # Below the first unit counts are whole; `g` alone would round 999.7 to 1e+03.
    return f"{float(fixed(value, digits)):g}" if abs(value) >= 1 else f"{value:.{digits}g}"


def fixed(value: float, digits: int = 3) -> str:
    """Return a number with so many digits, as in `4.61` and `13.9`; all those before the point, at most three after."""
    before = math.floor(math.log10(abs(value))) + 1 if value else 1
    return f"{value:.{max(0, min(3, digits - before))}f}"


def counted(count: object, noun: str) -> str:
    """Return how many there are of something, as in `1 image` and `12,345 images`.

    Args:
        count: The number; what a file gives in place of one is shown as it is.
        noun: What one of them is called.
    """
    shown = f"{count:,}" if isinstance(count, int) else str(count)
    if count == 1:
        return f"{shown} {noun}"
    if re.search("(s|x|ch|sh)$", noun):
        return f"{shown} {noun}es"
    return f"{shown} {noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{shown} {noun}s"
