# Tested in tests/runtime/engines/test_compile.py.
"""A step as a graph over plain tensors, so that equal steps with other weights are compiled once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim

from snnet.network import Given

_UNIQUE = count()


@dataclass(frozen=True)
class Lowered:
    """A step as a graph whose inputs are its weights and then its features.

    Attributes:
        graph: Takes weights and features, in that order, and returns a list of one tensor.
        weights: The tensors to call it with first; they are those of the network.
        examples: What stands for all inputs while it is compiled.
        key: Equal for graphs that do the same with inputs of the same shapes.
    """

    graph: fx.GraphModule
    weights: tuple[Tensor, ...]
    examples: tuple[Any, ...]
    key: str


def lower(step: nn.Module, features: Given, *, dynamic: bool = False) -> Lowered:
    """Trace a step on an example of its features.

    Args:
        step: The step.
        features: What it takes, of the shape and type that it will be run with.
        dynamic: Leave the number of images open, from 2 on.
    """
    given = several(features)
    batch = {0: Dim("batch", min=2)}
    axes = (batch, tuple(batch for _ in given[1:])) if len(given) > 1 else (batch,)
    shapes = axes if dynamic else None
    with torch.no_grad():
        program = torch.export.export(step, given, dynamic_shapes=shapes, strict=False)
    graph, tensors = program.graph_module, {**program.state_dict, **program.constants}
    specs = program.graph_signature.input_specs
    pairs = list(zip(graph.graph.find_nodes(op="placeholder"), specs, strict=True))
    weights = []
    for node, spec in pairs:
        if spec.target is None:
            continue
        if node.users:
            weights.append(tensors[spec.target])
        else:
            # Such as the count of batches that a batch norm keeps.
            graph.graph.erase_node(node)
    graph.recompile()
    values = [node.meta["val"] for node in graph.graph.find_nodes(op="placeholder")]
    examples = tuple(values) if dynamic else (*weights, *given)
    return Lowered(graph, tuple(weights), examples, fingerprint(graph.graph, examples))


def several(given: Given) -> tuple[Tensor, ...]:
    """Return what a step takes as the tensors that it is."""
    return given if isinstance(given, tuple) else (given,)


def fingerprint(graph: fx.Graph, examples: Sequence[Any]) -> str:
    """Return a text that two graphs share just if they run the same operations on inputs of the same shapes.

    Names do not count. Whatever else than a tensor's facts and literal arguments could make a difference (tensors
    or graphs that hang on the module) makes the text unique.
    """
    numbers = {node: f"%{place}" for place, node in enumerate(graph.nodes)}
    lines = [f"{_facts(example)}" for example in examples]
    for node in graph.nodes:
        target = "" if node.op == "placeholder" else f"{node.target}"
        unique = f" {next(_UNIQUE)}" if node.op == "get_attr" else ""
        arguments = fx.map_arg((node.args, node.kwargs), lambda used: _Name(numbers[used]))
        lines.append(f"{node.op} {target} {arguments}{unique}")
    return "\n".join(lines)


class _Name(str):
    """An argument that is another node, told from a literal text."""

    def __repr__(self) -> str:
        return str(self)


def _facts(example: Any) -> str:
    if isinstance(example, Tensor):
        return f"{tuple(example.shape)} {tuple(example.stride())} {example.dtype} {example.device}"
    return f"{type(example).__name__} {example}"
