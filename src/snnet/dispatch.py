"""Reaching the modules of a step by their names: as fast as holding them, and right after one was exchanged."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from snnet.steps import Step

Path = tuple[str, ...]


class PlannedStep(NamedTuple):
    """One step of a route as the forward pass wants it.

    Attributes:
        step: The step.
        prefix: Name of the beginning of the route that it ends.
        paths: Names of the modules that it runs one after another; None if it does more than that.
    """

    step: Step
    prefix: str
    paths: tuple[Path, ...] | None


def paths_of(names: Mapping[nn.Module, str], chain: Iterable[nn.Module] | None) -> tuple[Path, ...] | None:
    """Return where the modules of a chain are, or None without a chain or if one of them has no name."""
    if chain is None:
        return None
    found = [names.get(module) for module in chain]
    return None if None in found else tuple(tuple(name.split(".")) for name in found if name is not None)


def run_paths(root: nn.Module, paths: Iterable[Path], features: Tensor) -> Tensor:
    """Run the modules at these paths below `root`, one after another."""
    for path in paths:
        module = root
        for name in path:
            # What `get_submodule` does too, which checks every name and takes longer than a small block may.
            module = module._modules[name]  # type: ignore[assignment]
        features = module(features)
    return features


def run_plan(
    root: nn.Module, plan: Iterable[PlannedStep], features: Tensor, run_step: Callable[[Step, Tensor], Tensor]
) -> Tensor:
    """Run a route: modules as `run_paths` does, and `run_step` for steps that are more than modules."""
    for step, _, paths in plan:
        features = run_step(step, features) if paths is None else run_paths(root, paths, features)
    return features
