"""What draws of a task should tell: how far a small change moves its answers."""

import torch
from torch import Tensor

from snnet.tasks import Task


def told_by_draws(task: Task, outputs: Tensor, change: Tensor, count: int = 3000) -> float:
    """Return the divergence that the gradients of draws tell of a change of outputs, both of one image."""
    torch.manual_seed(0)
    features = outputs.clone().requires_grad_()
    drawn = task.draws(task.answers(features), count)
    each = torch.autograd.grad(drawn, features, torch.eye(count), is_grads_batched=True)[0]
    return float((each * change).flatten(1).sum(1).square().mean()) / 2
