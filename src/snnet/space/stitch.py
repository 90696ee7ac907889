"""A stitch is a value: one complete route through the network, made of segments of anchors."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from operator import index
from typing import SupportsIndex

from snnet.errors import SpaceError

_NUMBER = r"([0-9]{1,9})"
_CUT = re.compile(f"{_NUMBER}:{_NUMBER}->{_NUMBER}:{_NUMBER}")
_SEGMENT = re.compile(f"{_NUMBER}:{_NUMBER}-{_NUMBER}")
_PRECISION = re.compile(r"[a-z]{2,5}[0-9]{1,3}")


def as_number(stitch: object) -> int | None:
    """Return the number that `stitch` is, as any kind of integer or as decimal text; None if it is not one."""
    if isinstance(stitch, str):
        return int(stitch) if stitch.strip().isdecimal() else None
    return index(stitch) if isinstance(stitch, SupportsIndex) else None


def is_precision(name: str) -> bool:
    """Return whether a text can name the precision that a stitch runs in, such as `bf16`."""
    return _PRECISION.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """Blocks `start` to `stop` (half open) of anchor number `anchor`; printed as `0:0-5`."""

    anchor: int
    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.anchor < 0 or not 0 <= self.start < self.stop:
            raise SpaceError(
                f"Segment {self} is empty or negative; a segment is ANCHOR:START-STOP with 0 <= START < STOP."
            )

    def __str__(self) -> str:
        return f"{self.anchor}:{self.start}-{self.stop}"

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """Run anchor `front` up to and including block `leave`, enter anchor `back` at `enter`; printed `0:4->1:6`.

    A cut from an anchor to itself is a skip: it leaves blocks out.
    """

    front: int
    leave: int
    back: int
    enter: int

    @classmethod
    def parse(cls, text: str) -> "Cut":
        """Read what `str` prints, `0:4->1:6`."""
        match = _CUT.fullmatch(text)
        if match is None:
            raise SpaceError(f"{text!r} is not a cut; write FRONT:LEAVE->BACK:ENTER, as in '0:4->1:6'.")
        return cls(*map(int, match.groups()))

    def __str__(self) -> str:
        return f"{self.front}:{self.leave}->{self.back}:{self.enter}"


@dataclass(frozen=True, slots=True, order=True, init=False, repr=False)
class Stitch:
    """A route of one or more segments, from them or from its id: `Stitch("0:0-5,1:6-12")`.

    What runs stitches in several precisions tells them apart by an ending, `0:0-5,1:6-12@bf16`; a network and its
    space know no such endings.

    Args:
        segments: The pieces of anchors in the order in which they run.
        precision: What it runs in, such as `bf16`; the network's own if empty.

    Raises:
        SpaceError: If the route cannot exist, or a text is not a comma-separated list of `ANCHOR:START-STOP`.
    """

    segments: tuple[Segment, ...]
    precision: str

    def __init__(self, segments: Iterable[Segment] | str, precision: str = "") -> None:
        if isinstance(segments, str):
            segments, at, ending = segments.partition("@")
            precision, segments = precision or ending, _parsed(segments + at * (not ending))
        object.__setattr__(self, "segments", tuple(segments))
        object.__setattr__(self, "precision", precision)
        if precision and not is_precision(precision):
            raise SpaceError(f"Stitch {str(self)!r} ends with {precision!r}, which is no precision such as 'bf16'.")
        if not self.segments or self.segments[0].start != 0:
            raise SpaceError(f"Stitch {str(self)!r} must begin with block 0 of its first anchor.")
        for front, back in pairwise(self.segments):
            if front.anchor == back.anchor and back.start <= front.stop:
                raise SpaceError(
                    f"Stitch {str(self)!r} joins anchor {front.anchor} to itself without leaving blocks out; a skip "
                    f"enters at block {front.stop + 1} or later."
                )

    def __str__(self) -> str:
        return ",".join(map(str, self.segments)) + (self.precision and f"@{self.precision}")

    def __repr__(self) -> str:
        return f"Stitch({str(self)!r})"

    @property
    def id(self) -> str:
        """The stable, readable name, of which `Stitch` makes the stitch again."""
        return str(self)

    @property
    def plain(self) -> "Stitch":
        """The same route in the network's own precision."""
        return Stitch(self.segments) if self.precision else self

    @property
    def is_anchor(self) -> bool:
        """Whether this is an anchor alone."""
        return len(self.segments) == 1

    @property
    def anchors(self) -> tuple[int, ...]:
        """The anchor of each segment, in order of the route."""
        return tuple(segment.anchor for segment in self.segments)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Where the route changes from one anchor to the next."""
        hops = pairwise(self.segments)
        return tuple(Cut(front.anchor, front.stop - 1, back.anchor, back.start) for front, back in hops)

    @property
    def beginnings(self) -> tuple[str, ...]:
        """The segments before each cut, as text: `0:0-5` and `0:0-5,1:6-9` of a route with two."""
        texts = [str(segment) for segment in self.segments]
        return tuple(",".join(texts[:number]) for number in range(1, len(texts)))


def _parsed(text: str) -> Iterable[Segment]:
    matches = [_SEGMENT.fullmatch(part.strip()) for part in text.split(",")]
    if not all(matches):
        raise SpaceError(f"{text!r} is not a stitch; write segments ANCHOR:START-STOP, as in '0:0-5,1:6-12'.")
    return [Segment(*map(int, match.groups())) for match in matches if match]


def join_ids(stitches: Iterable[Stitch]) -> str:
    """Return the ids of the stitches of one step as one text, `0:0-12 + 0:0-5,1:6-12`."""
    return " + ".join(map(str, stitches))
