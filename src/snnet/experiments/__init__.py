"""The experiments of Stitchable Neural Networks (arXiv 2302.06586), each one command."""

from snnet.experiments.catalogue import CHART, EXPERIMENTS, FIGURES, find_experiments, place_of
from snnet.experiments.chart import write_chart
from snnet.experiments.perform import Outcome, perform
from snnet.experiments.published import TIMM_MODELS, published_table
from snnet.experiments.runs import Bench
from snnet.experiments.values import Claim, Family, PaperExperiment, Scale, Variant
from snnet.experiments.verdict import Finding, Verdict, judge

__all__ = [
    "CHART",
    "EXPERIMENTS",
    "FIGURES",
    "TIMM_MODELS",
    "Bench",
    "Claim",
    "Family",
    "Finding",
    "Outcome",
    "PaperExperiment",
    "Scale",
    "Variant",
    "Verdict",
    "find_experiments",
    "judge",
    "perform",
    "place_of",
    "published_table",
    "write_chart",
]
