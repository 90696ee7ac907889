"""What is no batch of images for a network is refused before anything runs, and what is one passes every tracer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from snnet.errors import DataError
from snnet.network import SNNet, replicate, stitch

BATCH = torch.zeros(2, 1, 28, 28)


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
    monkeypatch.setattr("snnet.network.network.run_calls", lambda *_: pytest.fail("it ran"))
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
