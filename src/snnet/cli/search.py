"""`snnet search`: from pretrained models, or a saved network, to the stitches worth having."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, show, show_table
from snnet.cli.families import family_options
from snnet.cli.options import (
    RUN_IMAGES,
    USUAL_FAMILY,
    Device,
    Directory,
    FamilyOptions,
    ImagesOfRun,
    default_device,
    writable,
)
from snnet.cli.sources import is_network, saved_network, stitched
from snnet.errors import CheckpointError
from snnet.searching import USUAL_SEARCH, SearchSettings

if TYPE_CHECKING:
    from snnet.network import SNNet


def search(
    *anchors: str,
    output: Directory | None = None,
    images: ImagesOfRun = RUN_IMAGES,
    settings: Annotated[SearchSettings, Parameter(name="*")] = USUAL_SEARCH,
    labels: bool = False,
    seed: int | None = None,
    pretrained: bool = True,
    options: FamilyOptions = USUAL_FAMILY,
    device: Device = None,
) -> None:
    """Find the stitches worth having among all cuts of a family, and save the network that has them.

    One model is enough: its stitches leave blocks out. No training is needed. All single cuts are fitted by least
    squares on one half of the images, the most promising routes are run on the other and extended to more cuts, and for
    each budget the one is kept that answers most like the largest anchor. All candidates are saved beside the network,
    search.jsonl, with a picture of them, search.png. Interrupted, the same command goes on where it was.

    Args:
        anchors: timm names, hf-hub:ORG/NAME, or NAME@FILE for local weights, one or more; or one saved network, whose
            anchors get other stitches.
        output: Directory to save the network in; of a saved network NETWORK-searched by default.
        labels: Let the labels of the images count, too; on images that the anchors were trained on they tell little.
        seed: Decides which images are taken; that of the run, or 0.
        pretrained: Take published weights of anchors without a file.

    Examples:
        snnet search vit_fm_base --output runs/one
        snnet search deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224 --data folder --root /data/imagenet --output runs/deit
        snnet search runs/deit --budgets 12 --cost latency_ms --output runs/deit-fast
    """  # noqa: E501
    loading()
    from snnet.data import labelled_images
    from snnet.profiling import count_costs
    from snnet.recipes import copy_recipe
    from snnet.searching import SCORES
    from snnet.searching import search as find
    from snnet.utils import torch_threads

    saved = len(anchors) == 1 and is_network(anchors[0])
    if output is None and not saved:
        raise CheckpointError(f"{' '.join(anchors) or 'Nothing'} is no saved network; say where to: --output DIR.")
    place = writable(output or Path(f"{anchors[0].rstrip('/')}-searched"))
    of_run = images.of(anchors[0] if saved else "the family", {"run.seed": seed})
    of_run.recipe.data.check_outside(place)
    run = of_run.recipe.run
    net = saved_network(anchors[0], options.given()) if saved else _family(anchors, pretrained, run.seed, options)
    dataset = of_run.open("train", net.input, net.num_classes, any_classes=not labels)
    pair = labelled_images(dataset, settings.images, run.seed)
    say(f"Searching all cuts of {', '.join(anchor.name for anchor in net.family)} on {len(pair[0])} images")
    with torch_threads(run.threads), progress("Searching") as report:
        where = default_device(device)
        given, how = [pair] if labels else pair[0], settings.keywords
        found = find(net, given, **how, seed=run.seed, device=where, path=place / SCORES, progress=report)
    count_costs(net)
    net.save_pretrained(place)
    table, picture = found.save(place)
    if saved:
        copy_recipe(anchors[0], place)
    show_table(*found.grid(), left=("stitch",))
    show(f"{repr(found).partition('(')[2].rstrip(')')}; network saved in {place}")
    show(f"All candidates: {table}, and as a picture {picture}")
    needed = family_options()
    show(f"Next: snnet evaluate {place}{needed}, or snnet train {place}{needed} --output RUN")


def _family(anchors: Sequence[str], pretrained: bool, seed: int, options: FamilyOptions) -> "SNNet":
    """Return the anchors as a network without stitches."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return stitched(*anchors, pretrained=pretrained, space="search", **options.given())
