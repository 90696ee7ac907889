import pytest

from snnet.errors import SpaceError
from snnet.network import SNNet, chosen_stitches
from snnet.space import Stitch
from snnet.table import StitchRow, StitchTable


def ids(net: SNNet, stitches: object) -> list[str]:
    return [str(stitch) for stitch in chosen_stitches(net, stitches)]  # type: ignore[arg-type]


def test_words_numbers_and_ids_in_a_text(tiny_net: SNNet) -> None:
    assert chosen_stitches(tiny_net, "all") == chosen_stitches(tiny_net, None) == tuple(tiny_net.space)
    assert ids(tiny_net, "anchors") == ["0:0-4", "1:0-4", "2:0-4"]
    assert ids(tiny_net, "0,2") == ["0:0-4", "2:0-4"]
    assert ids(tiny_net, "0:0-1,1:0-4 1; 2 1") == ["0:0-1,1:0-4", "1:0-4", "2:0-4"]


def test_one_stitch_or_several_of_any_kind(tiny_net: SNNet) -> None:
    route = Stitch("0:0-1,1:0-4")
    assert ids(tiny_net, 2) == ["2:0-4"] and ids(tiny_net, 0) == ["0:0-4"]
    assert ids(tiny_net, route) == ["0:0-1,1:0-4"]
    assert ids(tiny_net, (one for one in (1, "0", route, 1))) == ["1:0-4", "0:0-4", "0:0-1,1:0-4"]
    assert ids(tiny_net, []) == []


def test_the_frontier_is_that_of_the_table(tiny_net: SNNet) -> None:
    with pytest.raises(SpaceError, match="snnet evaluate"):
        chosen_stitches(tiny_net, "frontier")
    values = [(5.0, 50.0), (6.0, 40.0), (7.0, 60.0)]
    rows = [StitchRow(n, f"{n}:0-4", {"macs": macs, "top1": top1}) for n, (macs, top1) in enumerate(values)]
    tiny_net.table = StitchTable(rows)
    assert ids(tiny_net, "frontier") == ["0:0-4", "2:0-4"]


@pytest.mark.parametrize("wrong", [999, "9:0-4", [0, "0:0-1,1:3-4"]])
def test_what_does_not_exist_is_refused(tiny_net: SNNet, wrong: object) -> None:
    with pytest.raises(SpaceError, match="in this space"):
        ids(tiny_net, wrong)
