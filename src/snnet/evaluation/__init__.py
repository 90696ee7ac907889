"""Accuracy and loss of stitches: resumable, no step run twice on a batch; and predicted where a few say enough."""

from snnet.evaluation.evaluate import evaluate
from snnet.evaluation.predict import predict
from snnet.evaluation.prediction import Prediction, predict_scores

__all__ = ["Prediction", "evaluate", "predict", "predict_scores"]
