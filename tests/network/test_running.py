import numpy as np
import torch

from snnet.network import SNNet
from snnet.network.running import runner

PIXELS = np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32)


def test_arrays_to_arrays(tiny_net: SNNet) -> None:
    with torch.no_grad():
        expected = tiny_net(torch.from_numpy(PIXELS), 4).numpy()
    np.testing.assert_allclose(runner(tiny_net)(PIXELS, tiny_net.space[4]), expected, atol=1e-6)


def test_the_network_stays_as_it_was(tiny_net: SNNet) -> None:
    tiny_net.train()
    tiny_net.anchor(0).eval()
    before = {name: module.training for name, module in tiny_net.named_modules()}
    logits = runner(tiny_net)(PIXELS, tiny_net.space[4])
    assert {name: module.training for name, module in tiny_net.named_modules()} == before
    assert np.array_equal(logits, runner(tiny_net.eval())(PIXELS, tiny_net.space[4]))


def test_a_network_of_half_precision(tiny_net: SNNet) -> None:
    expected = runner(tiny_net)(PIXELS, tiny_net.space[4])
    found = runner(tiny_net.bfloat16())(PIXELS, tiny_net.space[4])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.05)
