import pytest
import torch

from snnet.init import Solution
from snnet.network import SNNet
from snnet.searching.sensitivity import Sensitivities
from snnet.space import Cut
from snnet.tasks import Classification


def test_small_errors_cause_the_divergence_that_gradients_tell(tiny_net: SNNet) -> None:
    """Against the divergence itself, of an anchor that is given its own features with a little noise."""
    torch.manual_seed(0)
    images, cut = torch.randn(12, 1, 28, 28), Cut(2, 1, 2, 3)
    anchor = tiny_net.anchor(2)
    with torch.no_grad():
        # Answers that differ between images, or the gradients of drawn classes say little.
        anchor.model.head.weight.mul_(30)
        sensed = Sensitivities(tiny_net, images, draws=100)
        front, back = sensed.features[2, 1], sensed.features[2, 2]
        width = front.shape[-1]
        weight = torch.linalg.lstsq(front.flatten(0, 1), back.flatten(0, 1)).solution
        found = []
        for part in (0.02, 0.04):
            noisy = weight + part * weight.std() * torch.randn(width, width)
            bias = (back - front @ weight).flatten(0, 1).mean(0)
            told = sensed.divergence(cut, Solution(noisy, bias, width))
            answers = Classification().answers(anchor.head(anchor.run(front @ noisy + bias, 3, 4)))
            own = Classification().answers(anchor.head(anchor.run(back, 3, 4)))
            found.append((told, float(Classification().divergence(own, answers).mean())))
    for told, truth in found:
        assert told == pytest.approx(truth, rel=0.35)
    assert all(grad.requires_grad is False for grads in sensed.gradients.values() for grad in grads)
