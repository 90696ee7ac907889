import pytest

from snnet.cli.stitches import chosen_stitches
from snnet.errors import SpaceError
from snnet.network import SNNet


def test_words_numbers_and_ids(tiny_net: SNNet) -> None:
    assert len(chosen_stitches(tiny_net, "all")) == len(tiny_net.space)
    assert [str(s) for s in chosen_stitches(tiny_net, "anchors")] == ["0:0-4", "1:0-4", "2:0-4"]
    assert [str(s) for s in chosen_stitches(tiny_net, "0,2")] == ["0:0-4", "2:0-4"]
    assert [str(s) for s in chosen_stitches(tiny_net, "0:0-1,1:0-4 1; 2")] == ["0:0-1,1:0-4", "1:0-4", "2:0-4"]


def test_no_frontier_before_there_are_scores(tiny_net: SNNet) -> None:
    with pytest.raises(SpaceError, match="snnet evaluate"):
        chosen_stitches(tiny_net, "frontier")
