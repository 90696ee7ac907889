"""Models of the user's own, known by name."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

import snnet
from snnet.anchors import MODELS, Anchor, AnchorSource, anchor_from_modules, load_anchor, replace_classifier
from snnet.anchors.build import Builder
from snnet.errors import AnchorError, RecipeError
from tests.anchors.test_from_modules import PARTS, Net


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Builder]]:
    """The names of users' models, as they were before once the test is over."""
    MODELS.names()
    entries = dict(MODELS._entries)
    monkeypatch.setattr(MODELS, "_entries", entries)
    yield entries


def build(width: int = 4, num_classes: int = 5) -> Anchor:
    torch.manual_seed(width)
    model = Net(width, 2)
    model.classifier = nn.Linear(2 * width, num_classes)
    return anchor_from_modules(model, **PARTS)


def test_a_registered_model_goes_by_its_name(models: dict[str, Builder]) -> None:
    MODELS.register("my_net")(build)
    anchor = load_anchor("my_net", width=6, num_classes=3)
    assert (anchor.name, anchor.num_classes, anchor.feature(0).channels) == ("my_net", 3, 6)
    assert anchor.source == AnchorSource.of("my_net", width=6, num_classes=3)


def test_own_names_come_before_timms(models: dict[str, Builder]) -> None:
    MODELS.register("resnet18")(build)
    assert isinstance(load_anchor("resnet18").model, Net)


def test_a_builder_may_give_a_timm_model_and_learns_of_pretrained_weights(models: dict[str, Builder]) -> None:
    asked = []

    @MODELS.register("my_vit")
    def my_vit(pretrained: bool, depth: int = 2) -> nn.Module:
        asked.append(pretrained)
        return timm.create_model("vit_fm_tiny", depth=depth)

    assert load_anchor("my_vit", pretrained=True).depths == (2,)
    load_anchor("my_vit", depth=1)
    assert asked == [True, False]


def test_networks_of_registered_models_are_rebuilt_by_name(models: dict[str, Builder], tmp_path: Path) -> None:
    MODELS.register("my_net")(build)
    net = snnet.stitch(AnchorSource.of("my_net"), AnchorSource.of("my_net", width=8)).eval()
    net.save_pretrained(tmp_path / "net")
    images = torch.randn(1, *net.input.size)
    again = snnet.load(tmp_path / "net")
    assert all(torch.equal(net(images, stitch), again(images, stitch)) for stitch in net.space)
    del models["my_net"]
    with pytest.raises(AnchorError, match=r"no model named 'my_net'.*--family-file FILE"):
        snnet.load(tmp_path / "net")


def test_a_view_that_cuts_a_known_model_otherwise_is_not_rebuilt_by_its_name(tmp_path: Path) -> None:
    model = timm.create_model("resnet18", num_classes=4, pretrained_cfg_overlay={"input_size": (3, 32, 32)})
    anchor = anchor_from_modules(
        model,
        stem=["conv1", "bn1", "act1", "maxpool", "layer1"],
        stages=["layer2", "layer3", "layer4"],
        head=["global_pool", "fc"],
        input=(3, 32, 32),
        name="resnet18",
    )
    assert snnet.anchors.rebuildable_source(anchor) is None


def test_checkpoints_of_registered_models_load(models: dict[str, Builder], tmp_path: Path) -> None:
    MODELS.register("my_net")(build)
    torch.manual_seed(99)
    trained = Net(4, 2)
    torch.save(trained.state_dict(), tmp_path / "net.pth")
    anchor = load_anchor(f"my_net@{tmp_path / 'net.pth'}")
    torch.testing.assert_close(anchor.model.state_dict(), trained.state_dict())
    with pytest.raises(AnchorError, match=r"5 classes and cannot get a classifier for 3: give Net a method"):
        load_anchor(f"my_net@{tmp_path / 'net.pth'}", num_classes=3)


def test_classifiers_are_replaced_by_the_models_own_method() -> None:
    anchor = load_anchor("vit_fm_tiny")
    replace_classifier(anchor, 3)
    assert anchor.num_classes == 3 and anchor.model.head.out_features == 3


def test_faults_of_builders_are_named(models: dict[str, Builder]) -> None:
    MODELS.register("my_net")(build)
    with pytest.raises(AnchorError, match=r"'my_net' does not take these settings: got an unexpected.*'heads'"):
        load_anchor("my_net", heads=3)
    MODELS.register("my_nothing")(lambda: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(AnchorError, match="The builder of 'my_nothing' gives NoneType"):
        load_anchor("my_nothing")
    with pytest.raises(AnchorError, match=r"no model named 'my_nett'.*Did you mean 'my_net'"):
        load_anchor("my_nett")
    with pytest.raises(RecipeError, match="already a model named 'my_net'"):
        MODELS.register("my_net")(lambda: None)  # type: ignore[arg-type,return-value]


PLUGIN = """
import timm
import torch
import snnet
from snnet.anchors.vit import ViTAnchor


@snnet.ANCHORS.register("narrow")
class NarrowAnchor(ViTAnchor):
    @classmethod
    def accepts(cls, model):
        return super().accepts(model) and model.embed_dim == 8


@snnet.MODELS.register("plugged")
def plugged(num_classes=10):
    return timm.create_model("vit_fm_tiny", embed_dim=8, num_classes=num_classes)
"""


@pytest.mark.parametrize("group", ["snnet.anchors", pytest.param("snnet.models", marks=pytest.mark.slow)])
def test_installed_packages_add_families_and_models_through_entry_points(tmp_path: Path, group: str) -> None:
    (tmp_path / "plugged_in.py").write_text(PLUGIN)
    info = tmp_path / "plugged_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nplugged = plugged_in\n")
    code = (
        "import sys, snnet, timm; from snnet.anchors import load_anchor; "
        f"sys.path.insert(0, {str(tmp_path)!r}); "
        "model = timm.create_model('vit_fm_tiny', embed_dim=8); "
        "snnet.MODELS.names(); print(type(load_anchor(model)).__name__, load_anchor('plugged').name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["NarrowAnchor", "plugged"]
