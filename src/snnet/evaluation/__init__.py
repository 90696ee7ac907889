"""Accuracy and loss of stitches: resumable, no step run twice on a batch; and predicted where a few say enough."""

from snnet.evaluation.evaluation import evaluate
from snnet.evaluation.partial import predict
from snnet.evaluation.prediction import Prediction, predict_scores
from snnet.evaluation.scores import Scores

__all__ = ["Prediction", "Scores", "evaluate", "predict", "predict_scores"]
