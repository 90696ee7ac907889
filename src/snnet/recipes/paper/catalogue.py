"""All experiments by name, and where the paper shows them: `experiments.yaml`, read."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import yaml
from pydantic import TypeAdapter

from snnet.errors import RecipeError, did_you_mean
from snnet.recipes.paper.values import Family, PaperExperiment

_CONTENT: Mapping[str, Any] = yaml.safe_load(
    files("snnet.recipes.paper").joinpath("experiments.yaml").read_text(encoding="utf-8")
)

FAMILIES: Mapping[str, Family] = TypeAdapter(dict[str, Family]).validate_python(_CONTENT["families"])
"""The families that the paper made networks of."""
FIGURES: Mapping[str, tuple[str, ...]] = TypeAdapter(dict[str, tuple[str, ...]]).validate_python(_CONTENT["figures"])
"""Numbers of tables and figures in the paper -> the experiments that they show."""


_READ = TypeAdapter(PaperExperiment)


def _experiment(content: Mapping[str, Any]) -> PaperExperiment:
    """Return one experiment; its variants are of its family, DeiT if it names none."""
    own = {key: value for key, value in content.items() if key != "family"}
    family = FAMILIES[content.get("family", "deit")]
    variants = [{"family": family, **each} for variant in content["variants"] for each in _expanded(variant)]
    return _READ.validate_python({**own, "variants": variants})


def _expanded(variant: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a variant, or in place of one with `each` a variant per stitch, which trains that stitch alone."""
    common = {key: value for key, value in variant.items() if key != "each"}
    if "each" not in variant:
        yield common
    for stitch in variant.get("each", ()):
        yield {**common, "only": [stitch], "overrides": {**common["overrides"], "sampler.options.stitch": stitch}}


EXPERIMENTS = {content["name"]: _experiment(content) for content in _CONTENT["experiments"]}
"""Every experiment by what it is about."""

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
