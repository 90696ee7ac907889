"""What is no batch of images for a network is refused before anything runs, and what is one passes every tracer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import Mixup
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from snnet.errors import DataError
from snnet.evaluation import evaluate
from snnet.init import initialize, recalibrate
from snnet.network import SNNet, replicate, stitch
from snnet.profiling import count_costs
from snnet.runtime import Runtime
from snnet.tasks import Classification
from snnet.training import RunSettings, Trainer

BATCH = torch.zeros(2, 1, 28, 28)
LABELS = torch.tensor([3, 9])


class Once:
    """Training batches: this one, again and again."""

    def __init__(self, *batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return 1

    def epoch(self, *_: Any) -> Any:
        yield self.batch


def fit(net: SNNet, *batch: Any, mixup: Mixup | None = None, precision: str = "fp32") -> None:
    run = RunSettings(steps=1, device="cpu", precision=precision, trackers=())
    Trainer(net, Once(*batch), run=run, mixup=mixup).fit(progress=False)


def run_time(net: SNNet, images: Any, _: Any) -> None:
    net.table = count_costs(net).with_column("top1", {route.id: 50.0 for route in net.space})
    with Runtime(net, stitches=[0]) as runtime:
        runtime(images, stitch=0)


LABELLED: dict[str, Callable[..., Any]] = {
    "fit": fit,
    "fit with mixup": lambda net, *batch: fit(net, *batch, mixup=Mixup(0.8, num_classes=10)),
    "fit in bf16": lambda net, *batch: fit(net, *batch, precision="bf16"),
    "evaluate": lambda net, *batch: evaluate(net, [batch], stitches=[0], progress=False),
    "evaluate in bf16": lambda net, *batch: evaluate(net, [batch], stitches=[0], precision="bf16", progress=False),
}
IMAGES_ALONE: dict[str, Callable[..., Any]] = {
    "net": lambda net, images, _: net(images),
    "Runtime": run_time,  # of a bundle: in tests/runtime/test_bundle.py
}
ANY_TYPE: dict[str, Callable[..., Any]] = {
    "initialize": lambda net, *batch: initialize(net, [batch], progress=False),
    "recalibrate": lambda _, *batch: recalibrate(stitch("resnet_fm_small", "resnet_fm_base"), [batch], progress=False),
}


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (BATCH[0], r"have shape \(1, 28, 28\); expected float images \(N, 1, 28, 28\), .*image\[None\]"),
        (BATCH[..., :20], r"have shape \(2, 1, 28, 20\); expected float images \(N, 1, 28, 28\)"),
        (BATCH.expand(2, 3, 28, 28), r"have shape \(2, 3, 28, 28\)"),
        (BATCH.byte(), "are torch.uint8; expected float images"),
        (BATCH.double(), r"are torch.float64 and the network torch.float32; give images.to\(net.dtype\)"),
        (BATCH.to("meta"), r"are on meta and the network on cpu; give images.to\(net.device\)"),
        (BATCH.numpy(), r"are a ndarray; expected float images .*, as a tensor.*net.predict\(images\)"),
        (Image.fromarray(np.zeros((28, 28), np.uint8)), r"are a Image; .*net.predict\(images\)"),
        ([BATCH[0]], "are a list"),
    ],
)
@pytest.mark.parametrize("of", [lambda net: net, lambda net: net.at(3)], ids=["net", "at"])
def test_what_is_no_batch_is_refused(
    tiny_net: SNNet, of: Callable[[SNNet], Any], images: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnet.network.routing.run_calls", lambda *_: pytest.fail("it ran"))
    with pytest.raises(DataError, match=message):
        of(tiny_net)(images)


def test_a_network_in_half_precision_says_how_images_become_so(tiny_net: SNNet) -> None:
    half = replicate(tiny_net, lambda tensor: tensor.to(torch.bfloat16))
    with pytest.raises(DataError, match=r"torch.float32 and the network torch.bfloat16; give images.to\(net.dtype\)"):
        half(BATCH)
    assert half(BATCH.to(half.dtype)).dtype == half.dtype == torch.bfloat16


@torch.no_grad()
def test_mixed_precision_takes_both(tiny_net: SNNet) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tiny_net(BATCH + 0.5, 3), tiny_net((BATCH + 0.5).bfloat16(), 3))


@torch.no_grad()
def test_weights_in_another_type_than_the_network_was_made_in(tiny_net: SNNet) -> None:
    """As `load_state_dict(assign=True)` leaves them: the weights decide."""
    tiny_net.load_state_dict({name: value.double() for name, value in tiny_net.state_dict().items()}, assign=True)
    assert tiny_net(BATCH.double()).dtype == torch.float64


@torch.no_grad()
def test_layouts_fake_tensors_shapes_alone_and_functions_of_the_weights_pass(tiny_net: SNNet) -> None:
    images = torch.randn(2, 1, 28, 28)
    assert torch.equal(tiny_net(images.to(memory_format=torch.channels_last), 3), tiny_net(images, 3))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert tiny_net(mode.from_tensor(images), 3).shape == (2, 10)
    on_meta = replicate(tiny_net, lambda tensor: tensor.to("meta"))
    assert on_meta(images.to("meta"), 3).shape == (2, 10)
    state: dict[str, Tensor] = dict(tiny_net.named_parameters())
    assert torch.equal(torch.func.functional_call(tiny_net, state, (images, 3)), tiny_net(images, 3))


@torch.no_grad()
def test_compilers_and_exporters_take_a_stitch_that_never_ran(tiny_net: SNNet) -> None:
    images = torch.randn(2, 1, 28, 28)
    torch.compiler.reset()
    compiled = torch.compile(tiny_net.at(4), backend="eager", fullgraph=True, dynamic=True)
    sizes = {0: torch.export.Dim("batch", min=2)}
    exported = torch.export.export(tiny_net.at(5), (images,), dynamic_shapes=(sizes,)).module()
    for batch in (images, torch.randn(5, 1, 28, 28)):
        torch.testing.assert_close(compiled(batch), tiny_net(batch, 4))
        torch.testing.assert_close(exported(batch), tiny_net(batch, 5))


def test_other_heights_and_widths_where_all_anchors_take_them() -> None:
    net = stitch("resnet_fm_small", "resnet_fm_base").eval()
    assert net(torch.randn(2, 1, 36, 44), net.space[-1]).shape == (2, 10)
    with pytest.raises(DataError, match=r"have shape \(2, 3, 36, 44\); expected float images \(N, 1, 28, 28\)"):
        net(torch.randn(2, 3, 36, 44), 0)
    mixed = stitch("resnet_fm_small", "swin_fm_base").eval()
    with pytest.raises(DataError, match=r"have shape \(2, 1, 36, 44\)"):
        mixed(torch.randn(2, 1, 36, 44), 0)


@pytest.mark.parametrize("use", LABELLED)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS - 103, r"Label -100 does not fit a network of 10 classes \(0 to 9\)"),
        (LABELS + 1, "Label 10 does not fit"),
        (LABELS.float(), r"integer labels \(B,\), not \(2, 1, 28, 28\) with torch.float32 \(2,\)"),
        (torch.rand(2, 10), r"with torch.float32 \(2, 10\)"),
        (LABELS[:1], r"not \(2, 1, 28, 28\) with torch.int64 \(1,\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused_by_all(tiny_net: SNNet, use: str, labels: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LABELLED[use](tiny_net, BATCH, labels)


@pytest.mark.parametrize("use", LABELLED | IMAGES_ALONE | ANY_TYPE)
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (BATCH.expand(2, 3, 28, 28), r"have shape \(2, 3, 28, 28\); expected float images \(N, 1, 28, 28\)"),
        (BATCH.byte(), "are torch.uint8; expected float images"),
        (BATCH.double(), r"are torch.float64 and the network torch.(float32|bfloat16)"),
        (BATCH[..., :20], r"have shape \(2, 1, 28, 20\)"),
    ],
    ids=["RGB", "uint8", "float64", "narrow"],
)
def test_images_that_do_not_fit_are_refused_by_all(tiny_net: SNNet, use: str, images: Tensor, message: str) -> None:
    if use in ANY_TYPE and images.dtype == torch.float64:
        pytest.skip("takes any type of float")
    with pytest.raises(DataError, match=message):
        (LABELLED | IMAGES_ALONE | ANY_TYPE)[use](tiny_net, images, LABELS)


@pytest.mark.parametrize("use", LABELLED)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_labels_of_any_whole_type_are_taken(tiny_net: SNNet, use: str, dtype: torch.dtype) -> None:
    LABELLED[use](tiny_net, BATCH + 0.5, LABELS.to(dtype))
    assert Classification().checked((BATCH, LABELS.to(dtype)), 10)[1].dtype == torch.int64
