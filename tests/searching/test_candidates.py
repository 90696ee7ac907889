import pytest
from torch import nn

from snnet.network import SNNet
from snnet.profiling import count_costs, step_macs, step_params
from snnet.searching.candidates import Costs, all_cuts, single, with_routes
from snnet.space import Cut, Stitch, StitchSpace
from tests.conftest import build_tiny_anchor


def test_every_cut_in_either_direction_and_every_skip() -> None:
    anchors = [build_tiny_anchor(16, depth=12) for _ in range(3)]
    cuts = all_cuts(anchors)
    skips = [cut for cut in cuts if cut.front == cut.back]
    # Twelve blocks to leave and twelve to enter between six ordered pairs, and 11 * 10 / 2 skips in each.
    assert len(set(cuts)) == len(cuts) == 6 * 144 + 3 * 55 and len(skips) == 3 * 55
    assert all(cut.enter > cut.leave + 1 for cut in skips)
    other = build_tiny_anchor(16, patch_size=14)
    assert {(c.front, c.back) for c in all_cuts([anchors[0], other])} == {(0, 0), (1, 1)}
    assert {(c.front, c.back) for c in all_cuts([anchors[0], other], resample=True)} == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize("count", [step_macs, step_params])
def test_costs_of_parts_add_up_to_those_of_whole_routes(tiny_net: SNNet, count: object) -> None:
    """Against counts of the routes themselves."""
    cuts = all_cuts(tiny_net.family)
    costs = Costs.of(tiny_net, cuts, count)  # type: ignore[arg-type]
    chosen = [Cut(0, 1, 2, 3), Cut(2, 0, 2, 3), Cut(2, 3, 0, 1), Cut(1, 2, 0, 0)]
    net = with_routes(tiny_net, [single(cut, tiny_net.space.depths) for cut in chosen])
    known = {row.stitch: row for row in count_costs(net)}
    name = "macs" if count is step_macs else "params"
    layers = costs.of_cuts(tiny_net.family, chosen)
    for cut, layer in zip(chosen, layers, strict=True):
        whole = costs.before[cut.front][cut.leave] + layer + costs.behind[cut.back][cut.enter]
        assert whole == getattr(known[single(cut, tiny_net.space.depths).id], name)
    assert costs.whole == [getattr(known[stitch.id], name) for stitch in StitchSpace.through(tiny_net.space.depths)]


def test_other_routes_of_the_same_anchors_share_their_weights(tiny_net: SNNet) -> None:
    net = with_routes(tiny_net, [Stitch("0:0-1,0:2-4")])
    assert net.anchor(2).model is tiny_net.anchor(2).model and not net.training
    assert [type(module) for module in net.layers["at_0_0_1_0_2"].children()] == [nn.Linear]
