"""Optimizers over parameter groups, the learning rate of every step, and anchors that stay as they are."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from snnet.anchors import batch_norms
from snnet.errors import RecipeError
from snnet.network import SNNet
from snnet.training.settings import OptimSettings
from snnet.utils import Share, counted, started_share


def parameter_groups(
    net: SNNet, *, weight_decay: float, anchor_lr_scale: float = 1.0, head_lr_scale: float = 1.0
) -> list[dict[str, Any]]:
    """Split all trainable parameters into stitching layers, anchors and a head over maps, with and without decay.

    Parameters of at most one dimension (norms, biases) and those in an anchor's `no_weight_decay()` do not decay.
    """
    excluded = {
        id(parameter)
        for anchor in net.family
        for name, parameter in anchor.model.named_parameters()
        if name in anchor.no_weight_decay()
    }
    groups, parts = [], [("layers", net.layers, 1.0), ("anchors", net.anchors, anchor_lr_scale)]
    if net.has_head:
        parts.append(("head", net.head, head_lr_scale))
    for name, module, scale in parts:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        plain = [parameter.ndim <= 1 or id(parameter) in excluded for parameter in parameters]
        for suffix, decay, wanted in (("", weight_decay, False), ("_no_decay", 0.0, True)):
            chosen = [p for p, without in zip(parameters, plain, strict=True) if without is wanted]
            if chosen:
                groups.append({"params": chosen, "name": name + suffix, "weight_decay": decay, "lr_scale": scale})
    return groups


def check_batch_norms(net: SNNet, frozen: Collection[int], batch: int) -> None:
    """Refuse batches of which a process gets one image alone, where batch norms learn.

    Args:
        net: The network.
        frozen: Numbers of the anchors that do not learn.
        batch: Images per batch, of all processes together.

    Raises:
        RecipeError: If there is such a batch; the message says which is large enough.
    """
    count = started_share().count
    if all(len(range(batch)[Share(rank, count).of(batch)]) != 1 for rank in range(count)):
        return
    if batch_norms(anchor for number, anchor in enumerate(net.anchors) if number not in frozen):
        enough = 2 * count
        raise RecipeError(
            f"A batch norm cannot learn from one image alone, and a batch of {batch} gives "
            f"{'it no more' if count == 1 else f'one of {count} processes no more'}: give "
            f"batch_size={enough} (--data.batch-size {enough}) or more."
        )


def build_optimizer(net: SNNet, settings: OptimSettings) -> Optimizer:
    """Return the optimizer of `net`.

    Torch's optimizers leave a parameter without gradient alone: neither decay nor momentum moves it.
    """
    scales = settings.model_dump(include={"weight_decay", "anchor_lr_scale", "head_lr_scale"})
    groups = parameter_groups(net, **scales)
    if not groups:
        raise RecipeError("No parameter of the network requires a gradient; there is nothing to train.")
    if settings.optimizer == "adamw":
        # One kernel for all weights: a twentieth to a sixth of a small network's step is saved.
        return AdamW(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps, fused=True)
    return SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov)


def build_schedule(optimizer: Optimizer, settings: OptimSettings, steps: int, warmup: int = 0) -> Scheduler:
    """Return linear warm-up, then a cosine to `min_lr` at `steps`; a function of the step alone.

    Args:
        optimizer: Its rates are set.
        settings: The peak and the end.
        steps: Steps of the whole run.
        warmup: Steps among them over which the rate rises.

    Raises:
        RecipeError: If warm-up takes all steps.
    """
    if steps <= warmup:
        raise RecipeError(
            f"Warm-up takes {warmup:,} of {counted(steps, 'step')} in all, and must leave some; lower it."
        )
    return CosineLRScheduler(
        optimizer,
        # timm warns of a cosine of one step; the first of two has the same rate.
        t_initial=max(2, steps - warmup),
        lr_min=settings.min_lr,
        warmup_t=warmup,
        # From 0 the first step would be wasted.
        warmup_lr_init=settings.lr / (warmup + 1),
        warmup_prefix=True,
        t_in_epochs=False,
    )


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """Return the present rate of the stitching layers (`lr`) and of the anchors (`anchor_lr`)."""
    rates = {str(group["name"]).removesuffix("_no_decay"): float(group["lr"]) for group in optimizer.param_groups}
    return {key: rates[name] for key, name in (("lr", "layers"), ("anchor_lr", "anchors")) if name in rates}


def shares_parameters(one: nn.Module, other: nn.Module) -> bool:
    """Return whether two modules have a parameter in common."""
    return not {id(p) for p in one.parameters()}.isdisjoint(id(p) for p in other.parameters())


@contextmanager
def without_gradients(module: nn.Module) -> Iterator[None]:
    """Within the block, compute no gradient of the module's weights; those that had one get it back."""
    moving = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in moving:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)


def hold_statistics(module: nn.Module) -> None:
    """Let batch norms of a module in training mode normalize with the running statistics they have, and keep these.

    Dropout and stochastic depth go on.
    """
    for norm in batch_norms([module]):
        norm.eval()
