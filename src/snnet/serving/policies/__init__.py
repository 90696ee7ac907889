"""The policies there are: ours, that of SuperServe, and plain ones to compare with."""

from snnet.serving.policies.elastic import ElasticPolicy
from snnet.serving.policies.plain import FixedPolicy, MaxAccuracyPolicy, MaxBatchPolicy
from snnet.serving.policies.slackfit import SlackFitPolicy
from snnet.serving.policies.switching import SwitchingPolicy

__all__ = [
    "ElasticPolicy",
    "FixedPolicy",
    "MaxAccuracyPolicy",
    "MaxBatchPolicy",
    "SlackFitPolicy",
    "SwitchingPolicy",
]
