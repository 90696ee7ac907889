"""Reaching the modules of a route by their names: as fast as holding them, and right after one was exchanged."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from snnet.steps import Step


class Run(NamedTuple):
    """What the forward pass of a route does next.

    Attributes:
        parent: Names that lead from the root to the module that holds those to run.
        children: Their names in it: modules that run one after another.
        call: A step that is more than modules, in place of all that.
    """

    parent: tuple[str, ...]
    children: tuple[str, ...]
    call: Callable[[Tensor], Tensor] | None = None


class Plan(NamedTuple):
    """A route as the forward pass wants it.

    Attributes:
        steps: Its steps, each with the name of the beginning that it ends, for routes with statistics of their own.
        runs: The same as modules, where these do all.
    """

    steps: tuple[tuple[Step, str], ...]
    runs: tuple[Run, ...]


def runs_of(
    names: Mapping[nn.Module, str], steps: Iterable[tuple[Iterable[nn.Module] | None, Callable[[Tensor], Tensor]]]
) -> tuple[Run, ...]:
    """Return what a route runs, neighbors under one parent together: to find it takes as long as a small operation.

    Args:
        names: Where each module is below the root, `anchors.1.model.blocks.6`.
        steps: For each step the modules that it runs one after another, None if it does more than that; and what
            runs it in that case, or if one of the modules has no name.
    """
    runs: list[Run] = []
    for chain, call in steps:
        found = None if chain is None else [names.get(module) for module in chain]
        if found is None or None in found:
            runs.append(Run((), (), call))
            continue
        for name in found:
            *parent, child = str(name).split(".")
            if runs and runs[-1].call is None and runs[-1].parent == tuple(parent):
                runs[-1] = runs[-1]._replace(children=(*runs[-1].children, child))
            else:
                runs.append(Run(tuple(parent), (child,)))
    return tuple(runs)


def run_all(root: nn.Module, runs: Iterable[Run], features: Tensor) -> Tensor:
    """Run a route, its modules by their names below `root`."""
    for parent, children, call in runs:
        if call is not None:
            features = call(features)
            continue
        # What `get_submodule` does too, which checks every name and takes longer than a small block may.
        modules = root._modules
        for name in parent:
            modules = modules[name]._modules  # type: ignore[union-attr]
        for name in children:
            features = modules[name](features)  # type: ignore[misc]
    return features
