# Tested in tests/profiling/test_memory.py.
"""What steps are given: random numbers of the shapes that features have along the routes."""

from collections.abc import Iterable

import torch
from torch import Tensor

from snnet.network import SNNet, replicate
from snnet.runtime.engines import Conditions
from snnet.space import Step, Stitch


def random_images(net: SNNet, batch: int, conditions: Conditions, seed: int) -> Tensor:
    """Return random images `(batch, C, H, W)`."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, *net.input.size, generator=generator)
    return images.to(conditions.device, conditions.dtype)


def step_inputs(net: SNNet, routes: Iterable[Stitch], images: Tensor, conditions: Conditions) -> dict[Step, Tensor]:
    """Return an input for each step of the routes, random but for the images, which stems are given.

    What a step receives has one shape whatever the route, because stitching layers map to just that shape. Steps with
    inputs of one shape share one tensor.
    """

    def shape_only(tensor: Tensor) -> Tensor:
        dtype = conditions.dtype if tensor.is_floating_point() else tensor.dtype
        return torch.empty_like(tensor, device="meta", dtype=dtype)

    replica = replicate(net, shape_only)
    shapes: dict[Step, Tensor] = {}
    outputs: dict[Step, Tensor] = {}
    with torch.no_grad():
        for route in routes:
            features = torch.empty_like(images, device="meta")
            for step in net.steps(route):
                if step not in outputs:
                    shapes[step] = features
                    outputs[step] = replica.run_step(step, features)
                features = outputs[step]
    tensors = {_kind(images): images}
    for shape in shapes.values():
        if _kind(shape) not in tensors:
            tensors[_kind(shape)] = torch.empty_like(shape, device=conditions.device).normal_()
    return {step: tensors[_kind(shape)] for step, shape in shapes.items()}


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype
