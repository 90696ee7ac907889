"""Every head that comes with the package, what is refused, and heads of the user's own."""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import snnet.heads
from snnet.errors import ExtraError, HeadError, RecipeError
from snnet.export import onnx_model
from snnet.heads import build_head, check_head
from snnet.space import MapSpec
from snnet.utils import count_macs, run_on_meta
from tests.heads.maps import HEADS, KINDS, STAGES, VIT, OnImages, sample_maps

pytest.importorskip("segmentation_models_pytorch", reason="the extra dense is not installed")


@pytest.fixture(params=HEADS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=KINDS)
def specs(request: pytest.FixtureRequest) -> list[MapSpec]:
    return KINDS[request.param]


def built(name: str, specs: list[MapSpec], outputs: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return build_head(name, specs, outputs).eval()


def test_outputs_are_as_large_as_the_images(name: str, specs: list[MapSpec]) -> None:
    head = built(name, specs)
    for height, width in ((64, 64), (96, 160)):
        for batch in (1, 3):
            with torch.no_grad():
                found = head(sample_maps(specs, height, width, batch))
            assert found.shape == (batch, 5, height, width) and found.isfinite().all()


@pytest.mark.parametrize("side", [32, 16 * 3, 32 * 5, 64])
def test_small_and_odd_grids_work(name: str, specs: list[MapSpec], side: int) -> None:
    """Of a side of 32 the coarsest map has one position; of 48 and 160 grids are no multiples of each other."""
    head = built(name, specs).train()
    maps = sample_maps(specs, side, side)
    assert head(maps).shape == (1, 5, side, side)


def test_one_position_is_enough(name: str) -> None:
    head = built(name, VIT)
    assert head(sample_maps(VIT, 16, 16)).shape == (1, 5, 16, 16)


def test_gradients_reach_all_parameters(name: str, specs: list[MapSpec]) -> None:
    head = built(name, specs).train()
    head(sample_maps(specs, 64, 64, 2)).square().mean().backward()
    without = [path for path, p in head.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


def test_no_head_keeps_statistics(name: str, specs: list[MapSpec]) -> None:
    """Routes with other statistics share it: what one of them has run through it changes nothing."""
    assert not list(built(name, specs).buffers())


def test_the_scale_of_the_maps_does_not_matter(name: str, specs: list[MapSpec]) -> None:
    head, maps = built(name, specs), sample_maps(specs, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(head([10 * each for each in maps]), head(maps), rtol=1e-3, atol=1e-4)


def test_macs_are_counted_without_arithmetic(name: str, specs: list[MapSpec]) -> None:
    module = OnImages(built(name, specs), specs)
    images = torch.zeros(1, 3, 64, 64)
    counter = FlopCounterMode(display=False)
    with counter:
        run_on_meta(module, images)
    readers = sum(count_macs(read, images) for read in module.readers)
    convolutions = counter.get_total_flops() // 2 - readers
    real = FlopCounterMode(display=False)
    with real, torch.no_grad():
        module(images)
    assert real.get_total_flops() == counter.get_total_flops() and convolutions > 0
    if name == "linear":
        expected = sum(spec.channels * 5 * (64 // spec.reduction) ** 2 for spec in specs)
        assert convolutions == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[] if (name, kind) == ("fpn", "vit") else pytest.mark.slow)
        for name in HEADS
        for kind in KINDS
    ],
)
def test_graphs_agree_for_any_batch(name: str, kind: str) -> None:
    ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    specs = KINDS[kind]
    module = OnImages(built(name, specs), specs).eval()
    graph = onnx_model(module, torch.zeros(2, 3, 64, 96))
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        images = torch.randn(batch, 3, 64, 96)
        (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        with torch.no_grad():
            expected = module(images).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_linear_head_is_linear_in_the_normalized_maps() -> None:
    head = built("linear", STAGES)
    one, two = sample_maps(STAGES, 64, 64, 1), sample_maps(STAGES, 64, 64, 3)
    one = [each.expand(3, -1, -1, -1) for each in one]
    with torch.no_grad():
        both = head.decode([a + b for a, b in zip(one, two, strict=True)])
        nothing = head.decode([torch.zeros_like(a) for a in one])
        torch.testing.assert_close(both + nothing, head.decode(one) + head.decode(two), rtol=1e-4, atol=1e-3)


def test_a_linear_head_with_a_hidden_width_has_it() -> None:
    head = build_head("linear", STAGES, 5, hidden=24)
    assert {read.out_channels for read in head.readers} == {24} and head.classifier[-1].in_channels == 24


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hiden": 3}, r"Head 'linear' has no option 'hiden'; accepted: hidden\. Did you mean 'hidden'"),
        ({"hidden": -3}, r"Head 'linear' cannot be built with hidden=-3 for maps of 64 channels at 1/16"),
    ],
)
def test_options_that_a_head_does_not_take_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(HeadError, match=words):
        build_head("linear", VIT, 5, **options)


def test_unknown_heads_offer_near_names() -> None:
    with pytest.raises(RecipeError, match=r"Unknown head 'upernett'; accepted: linear, .* Did you mean 'upernet'"):
        build_head("upernett", VIT, 5)


@pytest.mark.parametrize(("specs", "outputs"), [([], 5), ([MapSpec(0, 4)], 5), ([MapSpec(4, 0)], 5), (VIT, 0)])
def test_no_maps_and_no_outputs_are_refused(specs: list[MapSpec], outputs: int) -> None:
    with pytest.raises(HeadError, match=r"at least one map, of at least one channel|ask for 1 or more"):
        build_head("linear", specs, outputs)


@pytest.mark.parametrize("name", ["fpn", "upernet", "dpt"])
def test_reductions_that_make_no_pyramid_are_refused(name: str) -> None:
    specs = [MapSpec(16, 4), MapSpec(32, 8), MapSpec(64, 24)]
    with pytest.raises(HeadError, match=r"have reductions 4, 8, 24; accepted: one reduction for all.*'linear'"):
        build_head(name, specs, 5)
    assert build_head("linear", specs, 5)(sample_maps(specs, 48, 48)).shape == (1, 5, 48, 48)


def test_heads_without_their_package_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("segmentation_models_pytorch")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ExtraError, match=r"pip install 'snnet\[dense\]'"):
        build_head("fpn", STAGES, 5)
    build_head("linear", STAGES, 5)


class Mine(nn.Module):
    def __init__(self, maps: list[MapSpec], outputs: int, scale: int = 16) -> None:
        super().__init__()
        self.read = nn.Conv2d(maps[-1].channels, outputs, 1)
        self.scale = scale

    def forward(self, maps: list[Tensor]) -> Tensor:
        return nn.functional.interpolate(self.read(maps[-1]), scale_factor=self.scale)


def test_a_head_of_ones_own_goes_by_name_or_built(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = snnet.heads.HEADS
    registry.names()
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    registry.register("mine")(Mine)
    assert build_head("mine", VIT, 3)(sample_maps(VIT, 32, 48, 2)).shape == (2, 3, 32, 48)
    head = Mine(VIT, 3)
    assert build_head(head, VIT, 3) is head
    with pytest.raises(HeadError, match=r"Mine is built, and 'scale' would not reach it"):
        build_head(head, VIT, 3, scale=8)
    with pytest.raises(HeadError, match=r"gives \(2, 3, 32, 48\) for 2 images of 64x96, .*\(2, 3, 64, 96\) is wanted"):
        build_head("mine", VIT, 3, scale=8)


def test_images_that_the_first_map_does_not_divide_are_refused() -> None:
    head = build_head("linear", STAGES, 5)
    check_head(head, STAGES, 5, (28, 52))
    with pytest.raises(HeadError, match=r"4x4 pixels, which do not divide images of 28x50; .* such as 28x48 or 28x52"):
        check_head(head, STAGES, 5, (28, 50))


def test_heads_that_do_not_fit_the_maps_are_refused() -> None:
    head = Mine(VIT, 3)
    with pytest.raises(HeadError, match=r"Mine does not run on maps of 32 channels at 1/16: .* with these widths"):
        check_head(head, [MapSpec(32, 16)], 3)
    with pytest.raises(HeadError, match=r"gives \(2, 3, .*\(2, 4, 64, 96\) is wanted: 4 channels at image size"):
        check_head(head, VIT, 4)
    with pytest.raises(HeadError, match="gives list for 2 images"):
        check_head(nn.Identity(), VIT, 4)
