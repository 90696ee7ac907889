"""Pyramids of any maps, and norms that keep no statistics."""

import pytest
import torch
from torch import nn

from snnet.errors import HeadError
from snnet.heads import Pyramid
from snnet.heads.parts import without_batch_norms
from snnet.space import MapSpec
from tests.heads.maps import sample_maps


@pytest.mark.parametrize("patch", [14, 16])
@pytest.mark.parametrize(
    ("count", "sources"),
    [(1, [0, 0, 0, 0]), (2, [0, 0, 1, 1]), (3, [0, 1, 2, 2]), (4, [0, 1, 2, 3]), (6, [1, 2, 4, 5])],
)
def test_equal_maps_become_a_pyramid(count: int, sources: list[int], patch: int) -> None:
    specs = [MapSpec(8 * (number + 1), patch) for number in range(count)]
    pyramid = Pyramid(specs)
    assert pyramid.sources == sources
    levels = pyramid(sample_maps(specs, 4 * patch, 6 * patch))
    assert [tuple(level.shape[2:]) for level in levels] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert tuple(level.shape[1] for level in levels) == pyramid.channels


def test_maps_that_halve_stay_and_missing_ones_are_pooled() -> None:
    specs = [MapSpec(8 << k, 2 << k) for k in range(5)]
    maps = sample_maps(specs, 64, 64)
    assert all(one is other for one, other in zip(Pyramid(specs)(maps), maps[1:], strict=True))
    levels = Pyramid(specs[:2])(maps[:2])
    assert levels[0] is maps[0] and levels[1] is maps[1]
    for level, times in ((levels[2], 2), (levels[3], 4)):
        expected = maps[1].unfold(2, times, times).unfold(3, times, times).amax((-2, -1))
        torch.testing.assert_close(level, expected)


def test_of_maps_of_one_size_the_last_is_read() -> None:
    """As of EfficientNets, whose stages are not all of sizes of their own."""
    specs = [MapSpec(8 + number, reduction) for number, reduction in enumerate((2, 4, 8, 16, 16, 32, 32))]
    pyramid = Pyramid(specs)
    assert pyramid.sources == [1, 2, 4, 6] and pyramid.reductions == (4, 8, 16, 32)
    with pytest.raises(HeadError, match="reductions 4, 16"):
        Pyramid([MapSpec(8, 4), MapSpec(8, 4), MapSpec(8, 16)])


@pytest.mark.parametrize(("width", "groups"), [(256, 32), (64, 8), (24, 3), (7, 1), (44, 4)])
def test_batch_norms_become_group_norms(width: int, groups: int) -> None:
    found = without_batch_norms(nn.Sequential(nn.Sequential(nn.BatchNorm2d(width)), nn.ReLU()))[0][0]
    assert isinstance(found, nn.GroupNorm) and (found.num_groups, found.num_channels) == (groups, width)
