"""Reaching the modules of a route by their names: as fast as holding them, and right after one was exchanged."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from snnet.space import Step


class Run(NamedTuple):
    """What the forward pass of a route does next. There are names alone: networks of the same form can share it.

    Attributes:
        parent: Names that lead from the root to the module that holds those to run, or whose method is called.
        children: Names of modules in it that run one after another.
        method: The name of a method and what it takes before the features, in place of children.
    """

    parent: tuple[str, ...]
    children: tuple[str, ...] = ()
    method: tuple[str, tuple[Any, ...]] | None = None


class Plan(NamedTuple):
    """A route as the forward pass wants it.

    Attributes:
        steps: Its steps, each with the name of the beginning that it ends, for routes with statistics of their own.
        runs: The same as modules, where these do all.
    """

    steps: tuple[tuple[Step, str], ...]
    runs: tuple[Run, ...]


def runs_of(names: Mapping[nn.Module, str], steps: Iterable[tuple[Iterable[nn.Module] | None, Run]]) -> tuple[Run, ...]:
    """Return what a route runs, neighbors under one parent together: to find it takes as long as a small operation.

    Args:
        names: Where each module is below the root, `anchors.1.model.blocks.6`.
        steps: For each step the modules that it runs one after another, None if it does more than that; and the
            call of a method that does it in that case, or if one of the modules has no name.
    """
    runs: list[Run] = []
    for chain, call in steps:
        found = None if chain is None else [names.get(module) for module in chain]
        if found is None or None in found:
            runs.append(call)
            continue
        for name in found:
            *parent, child = str(name).split(".")
            if runs and runs[-1].method is None and runs[-1].parent == tuple(parent):
                runs[-1] = runs[-1]._replace(children=(*runs[-1].children, child))
            else:
                runs.append(Run(tuple(parent), (child,)))
    return tuple(runs)


def run_plan(root: nn.Module, runs: Iterable[Run], features: Tensor) -> Tensor:
    """Run a route, its modules by their names below `root`."""
    for parent, children, method in runs:
        module: Any = root
        for name in parent:
            # What `get_submodule` does too, which checks every name and takes longer than a small block may.
            module = module._modules[name]
        if method is not None:
            features = getattr(module, method[0])(*method[1], features)
            continue
        modules = module._modules
        for name in children:
            features = modules[name](features)
    return features
