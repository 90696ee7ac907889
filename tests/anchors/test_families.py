"""What is true of every anchor family, of many variants each: timm's own forward pass is the reference."""

import copy
from functools import cache

import pytest
import torch
from torch import nn

import snnet
from snnet.anchors import ANCHORS, Anchor, load_anchor
from tests.anchors.checks import check_parameters, check_recomputing, check_renormalization, check_segments
from tests.anchors.families import FAMILIES, Family

VARIANTS = [(name, variant) for name, family in FAMILIES.items() for variant in family.variants]
EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES)
RECOMPUTED = [(name, variant) for name, family in FAMILIES.items() for variant in family.recomputed]
PUBLISHED = [
    pytest.param(names, count, id="-".join(names)) for f in FAMILIES.values() for names, count in f.published.items()
]


@cache
def built(family: str, variant: str) -> nn.Module:
    torch.manual_seed(0)
    return FAMILIES[family].build(variant, drop_path_rate=0.2)


def model_of(family: str, variant: str) -> nn.Module:
    return copy.deepcopy(built(family, variant))


def test_every_family_is_here() -> None:
    ours = {name for name in ANCHORS.names() if ANCHORS.get(name).__module__.startswith("snnet.")}
    assert FAMILIES.keys() == ours


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
@pytest.mark.parametrize("training", [False, True], ids=["evaluating", "training"])
def test_segments_equal_timms_forward(family: str, variant: str, training: bool) -> None:
    anchor = check_segments(model_of(family, variant), training=training)
    assert type(anchor) is ANCHORS.get(family)
    assert anchor.input.size == FAMILIES[family].variants[variant][0]


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_stem_blocks_and_head_share_out_all_parameters(family: str, variant: str) -> None:
    check_parameters(load_anchor(model_of(family, variant)))


@pytest.mark.parametrize(("family", "variant"), RECOMPUTED)
def test_checkpointed_blocks_give_the_same_gradients(family: str, variant: str) -> None:
    check_recomputing(model_of(family, variant))


def first(family: str) -> tuple[Family, Anchor]:
    facts = FAMILIES[family]
    return facts, load_anchor(model_of(family, next(iter(facts.variants))))


@EVERY_FAMILY
def test_blocks_and_stages_are_as_described(family: str) -> None:
    facts, anchor = first(family)
    assert (anchor.depths, anchor.stages) == (facts.depths, facts.stages)
    assert tuple(anchor.feature(index).channels for index in range(-1, anchor.depth)) == facts.channels


@pytest.mark.parametrize("family", [name for name, facts in FAMILIES.items() if facts.way])
def test_the_way_into_a_stage_belongs_to_its_first_block(family: str) -> None:
    facts, anchor = first(family)
    places, block = facts.way
    way = [id(p) for place in places for p in anchor.model.get_submodule(place).parameters()]
    assert way and way == [id(p) for p in anchor.block_parameters(block)][: len(way)]


@EVERY_FAMILY
def test_images_of_another_normalization_are_corrected(family: str) -> None:
    check_renormalization(first(family)[1])


@EVERY_FAMILY
def test_excluded_from_weight_decay_is_what_the_model_names(family: str) -> None:
    facts, anchor = first(family)
    assert anchor.no_weight_decay() == facts.undecayed


@pytest.mark.parametrize(("names", "stitches"), PUBLISHED)
def test_models_as_published_have_so_many_stitches(names: tuple[str, ...], stitches: int) -> None:
    with torch.device("meta"):
        net = snnet.stitch(*reversed(names))
    assert [net.anchor(number).name for number in range(len(names))] == list(names)
    assert len(net.space) == stitches
