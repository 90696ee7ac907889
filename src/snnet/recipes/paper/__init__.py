"""The experiments of Stitchable Neural Networks (arXiv 2302.06586), each one command."""

from snnet.recipes.paper.catalogue import (
    CHART,
    EXPERIMENTS,
    FIGURES,
    Claim,
    Family,
    PaperExperiment,
    Scale,
    Variant,
    find_experiments,
    place_of,
)
from snnet.recipes.paper.chart import TIMM_MODELS, published_table, write_chart
from snnet.recipes.paper.outcome import Outcome, perform
from snnet.recipes.paper.runs import Bench
from snnet.recipes.paper.verdict import Finding, Verdict, judge

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
