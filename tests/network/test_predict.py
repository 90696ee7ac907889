"""What a network computes for `predict`: its own forward pass, wherever it is and in whatever mode."""

import numpy as np
import torch

from snnet.network import Prediction, SNNet

IMAGES = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def probabilities(net: SNNet) -> np.ndarray:
    found = net.predict(IMAGES, 4)
    assert isinstance(found, list) and all(isinstance(each, Prediction) for each in found)
    return np.stack([each.probabilities for each in found])


def test_the_network_itself_answers(tiny_net: SNNet) -> None:
    with torch.no_grad():
        expected = tiny_net(IMAGES, 4).double().softmax(1).numpy()
    np.testing.assert_allclose(probabilities(tiny_net), expected, atol=1e-7)


def test_the_network_stays_as_it_was(tiny_net: SNNet) -> None:
    tiny_net.train()
    tiny_net.anchor(0).eval()
    before = {name: module.training for name, module in tiny_net.named_modules()}
    found = probabilities(tiny_net)
    assert {name: module.training for name, module in tiny_net.named_modules()} == before
    assert np.array_equal(found, probabilities(tiny_net.eval()))


def test_a_network_of_half_precision(tiny_net: SNNet) -> None:
    expected = probabilities(tiny_net)
    found = probabilities(tiny_net.bfloat16())
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert not np.allclose(found, expected, atol=1e-7), "the network itself ran in its own type of number"
