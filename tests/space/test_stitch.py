import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import SpaceError
from snnet.space import Cut, Stitch
from snnet.space.stitch import Segment


@st.composite
def stitches(draw: st.DrawFn) -> Stitch:
    segments, previous = [], -1
    for number in range(draw(st.integers(1, 4))):
        anchor = draw(st.integers(0, 5).filter(lambda a, p=previous: a != p))
        start = draw(st.integers(0, 20)) if number else 0
        segments.append(Segment(anchor, start, start + draw(st.integers(1, 20))))
        previous = anchor
    return Stitch(tuple(segments))


@given(stitches())
def test_ids_parse_back(stitch: Stitch) -> None:
    assert Stitch(stitch.id) == stitch
    assert len(stitch.cuts) == len(stitch.segments) - 1
    assert all(Cut.parse(str(cut)) == cut for cut in stitch.cuts)


def test_a_stitch_reads_as_in_the_documentation() -> None:
    stitch = Stitch("0:0-5,1:6-12")
    assert stitch.segments == (Segment(0, 0, 5), Segment(1, 6, 12))
    assert stitch.cuts == (Cut(front=0, leave=4, back=1, enter=6),)
    assert stitch.anchors == (0, 1)
    assert not stitch.is_anchor
    assert Stitch("2:0-12").is_anchor
    assert len(stitch.segments[1]) == 6


@pytest.mark.parametrize("text", ["", "0", "0:5", "0:0-5;1:6-12", "a:0-5", "0:0-5,,1:6-12", "-1:0-5"])
def test_what_is_not_a_stitch_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="is not a stitch; write segments ANCHOR:START-STOP"):
        Stitch(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0:5-5", "is empty"),
        ("0:1-5", "must begin with block 0"),
        ("0:0-5,0:5-12", "joins anchor 0 to itself without leaving blocks out; a skip enters at block 6 or later"),
        ("0:0-5,0:3-12", "joins anchor 0 to itself"),
    ],
)
def test_impossible_routes_are_refused(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Stitch(text)


def test_a_skip_leaves_blocks_of_one_anchor_out() -> None:
    skip = Stitch("2:0-7,2:11-12")
    assert skip.cuts == (Cut(2, 6, 2, 11),) and skip.beginnings == ("2:0-7",) and not skip.is_anchor
    assert Stitch("0:0-5,1:6-9,0:2-3").beginnings == ("0:0-5", "0:0-5,1:6-9")


def test_a_text_that_is_no_cut_is_refused() -> None:
    with pytest.raises(SpaceError, match="is not a cut"):
        Cut.parse("0:1-2:3")


def test_a_stitch_prints_what_makes_it_again() -> None:
    stitch = Stitch("0:0-5,1:6-12")
    assert repr(stitch) == "Stitch('0:0-5,1:6-12')" and eval(repr(stitch)) == stitch
    assert stitch == Stitch(" 0:0-5, 1:6-12 ") == Stitch(stitch.segments) == copy.deepcopy(stitch)
    assert pickle.loads(pickle.dumps(stitch)) == stitch and hash(Stitch(list(stitch.segments))) == hash(stitch)
    with pytest.raises(SpaceError, match="not a stitch"):
        Stitch("17")
