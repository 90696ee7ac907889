"""The biases that a LeViT caches, and its grids; what all families share is in test_families.py."""

import copy

import torch

from snnet.anchors import load_anchor
from tests.anchors.families import FAMILIES

build = FAMILIES["levit"].build


def test_blocks_of_a_stage_have_one_grid() -> None:
    anchor = load_anchor(build("two heads"))
    assert [anchor.feature(index).grid for index in range(-1, 6)] == [(7, 7)] * 3 + [(4, 4)] * 3 + [(2, 2)]


def test_evaluation_with_gradients_leaves_no_graph_behind() -> None:
    anchor = load_anchor(build("two heads")).eval()
    images = torch.randn(2, *anchor.input.size)
    with torch.no_grad():
        expected = anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth))
    for _ in range(2):
        output = anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth))
        output.sum().backward()
    torch.testing.assert_close(output, expected)
    assert not any(module.training for module in anchor.modules())
    copied = copy.deepcopy(anchor)
    torch.testing.assert_close(copied.head(copied.run(copied.stem(images), 0, copied.depth)), expected)


def test_grids_as_published() -> None:
    with torch.device("meta"):
        anchor = load_anchor("levit_192")
    assert [anchor.feature(index).grid for index in (-1, 4, 8)] == [(14, 14), (7, 7), (4, 4)]
