from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from timm.models.swin_transformer import checkpoint_filter_fn
from torch import Tensor, nn

import snnet
from snnet.errors import CheckpointError
from snnet.network import SNNet
from snnet.network.published import FAMILIES, recognized_family
from snnet.network.published.load import build_published, fill
from tests.network.published.official import RECOMPUTED, anchor_part, official_shapes, official_state, save_state

DEIT, RESNET = "deit_ti_s_b", "resnet18_50"
SLOW = {"deit_ti_s_b", "swin_ti_s_b"}


def expected_anchor(published: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """By timm's own conversion for Swin; in the order of the file for LeViT; by the same names for the others."""
    kind = type(model).__name__
    if kind == "SwinTransformer":
        converted: dict[str, Tensor] = checkpoint_filter_fn(published, model)
        return converted
    if kind == "LevitDistilled":
        return dict(zip(model.state_dict(), published.values(), strict=True))
    return published


def layer_of_name(net: SNNet, family: str, name: str) -> str:
    """Our layer for a published name: by counting the distinct layers along the routes of a stage and pair."""
    numbers = [int(part) for part in name.split(".")[1:-2]]
    stage, pair, window = numbers if family != DEIT else [0, *numbers]
    stage += 1 if family.startswith("resnet") else 0
    cuts = [cut for route in net.space for cut in route.cuts]
    layers = [net.space.layer_of(cut) for cut in cuts]
    return list(dict.fromkeys(y.name for y in layers if (y.stage, y.front) == (stage, pair)))[window]


@pytest.mark.parametrize("family", [pytest.param(f, marks=[pytest.mark.slow] if f in SLOW else []) for f in FAMILIES])
def test_every_tensor_of_the_file_arrives_at_its_place(family: str) -> None:
    state = official_state(family)
    net = build_published(FAMILIES[family])
    fill(net, FAMILIES[family], state, "file.pth")
    arrived = 0
    for number in range(len(net.anchors)):
        model = net.anchor(number).model
        expected = expected_anchor(anchor_part(state, number), model)
        found = model.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        arrived += len(expected)
    for name in (name for name in state if name.startswith("stitch_layers.")):
        part = name.rpartition(".")[2]
        found_part = net.get_parameter(f"layers.{layer_of_name(net, family, name)}.transform.{part}")
        assert torch.equal(found_part, state[name].flatten(1) if part == "weight" else state[name])
        arrived += 1
    assert arrived == len([name for name in state if not name.endswith(RECOMPUTED)]) == len(net.state_dict())


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "snnet_resnet.pth"
    return save_state({name: tensor.half() for name, tensor in official_state(RESNET).items()}, path, epoch=3)


@pytest.fixture(scope="module")
def resnet() -> Iterator[SNNet]:
    yield build_published(FAMILIES[RESNET])


def test_a_published_file_loads_runs_and_is_saved_as_a_network_of_ours(resnet_file: Path, tmp_path: Path) -> None:
    net = snnet.load(resnet_file, family=RESNET)
    assert not net.training
    images = torch.randn(1, 3, 64, 64)
    net.save_pretrained(tmp_path / "net")
    again = snnet.load(tmp_path / "net")
    assert again.space == net.space
    for route in (1, 4, 9):
        logits = net(images, route)
        assert logits.isfinite().all()
        assert torch.equal(again(images, route), logits)


def test_what_does_not_fit_is_refused_with_its_names(resnet: SNNet) -> None:
    published, state = FAMILIES[RESNET], official_state(RESNET)
    before = resnet.anchor(0).model.state_dict()["fc.bias"].clone()
    weight = "stitch_layers.1.0.1.transform.weight"
    another, flat = torch.ones(1024, 255, 1, 1), torch.ones(1024, 256)
    stranger = "anchors.1.layer1.0.attn_mask"
    faults = {
        r"What is missing: anchors\.1\.fc\.bias\.$": {n: t for n, t in state.items() if n != "anchors.1.fc.bias"},
        r"What is not known: anchors\.2\.fc\.bias\.$": {**state, "anchors.2.fc.bias": torch.ones(1)},
        rf"What is not known: {stranger}\.$": {**state, stranger: torch.ones(1)},
        rf"{weight}: \(1024, 255, 1, 1\) in the file, \(1024, 256, 1, 1\) in the": {**state, weight: another},
        rf"{weight}: \(1024, 256\) in the file, \(1024, 256, 1, 1\) in the": {**state, weight: flat},
        r"is missing: .*; and \d+ more\. .* not known: .*; and \d+ more\.": dict.fromkeys("abcdefg", flat),
    }
    for message, faulty in faults.items():
        with pytest.raises(CheckpointError, match=message):
            fill(resnet, published, faulty, "file.pth")
    assert torch.equal(resnet.anchor(0).model.state_dict()["fc.bias"], before), "nothing is copied from a wrong file"


def test_a_buffer_that_the_model_computes_may_be_missing_but_not_of_another_shape() -> None:
    published, state = FAMILIES["levit_192_256"], official_state("levit_192_256")
    net = build_published(published)
    fill(net, published, {n: t for n, t in state.items() if not n.endswith(RECOMPUTED)}, "file.pth")
    name = "anchors.0.blocks.8.attention_bias_idxs"
    with pytest.raises(CheckpointError, match=rf"{name}: \(3,\) in the file, \(49, 196\) in the network"):
        fill(net, published, {**state, name: torch.zeros(3)}, "file.pth")


def test_the_names_of_a_file_tell_the_family(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    for family in FAMILIES:
        torch.save({"model": dict.fromkeys(official_shapes(family), torch.ones(1))}, path)
        assert recognized_family(path) == family
    torch.save({"model": {"weight": torch.ones(1)}}, path)
    assert recognized_family(path) is None


def test_unknown_families_and_files_without_a_family_are_refused(resnet_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"accepted: deit_ti_s_b, .*Did you mean 'swin_ti_s_b'"):
        snnet.load(resnet_file, family="swin_t_s_b")
    assert len(snnet.load(resnet_file).space) == len(snnet.load(resnet_file, family=RESNET).space) == 10
    torch.save({"weight": torch.ones(1)}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"would be known by its names.*family='deit_ti_s_b'"):
        snnet.load(tmp_path / "net.pth")


def test_images_are_cropped_as_the_authors_do(tmp_path: Path) -> None:
    net = build_published(FAMILIES["levit_192_256"])
    assert round(net.input.size[1] / net.input.crop_pct) == 256 and net.input.interpolation == "bicubic"
    net.save_pretrained(tmp_path)
    assert snnet.load(tmp_path).input == net.input


@pytest.mark.slow
def test_the_deit_network_ends_stitched_routes_without_the_final_norm() -> None:
    state = official_state(DEIT)
    net = build_published(FAMILIES[DEIT])
    fill(net, FAMILIES[DEIT], state, "file.pth")
    net.eval()
    small, large = (timm.create_model(f"deit_{size}_patch16_224").eval() for size in ("tiny", "small"))
    small.load_state_dict(anchor_part(state, 0))
    large.load_state_dict(anchor_part(state, 1))
    window = nn.Linear(192, 384)
    window.load_state_dict({part: state[f"stitch_layers.0.4.transform.{part}"] for part in ("weight", "bias")})
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = small.blocks[:5](small._pos_embed(small.patch_embed(images)))
        features = large.blocks[5:](window(features))
        without, with_norm = large.head(features[:, 0]), large.head(large.norm(features)[:, 0])
        ours = SNNet([net.anchor(number) for number in range(3)], net.space).eval()
        ours.layers.load_state_dict(net.layers.state_dict())
        torch.testing.assert_close(net(images, "0:0-5,1:5-12"), without, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours(images, "0:0-5,1:5-12"), with_norm, rtol=1e-4, atol=1e-5)
        assert (without - with_norm).abs().max() > 0.1 * with_norm.abs().max()
        torch.testing.assert_close(net(images, 1), large(images), rtol=1e-4, atol=1e-5)
