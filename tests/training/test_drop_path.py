from pathlib import Path

import pytest
import timm
import torch
from timm.layers import DropPath
from torch import Tensor

from snnet.anchors import Anchor
from snnet.errors import AnchorError, CheckpointError, RecipeError
from snnet.network import SNNet, load, stitch
from snnet.recipes import Recipe, build_trainer
from snnet.training import content_digest, drop_path_settings, with_drop_path
from snnet.training.checkpoint import read_checkpoint
from tests.conftest import build_tiny_net
from tests.recipes.small import build
from tests.training.test_trainer import stop_at

TINY = {"img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10, "depth": 2}


def rates(anchor: Anchor) -> list[float]:
    """The probabilities of an anchor's branches, in their order; blocks whose probability is 0 have no DropPath."""
    return [module.drop_prob for module in anchor.model.modules() if isinstance(module, DropPath)]


def logits(net: SNNet) -> Tensor:
    images = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.stack([net.eval()(images, number) for number in range(len(net.space))])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.1, (0.1,)),
        ("0.1", (0.1,)),
        ("0,0.2", (0.0, 0.2)),
        (["0", "0.2"], (0.0, 0.2)),
        ([0, 0.2], (0.0, 0.2)),
        (None, None),
    ],
)
def test_ways_to_write_it(given: object, expected: object) -> None:
    assert Recipe.load("embedded_vit", {"network.drop_path": given}).network.drop_path == expected


@pytest.mark.parametrize("given", [1, -0.1, [0.1, 1.5], True, False, "much"])
def test_what_is_no_probability(given: object) -> None:
    with pytest.raises(RecipeError, match=r"network\.drop_path"):
        Recipe.load("embedded_vit", {"network.drop_path": given})


def test_one_for_all_or_one_each() -> None:
    assert drop_path_settings(None, 2) == [{}, {}]
    assert drop_path_settings([0.1], 2) == [{"drop_path_rate": 0.1}] * 2
    assert drop_path_settings([0.0, 0.2], 2) == [{"drop_path_rate": 0.0}, {"drop_path_rate": 0.2}]
    with pytest.raises(RecipeError, match=r"network\.drop_path has 3 rates for 2 anchors; give one, or one for each"):
        drop_path_settings([0.1, 0.2, 0.3], 2)


def test_anchors_of_a_recipe_have_the_rates_that_timm_gives_its_blocks() -> None:
    net = build(network__drop_path=[0.1, 0.2]).net
    for number, (name, rate) in enumerate((("vit_fm_tiny", 0.1), ("vit_fm_small", 0.2))):
        alone = timm.create_model(name, drop_path_rate=rate)
        expected = [module.drop_prob for module in alone.modules() if isinstance(module, DropPath)]
        assert rates(net.anchor(number)) == expected and expected[-1] == pytest.approx(rate)
    assert not rates(build().net.anchor(0))


def test_evaluation_and_loading_are_unaffected_and_the_rates_are_kept(tmp_path: Path) -> None:
    plain, varied = build().net, build(network__drop_path=0.3).net
    varied.load_state_dict(plain.state_dict())
    assert torch.equal(logits(varied), logits(plain))
    varied.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert torch.equal(logits(loaded), logits(plain))
    assert rates(loaded.anchor(1)) == rates(varied.anchor(1)) != []


def final_weights(directory: Path) -> str:
    return content_digest(read_checkpoint(directory / "checkpoints" / "step-00000003.pt")["state"])


def test_a_resumed_run_drops_the_same_branches(tmp_path: Path) -> None:
    settings = {"run__steps": 3, "network__drop_path": 0.5}
    build_trainer(build(**settings), tmp_path / "whole").fit()
    stop_at(build_trainer(build(**settings), tmp_path / "parts"), 1)
    build_trainer(build(**settings), tmp_path / "parts").fit(resume=True)
    assert final_weights(tmp_path / "parts") == final_weights(tmp_path / "whole")
    build_trainer(build(run__steps=3), tmp_path / "without").fit()
    assert final_weights(tmp_path / "without") != final_weights(tmp_path / "whole")


def test_another_rate_is_another_run(tmp_path: Path) -> None:
    stop_at(build_trainer(build(network__drop_path=0.1), tmp_path), 1)
    with pytest.raises(CheckpointError, match=r"network\.drop_path was '\[0\.1\]' and is '\[0\.2\]'"):
        build_trainer(build(network__drop_path=0.2), tmp_path).fit(resume=True)


def test_a_saved_network_may_be_trained_with_other_rates(tmp_path: Path) -> None:
    net = build_tiny_net()
    net.save_pretrained(tmp_path)
    changes = {"network.anchors": [], "network.pretrained": True, "network.saved": str(tmp_path)}
    found = build(**changes, network__drop_path=[0.1, 0.2, 0.3]).net
    assert found.space == net.space and torch.equal(logits(found), logits(net))
    assert [rates(found.anchor(number))[-1] for number in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    assert not rates(build(**changes).net.anchor(2))


def test_anchors_that_cannot_have_rates_are_refused() -> None:
    own = stitch(*(timm.create_model("vit_tiny_patch16_224", embed_dim=w, num_heads=2, **TINY) for w in (16, 32)))
    with pytest.raises(RecipeError, match="was a model of the user's own"):
        with_drop_path(own, [0.1])
    with pytest.raises(AnchorError, match=r"does not take these settings: .*drop_path_rate"):
        build(network__anchors=["vit_fm_tiny", "vgg11"], network__drop_path=0.1)
