import pytest
import torch

from snnet.errors import RecipeError
from snnet.profiling import count_costs
from snnet.recipes.paper.layer_drop import CroppedAnchor, evenly_kept, layer_drop_network
from tests.conftest import build_tiny_anchor

IMAGES = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def test_blocks_are_kept_evenly() -> None:
    assert evenly_kept(12, 12) == tuple(range(12))
    assert evenly_kept(12, 4) == (0, 4, 7, 11)
    assert evenly_kept(12, 2) == (0, 11) and evenly_kept(12, 1) == (0,)


def test_a_crop_runs_the_kept_blocks_of_the_shared_model() -> None:
    anchor = build_tiny_anchor(16, 12).eval()
    net = layer_drop_network(anchor, 0.5).eval()
    assert [stitch.id for stitch in net.space] == [f"{n}:0-{d}" for n, d in enumerate((2, 3, 4, 6, 8, 10, 12))]
    features = anchor.stem(IMAGES)
    for block in (0, 4, 7, 11):
        features = anchor.block(block, features)
    with torch.no_grad():
        assert torch.equal(net(IMAGES, 2), anchor.head(features))
        assert torch.equal(net(IMAGES, 6), anchor(IMAGES))
    assert len(list(net.parameters())) == len(list(anchor.parameters()))


def test_costs_of_a_crop_are_those_of_what_it_runs() -> None:
    anchor = build_tiny_anchor(16, 12)
    net = layer_drop_network(anchor, 0.0)
    count_costs(net)
    table = net.table
    assert table is not None
    per_block = (table[6].macs - table[0].macs) / 10
    assert table[3].macs == pytest.approx(table[0].macs + 4 * per_block)
    assert table[6].params == sum(parameter.numel() for parameter in anchor.parameters())
    assert table[0].params < table[1].params < table[6].params


def test_training_drops_blocks_by_the_seed_and_evaluation_none() -> None:
    anchor = build_tiny_anchor(16, 12)
    crop = CroppedAnchor(anchor, range(12), drop=0.5)
    ran: list[int] = []
    for index, block in enumerate(anchor.model.blocks):
        block.register_forward_hook(lambda *_, index=index: ran.append(index))

    def blocks_of(seed: int) -> list[int]:
        ran.clear()
        torch.manual_seed(seed)
        crop.run(crop.stem(IMAGES), 0, 12)
        return list(ran)

    crop.train()
    first = blocks_of(3)
    assert first == blocks_of(3)
    counts = [len(blocks_of(seed)) for seed in range(40)]
    assert 4.5 < sum(counts) / 40 < 7.5
    crop.eval()
    assert blocks_of(3) == list(range(12))


def test_what_cannot_be_dropped_is_refused() -> None:
    anchor = build_tiny_anchor(16, 12)
    with pytest.raises(RecipeError, match=r"dropping a block is 1\.0"):
        CroppedAnchor(anchor, (0, 1), drop=1.0)
