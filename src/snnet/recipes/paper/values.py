# Tested in tests/recipes/paper/test_verdict.py.
"""An experiment of the paper as a value: its variants, how they are drawn, and what they should show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ConfigDict

Scale = Literal["embedded", "imagenet"]
"""Size of an experiment: the data and anchors of the package, or the published ones."""
State = Literal["trained", "untrained", "anchors"]
Relation = Literal["above", "at least", "near"]
Measure = Literal["mean", "lowest", "curve", "rank", "gap"]

_STRICT = ConfigDict(extra="forbid")
ONCE: Mapping[Scale, float] = {"embedded": 1.0, "imagenet": 1.0}


@dataclass(frozen=True)
class Family:
    """Anchors with the paper's way of training them.

    Attributes:
        name: Short, for messages.
        recipes: Scale -> recipe of the package.
        anchors: Scale -> recipe that trains the anchors first, where none come with weights.
        published: Name of the published table of the same network at full scale, if there is one.
    """

    __pydantic_config__ = _STRICT

    name: str
    recipes: Mapping[Scale, str]
    anchors: Mapping[Scale, str] = field(default_factory=dict)
    published: str | None = None


@dataclass(frozen=True)
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
        length: Scale -> the length of training, as a multiple of the recipe's.
        only: Ids of the stitches that are evaluated; all if empty.
        layer_drop: Train the largest anchor alone, dropping each block with this probability, and evaluate crops.
        panel: Heading of the part of the picture that it is drawn in.
    """

    __pydantic_config__ = _STRICT

    label: str
    family: Family
    overrides: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[Scale, Mapping[str, Any]] = field(default_factory=dict)
    state: State = "trained"
    length: Mapping[Scale, float] = field(default_factory=lambda: ONCE)
    only: tuple[str, ...] = ()
    layer_drop: float | None = None
    panel: str = ""


@dataclass(frozen=True)
class Claim:
    """A comparison that holds if the paper's observation does.

    Attributes:
        measure: What is compared, see `MEASURES`.
        left: Label of a variant.
        relation: `above` (by more than the margin), `at least` (not below by more than it), or `near` (within it).
        right: Label of another variant, or a number.
        margin: In the measure's own unit, mostly points of top-1.
    """

    __pydantic_config__ = _STRICT

    measure: Measure
    left: str
    relation: Relation
    right: str | float
    margin: float = 0.0


@dataclass(frozen=True)
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

    __pydantic_config__ = _STRICT

    name: str
    title: str
    observation: str
    variants: tuple[Variant, ...]
    claims: tuple[Claim, ...]
    published: str | None = None
    by_stitch: bool = False
