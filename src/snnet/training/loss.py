"""The loss of one stitch: labels, and a teacher where there is one."""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from snnet.errors import RecipeError
from snnet.route import Stitch
from snnet.training.distillation import Distillation


class StitchLoss(nn.Module):
    """`(1 - alpha) * label loss + alpha * distillation` (Stitchable Neural Networks, algorithm 1).

    Args:
        smoothing: Label smoothing of integer labels. Soft targets, as mixup makes them, are taken as they are:
            give the smoothing to `timm.data.Mixup` then.
        distillation: The teacher's part, with its weight alpha; None for labels alone.
    """

    def __init__(self, *, smoothing: float = 0.0, distillation: Distillation | None = None) -> None:
        super().__init__()
        if not 0.0 <= smoothing < 1.0:
            raise RecipeError(f"Label smoothing is {smoothing}; it must be at least 0 and below 1.")
        self.smoothing = smoothing
        self.distillation = distillation

    def forward(self, logits: Tensor, targets: Tensor, images: Tensor, stitch: Stitch) -> Tensor:
        """Return the scalar loss.

        Args:
            logits: `(B, classes)` of the network.
            targets: Labels `(B,)`, or probabilities `(B, classes)`.
            images: `(B, C, H, W)`, what the network received; the teacher receives the same.
            stitch: The route that gave the logits.
        """
        logits = logits.float()
        smoothing = 0.0 if targets.is_floating_point() else self.smoothing
        label_loss = cross_entropy(logits, targets, label_smoothing=smoothing)
        if self.distillation is None:
            return label_loss
        alpha = self.distillation.alpha
        taught: Tensor = self.distillation(logits, images, stitch)
        return (1 - alpha) * label_loss + alpha * taught

    def describe(self) -> dict[str, object]:
        """Return what distinguishes this loss; a run resumes only with an equal description."""
        part = self.distillation
        return {"smoothing": self.smoothing, "distillation": None if part is None else part.describe()}
