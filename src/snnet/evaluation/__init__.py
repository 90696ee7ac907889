"""Accuracy and loss of every stitch: resumable, and no step run twice on a batch."""

from snnet.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
