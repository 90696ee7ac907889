"""All experiments by name, and where the paper shows them."""

from snnet.errors import RecipeError, did_you_mean
from snnet.recipes.paper.ablations import ABLATIONS
from snnet.recipes.paper.families import NETWORKS
from snnet.recipes.paper.values import PaperExperiment

EXPERIMENTS = {experiment.name: experiment for experiment in (*NETWORKS, *ABLATIONS)}
"""Every experiment by what it is about."""

# Correct a number here, and nowhere else. Those of the appendix, from 12 on, are not certain.
FIGURES = {
    "table-1": ("alone",),
    "figure-6": ("deit",),
    "figure-7": ("swin",),
    "figure-8": ("resnet", "resnet-swin"),
    "figure-9": ("initialization",),
    "figure-10": ("direction", "nearest"),
    "figure-11": ("tuning",),
    "figure-12": ("windows",),
    "figure-13": ("epochs",),
    "figure-14": ("sandwich", "scratch", "calibration"),
    "figure-15": ("levit", "layerdrop"),
}
"""Numbers of tables and figures in the paper -> the experiments that they show."""

CHART = "figure-2"
"""The chart of one stitched network among many individual models."""


def find_experiments(name: str) -> dict[str, PaperExperiment]:
    """Return the experiments of a name, `figure-10` or `direction`, each under the name that its files get.

    Raises:
        RecipeError: If there is none.
    """
    if name in EXPERIMENTS:
        return {name: EXPERIMENTS[name]}
    if name not in FIGURES:
        known = [CHART, *FIGURES, *EXPERIMENTS]
        raise RecipeError(f"There is no experiment {name!r}; there are {', '.join(known)}.{did_you_mean(name, known)}")
    parts = FIGURES[name]
    return {name if len(parts) == 1 else f"{name}-{part}": EXPERIMENTS[part] for part in parts}


def place_of(name: str) -> str:
    """Return the number of the figure or table that shows an experiment; empty if the paper has none."""
    return next((figure for figure, names in FIGURES.items() if name in names), "")
