# Tested in tests/anchors/test_from_modules.py.
"""What a model does in its own forward pass, seen by hooks."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snnet.errors import AnchorError
from snnet.utils import evaluating


@dataclass(frozen=True)
class Visit:
    """One call of a module, with copies of what it received and gave: both may be overwritten later."""

    module: nn.Module
    input: Tensor
    output: Tensor


@dataclass(eq=False)
class Call:
    """One call of a module within a forward pass, and where it stands.

    Attributes:
        path: Name of the module in the model.
        module: The module.
        parent: The call within which it happened; None at the top.
        inputs: Everything that it received.
        output: What it gave; None until it returned.
    """

    path: str
    module: nn.Module
    parent: "Call | None"
    inputs: tuple[Any, ...]
    output: Any = None

    @property
    def only_input(self) -> Tensor | None:
        """The one tensor that the module received; None if it received anything else too."""
        one = len(self.inputs) == 1 and isinstance(self.inputs[0], Tensor)
        return self.inputs[0] if one else None


def record(model: nn.Module, modules: Iterable[nn.Module], images: Tensor, name: str) -> tuple[list[Visit], Tensor]:
    """Run `model` and return the calls of some of its modules, in order, and the logits.

    Raises:
        AnchorError: If the model does not run, or a module takes or gives anything but one tensor.
    """
    visits: list[Visit] = []
    given: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if len(args) != 1 or kwargs or not isinstance(args[0], Tensor):
            raise AnchorError(
                f"{path_of(model, module)!r} of {name} receives more than one tensor of features in the model's own "
                "forward pass, so it cannot be a part of a segment by itself."
            )
        given.append(args[0].clone())

    def after(module: nn.Module, _: tuple[Any, ...], output: Any) -> None:
        features = one_tensor(output, f"{path_of(model, module)!r} of {name}")
        visits.append(Visit(module, given.pop(), features.clone()))

    with _hooked(dict.fromkeys(modules), before, after):
        logits = run_part(model, images, name, f"{name} cannot run on a sample")
    return visits, logits


@contextmanager
def _hooked(modules: Collection[nn.Module], before: Callable[..., None], after: Callable[..., None]) -> Iterator[None]:
    """While entered, call these before and after every call of the modules."""
    handles = [module.register_forward_pre_hook(before, with_kwargs=True) for module in modules]
    handles += [module.register_forward_hook(after) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run_part(run: Callable[[Tensor], Any], x: Tensor, name: str, failure: str, advice: str = "") -> Tensor:
    """Run a model or a part of it on one tensor, which may fail in any way: it is the user's own.

    Raises:
        AnchorError: If it fails (`failure` is how the message begins, `advice` how it ends), or gives no one tensor.
    """
    try:
        output = run(x)
    except AnchorError:
        raise
    except Exception as error:
        # An `assert` without a message says nothing by itself.
        reason = str(error) or type(error).__name__
        raise AnchorError(f"{failure} of shape {batch_shape(x.shape[1:])}: {reason}{advice}") from error
    return one_tensor(output, name)


def one_tensor(output: Any, name: str) -> Tensor:
    """Return what a module gives, if that is a tensor, and refuse anything else."""
    if not isinstance(output, Tensor):
        raise AnchorError(
            f"{name} gives {type(output).__name__}, not one tensor; features and logits must be one tensor each."
        )
    return output


def batch_shape(shape: Iterable[int]) -> str:
    """Return how messages write the shape of a batch, `(B, C, H, W)`, from its axes without the first."""
    return f"({', '.join(['B', *map(str, shape)])})"


def path_of(model: nn.Module, module: nn.Module) -> str:
    """Return the name of a module in the model."""
    names: dict[nn.Module, str] = {part: name for name, part in model.named_modules()}
    return names[module]


def calls_of(
    model: nn.Module, run: Callable[[Tensor], Any], x: Tensor, name: str, advice: str = ""
) -> tuple[list[Call], Any]:
    """Run a part of `model` in evaluation mode and return every call of a module in it, in order, and its result.

    Tensors are kept as they are, so that one which goes untouched from module to module is the same object. `advice`
    ends the message if the part does not run.

    Raises:
        AnchorError: If the model does not run.
    """
    calls: list[Call] = []
    open_calls: list[Call] = []
    names: dict[nn.Module, str] = {module: path for path, module in model.named_modules() if path}

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        parent = open_calls[-1] if open_calls else None
        open_calls.append(Call(names[module], module, parent, (*args, *kwargs.values())))
        calls.append(open_calls[-1])

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        open_calls.pop().output = output

    def whole(x: Tensor) -> Tensor:
        output = run(x)
        # Where what is no tensor began says more than that it reached the end.
        first = next((call for call in calls if call.parent is None and not isinstance(call.output, Tensor)), None)
        part = first if first and not isinstance(output, Tensor) else None
        return one_tensor(part.output if part else output, f"{part.path!r} of {name}" if part else name)

    with evaluating(model), torch.no_grad(), _hooked(names, before, after):
        return calls, run_part(whole, x, name, f"{name} cannot run on a sample", advice)
