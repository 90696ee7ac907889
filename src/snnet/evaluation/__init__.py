"""Accuracy and loss of stitches: resumable, no step run twice on a batch; and predicted where a few say enough."""

from snnet.evaluation.evaluation import evaluate, plan_groups
from snnet.evaluation.partial import evaluate_some
from snnet.evaluation.prediction import PredictedScores, predict_scores
from snnet.evaluation.scores import Scores
from snnet.evaluation.windows import WindowKind, Windows

__all__ = [
    "PredictedScores",
    "Scores",
    "WindowKind",
    "Windows",
    "evaluate",
    "evaluate_some",
    "plan_groups",
    "predict_scores",
]
