"""What a model does in its own forward pass, seen by hooks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from snnet.errors import AnchorError


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
        if not isinstance(output, Tensor):
            raise AnchorError(
                f"{path_of(model, module)!r} of {name} gives {type(output).__name__}, not one tensor; features between "
                "blocks must be one tensor."
            )
        visits.append(Visit(module, given.pop(), output.clone()))

    handles = []
    for module in dict.fromkeys(modules):
        handles += [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]
    try:
        logits = _forward(model, images, name)
    finally:
        for handle in handles:
            handle.remove()
    return visits, logits


def _forward(model: nn.Module, images: Tensor, name: str) -> Tensor:
    try:
        logits = model(images)
    except AnchorError:
        raise
    except Exception as error:  # a model of the user's own may raise anything
        raise AnchorError(
            f"{name} cannot run on images of shape (B, {', '.join(map(str, images.shape[1:]))}): {error}"
        ) from error
    if not isinstance(logits, Tensor):
        raise AnchorError(f"{name} gives {type(logits).__name__}; an anchor's forward pass gives one tensor of logits.")
    return logits


def path_of(model: nn.Module, module: nn.Module) -> str:
    """Return the name of a module in the model."""
    names: dict[nn.Module, str] = {part: name for name, part in model.named_modules()}
    return names[module]
