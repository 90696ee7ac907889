"""Models for another image size: weights resampled as timm does, built models copied, sizes refused with those near."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed, resize_rel_pos_bias_table_levit
from torch import nn

import snnet
from snnet.anchors import EMBEDDED_FAMILIES, Anchor, AnchorSource, load_anchor, rebuildable_source
from snnet.anchors.sizes import resized
from snnet.errors import AnchorError, CheckpointError
from tests.anchors.checks import disturbed
from tests.anchors.families import FAMILIES

STAGED = {"embed_dim": 12, "depths": (1, 1, 2, 1), "num_heads": (1, 2, 2, 4)}
LEVIT = {"embed_dim": (16, 24, 32), "key_dim": 8, "num_heads": (2, 3, 4), "depth": (1, 1, 1)}
HIERA = {"embed_dim": 8, "num_heads": 1, "stages": (1, 1, 1, 1)}
PLAIN = {"embed_dim": 24, "depth": 1, "num_heads": 2}
# Name, options, the size that weights are for, and another one.
RESAMPLED = [
    ("vit_tiny_patch16_224", PLAIN, 48, (80, 64)),
    ("deit_tiny_distilled_patch16_224", PLAIN, 64, (32, 48)),
    ("vit_small_patch14_reg4_dinov2", PLAIN, 42, (70, 56)),
    ("beit_base_patch16_224", PLAIN, 48, (64, 96)),
    ("eva02_tiny_patch14_224", {**PLAIN, "embed_dim": 48}, 42, (56, 70)),
    ("vit_small_patch16_rope_ape_224", {**PLAIN, "embed_dim": 48}, 48, (64, 80)),
    # The windows of the last stages become larger.
    ("swin_tiny_patch4_window7_224", {**STAGED, "window_size": 4}, 64, (100, 132)),
    ("swinv2_tiny_window8_256", {**STAGED, "window_size": 4}, 64, (100, 132)),
    ("xcit_nano_12_p16_224", {"embed_dim": 16, "depth": 1, "num_heads": 2}, 48, (32, 64)),
    ("pvt_v2_b0", {"embed_dims": (8, 16, 24, 32), "depths": (1, 1, 1, 1), "num_heads": (1, 2, 3, 4)}, 64, (100, 70)),
    ("convnext_tiny", {"dims": (8, 12, 16, 24), "depths": (1, 1, 1, 1)}, 64, (70, 101)),
    ("resnet18", {"layers": (1, 1, 1, 1), "channels": (8, 12, 16, 32)}, 64, (33, 47)),
]
OWN = [("hiera_tiny_224", HIERA, 64, (96, 64)), ("levit_128s", LEVIT, 64, (96, 48))]
NAMES = [name for name, *_ in RESAMPLED + OWN]


def sized(name: str, size: int | tuple[int, int], **more: Any) -> dict[str, Any]:
    """What timm builds a model for a size with; its EVA-02s say theirs themselves."""
    height, width = (size, size) if isinstance(size, int) else size
    by_name = {"img_size": (height, width)} if name.startswith("eva02") else {}
    return {"num_classes": 3, "pretrained_cfg_overlay": {"input_size": (3, height, width), **more}, **by_name}


def build(name: str, options: dict[str, Any], size: int | tuple[int, int]) -> nn.Module:
    torch.manual_seed(0)
    return disturbed(timm.create_model(name, **options, **sized(name, size))).eval()


def outputs(model: nn.Module, size: tuple[int, int]) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


def saved(model: nn.Module, file: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, file)


@pytest.mark.parametrize(("name", "options", "usual", "size"), RESAMPLED, ids=[name for name, *_ in RESAMPLED])
def test_files_are_resampled_as_timm_does(
    name: str, options: dict[str, Any], usual: int, size: tuple[int, int], file: Path
) -> None:
    model = build(name, options, usual)
    saved(model, file)
    source = AnchorSource.of(name, checkpoint=str(file), **options, **sized(name, usual))
    anchor = load_anchor(source, image_size=size)
    assert anchor.input.size == (3, *size)
    anchor.prove()
    how = sized(name, size, file=str(file), num_classes=3)
    expected = timm.create_model(name, pretrained=True, **options, **how)
    torch.testing.assert_close(outputs(anchor, size), outputs(expected, size))


@pytest.mark.parametrize(("name", "options", "usual", "size"), RESAMPLED + OWN, ids=NAMES)
def test_built_models_are_copied_for_a_size(
    name: str, options: dict[str, Any], usual: int, size: tuple[int, int], file: Path
) -> None:
    model = build(name, options, usual)
    before = outputs(model, (usual, usual))
    anchor = load_anchor(model, image_size=size)
    assert anchor.input.size == (3, *size) and not anchor.model.training
    anchor.prove()
    assert torch.equal(outputs(model, (usual, usual)), before)  # the model itself stays as it was
    saved(model, file)
    source = AnchorSource.of(name, checkpoint=str(file), **options, **sized(name, usual))
    torch.testing.assert_close(outputs(anchor, size), outputs(load_anchor(source, image_size=size), size))


@pytest.mark.parametrize(("name", "options", "usual", "size"), RESAMPLED[:9] + OWN, ids=NAMES[:9] + NAMES[-2:])
def test_weights_of_the_size_itself_are_taken_as_they_are(
    name: str, options: dict[str, Any], usual: int, size: tuple[int, int], file: Path
) -> None:
    model = build(name, options, size)
    saved(model, file)
    source = AnchorSource.of(name, checkpoint=str(file), **options, **sized(name, usual))
    anchor = load_anchor(source, image_size=size)
    assert all(torch.equal(tensor, anchor.model.state_dict()[key]) for key, tensor in model.state_dict().items())


def test_what_timm_does_not_resample_is() -> None:
    hiera, levit = (build(name, options, usual) for name, options, usual, _ in OWN)
    larger = resized(hiera, (96, 96))
    torch.testing.assert_close(larger.pos_embed, resample_abs_pos_embed(hiera.pos_embed, [24, 24], num_prefix_tokens=0))
    before, after = levit.state_dict(), resized(levit, (96, 96)).state_dict()
    tables = [key for key in before if key.endswith("attention_biases")]
    assert len(tables) == 5  # one of each block, and of each way between stages
    for key in tables:
        expected = resize_rel_pos_bias_table_levit(before[key].T, after[key].T.shape).T
        torch.testing.assert_close(after[key], expected)


def test_published_weights_that_timm_does_not_resample_are(file: Path) -> None:
    name, options, usual, size = OWN[0]
    model = build(name, options, usual)
    saved(model, file)
    how = sized(name, usual, file=str(file), num_classes=3)
    source = AnchorSource.of(name, pretrained=True, **options, **how)
    torch.testing.assert_close(outputs(load_anchor(source, image_size=size), size), outputs(resized(model, size), size))


@pytest.mark.parametrize(
    ("kind", "built"),
    [
        pytest.param(kind, built, marks=[] if (kind, built) in (("vit", False), ("swin", True)) else pytest.mark.slow)
        for kind in EMBEDDED_FAMILIES
        for built in (False, True)
    ],
)
def test_networks_of_another_size_are_saved_and_loaded(kind: str, built: bool, tmp_path: Path) -> None:
    names = EMBEDDED_FAMILIES[kind][:2]
    models = [timm.create_model(name, pretrained=True) for name in names] if built else names
    net = snnet.stitch(*models, pretrained=not built, image_size=56).eval()
    net.save_pretrained(tmp_path)
    loaded = snnet.load(tmp_path).eval()
    images = torch.randn(2, 1, 56, 56)
    assert loaded.input.size == net.input.size == (1, 56, 56)
    for stitch in (0, 1, len(net.space) - 1):
        with torch.no_grad():
            torch.testing.assert_close(loaded(images, stitch), net(images, stitch))


def test_anchors_that_are_named_stay_so() -> None:
    anchor = load_anchor(load_anchor("vit_fm_tiny", pretrained=True), image_size=(42, 28))
    assert anchor.source is not None and anchor.name == "vit_fm_tiny"
    source = rebuildable_source(anchor)
    assert source is not None and load_anchor(source).input == anchor.input


@pytest.mark.parametrize(
    ("name", "size", "built", "near"),
    [
        ("vit_tiny_patch16_224", 40, False, "its patches of 16x16 do not divide them; .*: 32x32, 48x48"),
        ("vit_tiny_patch16_224", 40, True, "its patches of 16x16 do not divide them; .*: 32x32, 48x48"),
        ("swin_tiny_patch4_window7_224", (50, 64), False, "48x64, 52x64"),
        pytest.param("hiera_tiny_224", 100, False, "96x96, 128x128", marks=pytest.mark.slow),
        ("xcit_nano_12_p16_224", 100, True, "96x96, 112x112"),
        pytest.param("levit_128s", 8, True, ": 16x16", marks=pytest.mark.slow),
        pytest.param("maxvit_rmlp_pico_rw_256", 250, True, "224x224, 256x256", marks=pytest.mark.slow),
    ],
)
def test_sizes_that_a_family_does_not_take_are_refused_with_those_near(
    name: str, size: Any, built: bool, near: str
) -> None:
    with pytest.raises(AnchorError, match=rf"{name} does not take images of \d+x\d+: .*{near}\.$"):
        load_anchor(timm.create_model(name) if built else name, image_size=size)


def test_what_cannot_be_resampled_is_refused(file: Path) -> None:
    name, options, *_ = RESAMPLED[0]
    saved(build(name, options, (48, 64)), file)
    with pytest.raises(AnchorError, match=r"pos_embed of shape \(1, 13, 24\) cannot be resampled to \(1, 5, 24\): 12"):
        load_anchor(AnchorSource.of(name, checkpoint=str(file), num_classes=3, **options), image_size=32)
    saved(build(name, {**options, "embed_dim": 48}, 48), file)
    with pytest.raises(CheckpointError, match=r"pos_embed: \(1, 10, 48\) in the file, \(1, 5, 24\) in the network"):
        load_anchor(AnchorSource.of(name, checkpoint=str(file), num_classes=3, **options), image_size=32)


def test_models_of_which_nobody_knows_how_are_refused() -> None:
    plain = FAMILIES["levit"].build("one head")  # of its class, not by a name
    with pytest.raises(AnchorError, match=r"Levit has neither timm's record .*set_input_size\(img_size\); build it"):
        load_anchor(plain, image_size=32)
    names = {"stem": ["conv1", "bn1", "act1", "maxpool"], "stages": ["layer1", "layer2", "layer3", "layer4"]}
    model = build("resnet18", RESAMPLED[11][1], 64)
    segmented = snnet.anchor_from_modules(model, **names, head=["global_pool", "fc"], input=(3, 64, 64))
    assert load_anchor(segmented, image_size=64) is segmented
    with pytest.raises(AnchorError, match="of 64x64 and cannot be made for 32x32: it is known by modules"):
        load_anchor(segmented, image_size=32)


def test_a_class_of_ones_own_is_resized_by_its_models_method(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vit = build("vit_tiny_patch16_224", PLAIN, 48)

        def set_input_size(self, img_size: tuple[int, int]) -> None:
            self.vit.set_input_size(img_size)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.vit(images)

    class MineAnchor(type(load_anchor("vit_fm_tiny"))):  # type: ignore[misc]
        @classmethod
        def accepts(cls, model: nn.Module) -> bool:
            return isinstance(model, Mine)

        def __init__(self, model: Mine, name: str, source: AnchorSource | None = None) -> None:
            Anchor.__init__(self, model, name, source)

        @property
        def input(self) -> Any:
            return load_anchor(self.model.vit).input

        @property
        def depths(self) -> tuple[int, ...]:
            return (1,)

        @property
        def num_classes(self) -> int:
            return 3

    registry = snnet.ANCHORS
    monkeypatch.setattr(registry, "_entries", {**dict(registry._entries), "mine": MineAnchor})
    model = Mine()
    anchor = load_anchor(model, image_size=64)
    assert type(anchor) is MineAnchor and anchor.input.size == (3, 64, 64)
    torch.testing.assert_close(outputs(anchor.model, (64, 64)), outputs(resized(model.vit, (64, 64)), (64, 64)))
