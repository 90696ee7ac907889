"""From a recipe to built parts: images opened, network built."""

from dataclasses import dataclass

import torch

from snnet.anchors import Anchor, load_anchor, replace_classifier
from snnet.data import EvalBatches, ImageDataset, Images, TrainBatches, eval_batches, fixed_choice, open_pair
from snnet.errors import RecipeError
from snnet.init import has_batch_norm
from snnet.network import SNNet, load, stitch
from snnet.recipes.recipe import NetworkSettings, Recipe
from snnet.space import InputSpec, SpaceSettings
from snnet.training import drop_path_settings, with_drop_path
from snnet.utils import first_on_machine


@dataclass(frozen=True)
class Parts:
    """The parts that a recipe describes.

    Attributes:
        recipe: What the parts were built from.
        net: The network, before any step.
        images: The training images.
        train: The same as batches, varied and shuffled.
        validation: Clean batches.
        new_heads: Why the classifiers of the anchors are fresh; empty if they are not.
    """

    recipe: Recipe
    net: SNNet
    images: Images
    train: TrainBatches
    validation: EvalBatches
    new_heads: str = ""

    def __post_init__(self) -> None:
        optim = self.recipe.optim
        if self.new_heads and self.frozen:
            raise RecipeError(
                f"The anchors have fresh classifiers, for {self.new_heads}, and a frozen one would never learn the "
                f"classes; optim.freeze is {optim.freeze!r} and optim.anchor_lr_scale {optim.anchor_lr_scale}: set "
                "them to 'nothing' and above 0."
            )

    @property
    def device(self) -> str:
        """Where the steps run."""
        return self.recipe.run.place

    @property
    def frozen(self) -> range:
        """Numbers of the anchors that stay as they are."""
        return self.recipe.optim.frozen(len(self.net.anchors))

    @property
    def is_saved(self) -> bool:
        """Whether the network was saved: its anchors may be trained, and their own statistics fit nothing then."""
        return self.recipe.network.saved is not None

    @property
    def recalibrates(self) -> bool:
        """Whether there is batch norm, and the recipe lets its statistics be measured for each stitch."""
        return self.recipe.recalibration.images > 0 and has_batch_norm(self.net)

    @property
    def measured_anchors(self) -> list[int]:
        """The anchors whose own statistics do not fit them once training has begun."""
        kept = () if self.is_saved else self.frozen
        return [number for number in range(len(self.net.anchors)) if number not in kept]


def build_parts(recipe: Recipe) -> Parts:
    """Open the images and build the network of a recipe.

    Raises:
        SNNetError: If something that the recipe names does not exist or does not fit.
    """
    network, data, augment = recipe.network, recipe.data, recipe.augment
    saved = _load_network(network, recipe.run.seed) if network.saved else None
    probes = [] if saved else [describe_anchor(source, network.image_size) for source in network.anchors]
    spec = saved.input if saved else probes[0].input
    images, clean = open_images(recipe, spec, saved.num_classes if saved else None)
    for part in (images, clean):
        if isinstance(part, ImageDataset) and probes:
            part.name_classes(probes[0].num_classes)
    shift = augment.batch.of(spec) if augment.batch else None
    train = TrainBatches(images, data.batch_size, recipe.run.seed, shift, data.workers, buffer=data.shuffle_buffer)
    classes = len(images.classes)
    fresh = {probe.num_classes for probe in probes} - {classes}
    net = saved or _build_network(network, classes if fresh else None, recipe.run.seed)
    others = " or ".join(map(str, sorted(fresh)))
    why = f"the data has {classes} classes and the anchors {others}" if fresh else ""
    new_heads = why or ("the recipe asks for it" if network.new_heads else "")
    chosen = fixed_choice(clean, recipe.evaluation.images)
    validation = eval_batches(chosen, recipe.evaluation.batch_size, data.workers)
    return Parts(recipe, net, images, train, validation, new_heads)


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
        return open_pair(input=input, augment=recipe.augment.image, num_classes=num_classes, **recipe.data.source)


def describe_anchor(source: str, image_size: int | None = None) -> Anchor:
    """Return an anchor without weights, on the meta device, for what its name says about it."""
    with torch.device("meta"):
        return load_anchor(source.partition("@")[0], image_size=image_size)


def _load_network(section: NetworkSettings, seed: int) -> SNNet:
    assert section.saved is not None
    net = load(section.saved)
    if section.drop_path:
        net = with_drop_path(net, section.drop_path)
    return _with_lora(net, section.lora_rank, seed)


def _build_network(section: NetworkSettings, num_classes: int | None, seed: int) -> SNNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        common = {**section.model_dump(include={"pretrained", "image_size"}), "num_classes": num_classes}
        each = zip(section.anchors, drop_path_settings(section.drop_path, len(section.anchors)), strict=True)
        anchors = [load_anchor(source, **common, **settings) for source, settings in each]
        net = stitch(*anchors, **section.model_dump(include={*SpaceSettings.model_fields, "resample"}))
        for number in range(len(net.anchors) if section.new_heads else 0):
            replace_classifier(net.anchor(number), net.num_classes)
    return _with_lora(net, section.lora_rank, seed)


def _with_lora(net: SNNet, rank: int | None, seed: int) -> SNNet:
    # An update that the network has goes on; it is merged only if another rank is asked for.
    if rank is None or rank == net.lora_rank:
        return net
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return net.set_lora_rank(rank)
