"""From a recipe to built parts: images opened, network built."""

from dataclasses import replace

import torch

from snnet.anchors import Anchor, load_anchor, replace_classifier
from snnet.data import ImageDataset, Images, TrainBatches, class_weights, eval_batches, fixed_choice, open_pair
from snnet.errors import RecipeError
from snnet.network import SNNet, load, stitch
from snnet.recipes.parts import Parts
from snnet.recipes.preflight import Faults, check_parts, check_root, check_start
from snnet.recipes.recipe import Recipe
from snnet.recipes.sections import NetworkSettings
from snnet.searching import some_routes
from snnet.space import InputSpec, SpaceSettings
from snnet.training import drop_path_settings, with_drop_path
from snnet.utils import counted, first_on_machine

MEDIAN = "median"
"""Stands for weights of classes by median frequency, in `task.options.class_weights`."""


def build_parts(recipe: Recipe, faults: Faults | None = None) -> Parts:
    """Open the images and build the network of a recipe, once nothing is found wrong with either.

    Args:
        recipe: What is built.
        faults: What was found wrong before; told together with what is found here.

    Raises:
        SNNetError: If something that the recipe names does not exist or does not fit.
    """
    faults = check_start(recipe) if faults is None else faults
    network, saved, probes = recipe.network, None, []
    with faults:
        saved = _load_network(network, recipe.run.seed) if network.saved else None
        probes = [] if saved else [describe_anchor(source, network.image_size) for source in network.anchors]
    if not (saved or probes):
        check_root(recipe, faults)
        faults.refuse()
    spec = saved.input if saved else probes[0].input
    with faults:
        images, clean = open_images(recipe, spec, saved.num_classes if saved else None)
        for part in (images, clean):
            if isinstance(part, ImageDataset) and probes and recipe.head is None:
                part.name_classes(probes[0].num_classes)
        recipe = _weighed(recipe, images)
        parts = _sketch(recipe, images, clean, saved, probes, faults)
        check_parts(parts, faults)
    faults.refuse()
    if recipe.routes is not None:
        # The routes of the sketch only stood in for those that are found.
        parts.use(parts.net.space.where(max_segments=1))
    net = saved or _build_network(recipe, parts.net, new_heads=bool(parts.new_heads))
    return replace(parts, net=net)


def _sketch(
    recipe: Recipe, images: Images, clean: Images, saved: SNNet | None, probes: list[Anchor], faults: Faults
) -> Parts:
    """Return the parts with a network on the meta device in place of one that is not saved."""
    data, seed = recipe.data, recipe.run.seed
    classes = recipe.task.outputs or len(images.classes) or 1
    fresh = {probe.num_classes for probe in probes if recipe.head is None} - {classes}
    if saved is None:
        saved = _sketch_network(recipe, probes, classes, fresh=bool(fresh))
    shift = recipe.augment.batch.of(saved.input) if recipe.augment.batch else None
    # Those of one image stand in for what does not fit, so that the rest is looked at, too.
    train = TrainBatches(images, 1, seed)
    with faults:
        train = TrainBatches(images, data.batch_size, seed, shift, data.workers, buffer=data.shuffle_buffer)
    others = " or ".join(map(str, sorted(fresh)))
    why = f"the data has {counted(classes, 'class')} and the anchors {others}" if fresh else ""
    new_heads = why or ("the recipe asks for it" if recipe.network.new_heads else "")
    if recipe.head is not None:
        new_heads = "the head over feature maps is new"
    chosen = fixed_choice(clean, recipe.evaluation.images)
    validation = eval_batches(chosen, recipe.evaluation.batch_size, data.workers)
    return Parts(recipe, saved, images, train, validation, new_heads)


def open_images(recipe: Recipe, input: InputSpec, num_classes: int | None = None) -> tuple[Images, Images]:
    """Return the training images of a recipe, varied as it says, and its validation images.

    Args:
        recipe: Names the images.
        input: What the network takes.
        num_classes: Classes that the network has already.

    Raises:
        DataError: If the images are missing or do not fit the network.
    """
    with first_on_machine():
        augment = recipe.augment.image or recipe.augment.dense
        kind, outputs = recipe.data.target.kind, recipe.task.outputs
        # Outputs of a task of labels need not be classes.
        known = outputs or num_classes if kind == "mask" else num_classes if kind == "label" and not outputs else None
        return open_pair(input=input, augment=augment, num_classes=known, **recipe.data.source)


def describe_anchor(source: str, image_size: int | None = None) -> Anchor:
    """Return an anchor without weights, on the meta device, for what its name says about it."""
    with torch.device("meta"):
        return load_anchor(source.partition("@")[0], image_size=image_size)


def _weighed(recipe: Recipe, images: Images) -> Recipe:
    """Return a recipe with numbers in place of the word for weights of classes that the training masks tell."""
    options, kind, classes = recipe.task.options, recipe.data.target.kind, len(images.classes)
    weights = options.get("class_weights")
    if recipe.network.saved or recipe.task.name not in (None, "segmentation") or weights is None:
        return recipe
    if weights == MEDIAN and kind == "mask":
        with first_on_machine():
            weights = class_weights(images, classes, recipe.data.workers).tolist()
    elif weights == MEDIAN:
        raise RecipeError(f"class_weights={MEDIAN!r} are told by masks, and data.target is {kind}: give numbers.")
    elif kind == "mask" and isinstance(weights, list | tuple) and len(weights) != classes:
        raise RecipeError(
            f"There are {counted(len(weights), 'class weight')} for {counted(classes, 'class')}; give one for each, or "
            f"{MEDIAN}."
        )
    task = recipe.task.model_copy(update={"options": {**options, "class_weights": weights}})
    return recipe.model_copy(update={"task": task})


def _load_network(section: NetworkSettings, seed: int) -> SNNet:
    assert section.saved is not None
    net = load(section.saved)
    if section.drop_path:
        net = with_drop_path(net, section.drop_path)
    return _with_lora(net, section.lora_rank, seed)


def _sketch_network(recipe: Recipe, probes: list[Anchor], outputs: int, *, fresh: bool) -> SNNet:
    """Return the network on the meta device; no weights are read, nor looked for."""
    section, search = recipe.network, recipe.routes
    how = {"space": "search"} if search else section.model_dump(include=set(SpaceSettings.model_fields))
    with torch.device("meta"):
        # Heads and rates as usual: the probes are the anchors.
        if section.drop_path or fresh:
            bare = tuple(source.partition("@")[0] for source in section.anchors)
            section = section.model_copy(update={"anchors": bare, "pretrained": False})
            probes = _load_anchors(section, outputs if fresh else None)
        net = stitch(*probes, resample=section.resample, **how)
        if search is not None:
            net.set_space(some_routes(net, search.budgets))
        return _finish(net, recipe, outputs)


def _build_network(recipe: Recipe, sketch: SNNet, *, new_heads: bool) -> SNNet:
    """Return the network of which `sketch` has the order of the anchors and the space."""
    section = recipe.network
    order = [anchor.name for anchor in sketch.family]
    with torch.random.fork_rng():
        torch.manual_seed(recipe.run.seed)
        anchors = _load_anchors(section, sketch.num_classes if new_heads and recipe.head is None else None)
        anchors.sort(key=lambda anchor: order.index(anchor.name))
        net = SNNet(anchors, sketch.space, resample=section.resample)
        return _finish(net, recipe, sketch.num_classes)


def _load_anchors(section: NetworkSettings, num_classes: int | None) -> list[Anchor]:
    common = {**section.model_dump(include={"pretrained", "image_size"}), "num_classes": num_classes}
    each = zip(section.anchors, drop_path_settings(section.drop_path, len(section.anchors)), strict=True)
    return [load_anchor(source, **common, **settings) for source, settings in each]


def _finish(net: SNNet, recipe: Recipe, outputs: int) -> SNNet:
    """Return a network that was just built with the task, the heads and the layers that the recipe asks for."""
    section, head = recipe.network, recipe.head
    if head is not None:
        net.set_head(head.name, outputs, task=recipe.built_task, taps=head.taps, **head.options)
    else:
        net.task = recipe.built_task
        for anchor in net.family if section.new_heads else ():
            replace_classifier(anchor, net.num_classes)
    return _with_lora(net, section.lora_rank, recipe.run.seed)


def _with_lora(net: SNNet, rank: int | None, seed: int) -> SNNet:
    # An update that the network has goes on; it is merged only if another rank is asked for.
    if rank is None or rank == net.lora_rank:
        return net
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return net.set_lora_rank(rank)
