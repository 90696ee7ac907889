import pytest
import torch

from snnet.errors import RecipeError
from snnet.network import stitch
from snnet.recipes import Recipe
from snnet.recipes.build import describe_anchor
from snnet.recipes.paper import EXPERIMENTS, FIGURES, Bench, find_experiments
from snnet.recipes.paper.catalogue import FAMILIES

COUNTS = {"DeiT": 71, "Swin": 41, "ResNet": 10, "ResNet and Swin": 8, "LeViT": 8}
EPOCHS = {"DeiT": 50, "Swin": 50, "ResNet": 30, "ResNet and Swin": 30, "LeViT": 100}
SMALL = {"DeiT": 71, "Swin": 17, "ResNet": 8, "ResNet and Swin": 8, "LeViT": 8}


def stitches(recipe: Recipe) -> int:
    network = recipe.network
    anchors = [describe_anchor(name) for name in network.anchors]
    with torch.device("meta"):
        net = stitch(
            *anchors,
            kernel_size=network.kernel_size,
            stride=network.stride,
            nearest=network.nearest,
            direction=network.direction,
            stages=network.stages,
        )
    return len(net.space)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: str(family.name))
def test_the_recipes_make_the_papers_networks(family) -> None:
    full = Recipe.load(family.recipes["imagenet"])
    assert stitches(full) == COUNTS[family.name]
    assert full.run.epochs == EPOCHS[family.name]
    assert full.run.accumulation * full.data.batch_size == 1024
    assert full.loss.teacher is not None and full.loss.teacher.source == "regnety_160.deit_in1k"
    assert full.optim.anchor_lr_scale == (1.0 if family.name == "DeiT" else 0.1)
    assert stitches(Recipe.load(family.recipes["embedded"])) == SMALL[family.name]


def test_windows_and_pairs_make_the_papers_spaces(tmp_path) -> None:
    bench = Bench(tmp_path, "imagenet")
    counts = [stitches(bench.plan(variant).recipe) for variant in EXPERIMENTS["windows"].variants]
    assert counts == [71, 51, 75, 99]
    assert [stitches(bench.plan(variant).recipe) for variant in EXPERIMENTS["nearest"].variants] == [71, 732]


@pytest.mark.parametrize("scale", ["embedded", "imagenet"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_variant_has_a_recipe_at_both_scales(name: str, scale, tmp_path) -> None:
    bench = Bench(tmp_path, scale)
    plans = [bench.plan(variant) for variant in EXPERIMENTS[name].variants]
    kinds = {(plan.directory, v.state, v.only) for plan, v in zip(plans, EXPERIMENTS[name].variants, strict=True)}
    assert len(kinds) == len(plans)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_claims_speak_of_variants(name: str) -> None:
    labels = {variant.label for variant in EXPERIMENTS[name].variants}
    for claim in EXPERIMENTS[name].claims:
        assert claim.left in labels
        assert isinstance(claim.right, float) or claim.right in labels


def test_a_figure_of_the_paper_names_its_experiments() -> None:
    assert list(find_experiments("figure-6")) == ["figure-6"]
    assert find_experiments("figure-6")["figure-6"] is EXPERIMENTS["deit"]
    assert list(find_experiments("figure-10")) == ["figure-10-direction", "figure-10-nearest"]
    assert list(find_experiments("epochs")) == ["epochs"]
    # As its page is called.
    assert find_experiments("figure-8-resnet") == {"figure-8-resnet": EXPERIMENTS["resnet"]}
    assert {name for names in FIGURES.values() for name in names} == set(EXPERIMENTS)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'figure-6'"):
        find_experiments("figure6")
