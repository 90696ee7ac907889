"""The ONNX graph of a stitch computes the stitch for any batch, and names weights as the network does."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnet.errors import ExportError
from snnet.export import INPUT, OUTPUT, onnx_model
from snnet.init import recalibrate
from snnet.network import SNNet
from tests.batch_norm_family import build_conv_net
from tests.helpers.onnx import open_session

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")


def graph_of(net: SNNet, stitch: int | str) -> Any:
    return onnx_model(net.at(stitch).to_module(share=True), torch.zeros(1, *net.input.size))


def weights_of(model: Any) -> dict[str, np.ndarray]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def run(model: Any, images: Tensor) -> np.ndarray:
    session = open_session(model)
    result: np.ndarray = session.run([OUTPUT], {INPUT: images.numpy()})[0]
    return result


def test_any_batch_and_the_names_of_the_network(tiny_net: SNNet) -> None:
    stitch = "0:0-2,1:2-4"
    model = graph_of(tiny_net, stitch)
    onnx.checker.check_model(model, full_check=True)
    for count in (1, 2, 5):
        images = torch.randn(count, *tiny_net.input.size)
        expected = tiny_net(images, stitch).detach()
        assert run(model, images) == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-5)
    state = {name: value.numpy() for name, value in tiny_net.state_dict().items()}
    used = {id(p) for p in tiny_net.parameters_of(stitch)}
    found = weights_of(model)
    for name, parameter in tiny_net.named_parameters():
        stored = found.get(name, found.get(f"{name}.T"))
        assert (stored is not None) == (id(parameter) in used), name
        if stored is not None:
            assert np.array_equal(stored, state[name] if name in found else state[name].T)
    rest = {name for name in found if name.removesuffix(".T") not in state}
    assert all(name.startswith("constant.") and found[name].nbytes < 1000 for name in rest)


def test_equal_names_are_equal_tensors(tiny_net: SNNet) -> None:
    first, second = (weights_of(graph_of(tiny_net, stitch)) for stitch in ("0:0-2,1:2-4", "1:0-3,2:3-4"))
    both = first.keys() & second.keys()
    assert any(name.endswith(".T") for name in both) and any(name.startswith("constant.") for name in both)
    assert all(np.array_equal(first[name], second[name]) for name in both)


def test_weights_before_batch_norms_stay_whole() -> None:
    net = build_conv_net()
    images = torch.randn(16, *net.input.size)
    recalibrate(net, images)
    model = graph_of(net, 4)
    with torch.no_grad():
        assert run(model, images) == pytest.approx(net(images, 4).numpy(), rel=1e-4, abs=1e-5)
    found, state = weights_of(model), net.state_dict()
    kernels = [name for name, value in found.items() if value.ndim == 4 and not name.startswith("constant.")]
    assert len(kernels) >= 4
    assert all(np.array_equal(found[name], state[name].numpy()) for name in kernels)
    assert sum(node.op_type == "BatchNormalization" for node in model.graph.node) >= 5


def test_a_module_that_is_no_graph_is_refused() -> None:
    class Choosy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1) if images.sum() > 0 else images.flatten(1) + 1

    with pytest.raises(ExportError, match="cannot write this stitch as one graph"):
        onnx_model(Choosy(), torch.zeros(2, 1, 4, 4))
