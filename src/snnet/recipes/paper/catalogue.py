"""All experiments of the paper as values, read from `experiments.yaml`, and where the paper shows them."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from snnet.errors import RecipeError, did_you_mean

Scale = Literal["embedded", "imagenet"]
"""Size of an experiment: the data and anchors of the package, or the published ones."""
State = Literal["trained", "untrained", "anchors"]
Relation = Literal["above", "at least", "near"]
MeasureName = Literal["mean", "lowest", "curve", "rank", "gap"]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Family:
    """Anchors with the paper's way of training them.

    Attributes:
        name: Short, for messages.
        recipes: Scale -> recipe of the package.
        anchors: Scale -> recipe that trains the anchors first, where none come with weights.
    """

    name: str
    recipes: Mapping[Scale, str]
    anchors: Mapping[Scale, str] = Field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class Variant:
    """One row of an experiment: a family, and what is different.

    Variants whose recipes agree are one run, whatever is evaluated of it; variants with one label are one row.

    Attributes:
        label: What pictures and tables call it.
        family: Where the recipe comes from.
        overrides: Dotted setting -> value, over the recipe.
        defaults: Scale -> further settings at that scale, which a user's own win over.
        state: What is evaluated: the network after training, before it (initialized only), or its anchors as they
            came.
        length: Scale -> the length of training, as a multiple of the recipe's; 1 if it is not named.
        only: Ids of the stitches that are evaluated; all if empty.
        layer_drop: Train the largest anchor alone, dropping each block with this probability, and evaluate crops.
        panel: Heading of the part of the picture that it is drawn in.
    """

    label: str
    family: Family
    overrides: Mapping[str, Any] = Field(default_factory=dict)
    defaults: Mapping[Scale, Mapping[str, Any]] = Field(default_factory=dict)
    state: State = "trained"
    length: Mapping[Scale, float] = Field(default_factory=dict)
    only: tuple[str, ...] = ()
    layer_drop: float | None = None
    panel: str = ""


@dataclass(frozen=True, config=_STRICT)
class Claim:
    """A comparison that holds if the paper's observation does.

    Attributes:
        measure: What is compared, see `MEASURES`.
        left: Label of a variant.
        relation: `above` (by more than the margin), `at least` (not below by more than it), or `near` (within it).
        right: Label of another variant, or a number.
        margin: In the measure's own unit, mostly points of top-1.
    """

    measure: MeasureName
    left: str
    relation: Relation
    right: str | float
    margin: float = 0.0


@dataclass(frozen=True, config=_STRICT)
class PaperExperiment:
    """One experiment of Stitchable Neural Networks (arXiv 2302.06586).

    Attributes:
        name: What it is about, in a word.
        title: Heading.
        observation: What the paper says it shows, in our words.
        variants: What is run.
        claims: The observation as comparisons.
        published: Name of the published table that is shown beside ours.
        by_stitch: Whether stitches are shown row by row next to the paper's table 1.
    """

    name: str
    title: str
    observation: str
    variants: tuple[Variant, ...]
    claims: tuple[Claim, ...]
    published: str | None = None
    by_stitch: bool = False


_CONTENT: Mapping[str, Any] = yaml.safe_load(
    files("snnet.recipes.paper").joinpath("experiments.yaml").read_text(encoding="utf-8")
)

FAMILIES: Mapping[str, Family] = TypeAdapter(dict[str, Family]).validate_python(_CONTENT["families"])
"""The families that the paper made networks of."""
FIGURES: Mapping[str, tuple[str, ...]] = TypeAdapter(dict[str, tuple[str, ...]]).validate_python(_CONTENT["figures"])
"""Numbers of tables and figures in the paper -> the experiments that they show."""


def _experiment(content: Mapping[str, Any]) -> PaperExperiment:
    """Return one experiment; its variants are of its family, DeiT if it names none."""
    own = {key: value for key, value in content.items() if key != "family"}
    family = FAMILIES[content.get("family", "deit")]
    variants = [{"family": family, **each} for variant in content["variants"] for each in _expanded(variant)]
    return TypeAdapter(PaperExperiment).validate_python({**own, "variants": variants})


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
    stems = {figure: _stems(figure) for figure in FIGURES}
    # The parts of a figure also go by the names of their pages.
    pages = {stem: {stem: one} for parts in stems.values() for stem, one in parts.items()} | stems
    if name not in pages:
        known = [CHART, *pages, *EXPERIMENTS]
        raise RecipeError(f"There is no experiment {name!r}; there are {', '.join(known)}.{did_you_mean(name, known)}")
    return pages[name]


def _stems(figure: str) -> dict[str, PaperExperiment]:
    parts = FIGURES[figure]
    return {figure if len(parts) == 1 else f"{figure}-{part}": EXPERIMENTS[part] for part in parts}


def place_of(name: str) -> str:
    """Return the number of the figure or table that shows an experiment; empty if the paper has none."""
    return next((figure for figure, names in FIGURES.items() if name in names), "")
