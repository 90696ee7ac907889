from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import snnet
from snnet.anchors import MODELS, AnchorSource, load_anchor, rebuildable_source
from snnet.errors import AnchorError, CheckpointError

SMALL = {"img_size": 32, "depth": 2, "num_classes": 3}


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", **SMALL)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_local_checkpoints_load(model: nn.Module, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"model": {f"module.{name}": t for name, t in model.state_dict().items()}}, path)
    else:
        save_file(model.state_dict(), path)
    anchor = load_anchor(AnchorSource.of("vit_tiny_patch16_224", checkpoint=str(path), **SMALL))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, anchor.model.state_dict()[name])


def test_a_name_with_a_file_loads(tmp_path: Path) -> None:
    model = timm.create_model("vit_fm_tiny")
    save_file(model.state_dict(), tmp_path / "tiny.safetensors")
    anchor = load_anchor(f"vit_fm_tiny@{tmp_path / 'tiny.safetensors'}")
    assert torch.equal(anchor.model.head.weight, model.head.weight)


def test_the_input_is_what_the_built_model_takes(model: nn.Module) -> None:
    assert load_anchor(model).input.size == (3, 32, 32)
    grey = load_anchor(timm.create_model("vit_tiny_patch16_224", in_chans=1, depth=1))
    assert grey.input.size == (1, 224, 224)
    assert grey.input.mean == (0.5,)
    deit = load_anchor(timm.create_model("deit_tiny_patch16_224", depth=1))
    assert deit.input.mean == (0.485, 0.456, 0.406)


def test_what_a_model_makes_of_images_before_its_first_convolution_is_not_the_images() -> None:
    with torch.device("meta"):
        anchor = load_anchor("csatv2", image_size=256)  # a cosine transform makes 64 channels of three
    assert anchor.input.size == (3, 256, 256)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vit_tiny_patch16_224", 64),
        ("eva02_tiny_patch14_224", 56),
        ("swin_tiny_patch4_window7_224", (64, 96)),
        ("resnet18", (64, 48)),
        ("efficientnet_b1", 64),
        ("focalnet_tiny_srf", 64),  # without a family of its own
    ],
)
def test_named_models_are_built_for_an_image_size(name: str, size: int | tuple[int, int]) -> None:
    anchor = load_anchor(name, image_size=size, num_classes=3)
    assert anchor.input.size == (3, *((size, size) if isinstance(size, int) else size))
    anchor.prove()
    source = rebuildable_source(anchor)
    assert source is not None and load_anchor(source).input == anchor.input


@pytest.mark.parametrize("name", ["vit_fm_tiny", "swin_fm_tiny"])
def test_weights_are_fitted_to_the_image_size(name: str) -> None:
    usual, larger = load_anchor(name, pretrained=True), load_anchor(name, pretrained=True, image_size=56)
    assert larger.input.size == (1, 56, 56)
    pairs = zip(larger.head_parameters(), usual.head_parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_builders_of_ones_own_are_asked_for_the_image_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def sized(num_classes: int = 10, image_size: tuple[int, int] = (28, 28)) -> nn.Module:
        return timm.create_model("vit_fm_tiny", depth=1, img_size=image_size, num_classes=num_classes)

    monkeypatch.setattr(MODELS, "_entries", {**dict(MODELS._entries), "sized": sized, "fixed": lambda: sized()})
    assert load_anchor("sized", image_size=35).input.size == (1, 35, 35)
    with pytest.raises(AnchorError, match=r"does not take these settings.*image_size"):
        load_anchor("fixed", image_size=35)


def test_builders_get_the_image_size_from_a_saved_network_as_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def sized(num_classes: int = 10, image_size: tuple[int, int] = (28, 28)) -> nn.Module:
        asked.append(image_size)
        return timm.create_model("vit_fm_tiny", depth=2, img_size=image_size, num_classes=num_classes)

    monkeypatch.setattr(MODELS, "_entries", {**dict(MODELS._entries), "sized": sized})
    snnet.stitch("sized", "sized", image_size=35).save_pretrained(tmp_path)
    assert snnet.load(tmp_path).input.size == (1, 35, 35)
    assert asked == [(35, 35)] * 4


@pytest.mark.parametrize("size", [0, (32,), (32, -1), 32.0, (1, 2, 3), "32"])
def test_what_is_no_image_size_is_refused(size: Any) -> None:
    with pytest.raises(AnchorError, match=r"image_size=.* is no size of images; give \(height, width\)"):
        load_anchor("resnet_fm_small", image_size=size)


def test_unknown_names_offer_near_ones() -> None:
    with pytest.raises(
        AnchorError, match=r"no model named 'deit_tinny_patch16_224'.*Did you mean 'deit_tiny_patch16_224'"
    ):
        load_anchor("deit_tinny_patch16_224")


@pytest.mark.parametrize("pretrained", [False, True])
def test_unknown_tags_offer_those_of_the_architecture(pretrained: bool) -> None:
    words = (
        r"no weights 'augreg_in2k' of 'vit_small_patch16_224'; accepted: augreg_in1k, augreg_in21k, .*dino, or the "
        r"name alone.* Did you mean 'augreg_in2"
    )
    with pytest.raises(AnchorError, match=words):
        load_anchor("vit_small_patch16_224.augreg_in2k", pretrained=pretrained)
    with pytest.raises(AnchorError, match="no weights 'nonsense' of 'resnet18'") as caught:
        load_anchor("resnet18.nonsense@file.pth")
    assert "hub" not in str(caught.value) and "Did you mean" not in str(caught.value)
    assert load_anchor("vit_fm_tiny.fashion_mnist").depths == (12,)


def test_settings_that_a_model_does_not_take_are_refused() -> None:
    with pytest.raises(AnchorError, match="does not take these settings"):
        load_anchor("vit_tiny_patch16_224", no_such_setting=1)


def test_models_of_no_known_family_are_refused() -> None:
    with pytest.raises(AnchorError, match=r"No anchor family knows torch\.nn\.\S*Linear .*subclass snnet\.Anchor"):
        load_anchor(nn.Linear(2, 2))


def test_weights_that_cannot_be_had_are_refused_with_the_local_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(AnchorError, match=r"no connection.*deit_tiny_patch16_224@PATH"):
        load_anchor("deit_tiny_patch16_224", pretrained=True)


def test_damaged_and_foreign_checkpoints_are_refused(model: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint at"):
        load_anchor("vit_tiny_patch16_224@/no/such/file.pth")
    whole = tmp_path / "whole.safetensors"
    save_file(model.state_dict(), whole)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read safely as a checkpoint"):
        load_anchor(f"vit_tiny_patch16_224@{broken}")
    with pytest.raises(CheckpointError, match=r"(?s)does not fit the model.*blocks\.2"):
        load_anchor(AnchorSource.of("vit_tiny_patch16_224", checkpoint=str(whole), img_size=32, depth=3, num_classes=3))


@pytest.mark.parametrize("prefix", ["", "model.", "net.model."])
def test_what_stands_beside_the_weights_and_before_their_names_does_not_matter(
    prefix: str, model: nn.Module, tmp_path: Path
) -> None:
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state, "args": Namespace(lr=1.0), "optimizer": {"lr": 1}}, tmp_path / "net.pth")
    anchor = load_anchor(AnchorSource.of("vit_tiny_patch16_224", checkpoint=str(tmp_path / "net.pth"), **SMALL))
    assert torch.equal(anchor.model.head.weight, model.head.weight)


def test_names_that_do_not_fit_are_told_in_a_few_lines(model: nn.Module, tmp_path: Path) -> None:
    torch.save({f"a{n}.{name}": t for n, (name, t) in enumerate(model.state_dict().items())}, tmp_path / "net.pth")
    with pytest.raises(
        CheckpointError, match=r"does not fit the model\. What is missing: cls_token; .* more\."
    ) as caught:
        load_anchor(AnchorSource.of("vit_tiny_patch16_224", checkpoint=str(tmp_path / "net.pth"), **SMALL))
    assert len(str(caught.value)) < 800


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("/tmp/snnet-was-here"),))


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="cannot be read safely as a checkpoint"):
        load_anchor(f"vit_fm_tiny@{tmp_path / 'evil.pth'}")
    assert not Path("/tmp/snnet-was-here").exists()


def test_rebuildable_sources_are_proven() -> None:
    named = load_anchor(timm.create_model("vit_fm_tiny"))
    assert named.source is None
    assert rebuildable_source(named) == AnchorSource.of("vit_fm_tiny", num_classes=10, in_chans=1)
    other = timm.create_model("vit_fm_tiny", pretrained_cfg_overlay={"mean": (0.5,)})
    assert rebuildable_source(load_anchor(other)) is None  # the name says that images are normalized otherwise
    changed = timm.create_model("vit_fm_tiny", num_heads=4)  # same shapes, other arithmetic
    nn.init.normal_(changed.blocks[0].attn.qkv.weight)
    assert rebuildable_source(load_anchor(changed)) is None


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("vit_tiny_patch16_224", {"img_size": 32, "num_classes": 3}),
        ("vit_small_patch16_rope_224", {"img_size": 32}),  # no weight depends on the image size
        ("resnet18", {"pretrained_cfg_overlay": {"input_size": (3, 64, 32)}, "num_classes": 3}),
    ],
)
def test_models_of_another_image_size_are_rebuilt(name: str, settings: dict[str, Any]) -> None:
    anchor = load_anchor(timm.create_model(name, **settings))
    source = rebuildable_source(anchor)
    assert source is not None
    assert load_anchor(source).input == anchor.input


def test_compiled_models_are_refused(model: nn.Module) -> None:
    with pytest.raises(AnchorError, match=r"was compiled, .*; give the model as it was before torch\.compile"):
        load_anchor(torch.compile(model))


def test_a_proof_names_the_difference() -> None:
    anchor = load_anchor("vit_fm_tiny")
    anchor.prove()
    anchor.model.norm.register_forward_hook(lambda module, args, output: output + torch.rand(()))
    with pytest.raises(AnchorError, match="does not reproduce vit_fm_tiny: its segments differ"):
        anchor.prove()
