"""`snnet recalibrate`: running statistics of batch norms for every stitch."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, show
from snnet.cli.families import family_options
from snnet.cli.options import RUN_IMAGES, Device, Directory, ImagesOfRun, Stitches, default_device, writable
from snnet.cli.sources import is_network, saved_network
from snnet.errors import CheckpointError
from snnet.init import RecalibrationSettings
from snnet.utils import counted

RECALIBRATION = RecalibrationSettings()


def recalibrate(
    network: str,
    /,
    *,
    images: ImagesOfRun = RUN_IMAGES,
    recalibration: Annotated[RecalibrationSettings, Parameter(name="*")] = RECALIBRATION,
    stitches: Stitches = "all",
    anchors: bool = True,
    seed: int | None = None,
    device: Device = None,
    max_corrupt: int | None = None,
    output: Directory | None = None,
) -> None:
    """Measure the running statistics that batch norms need in each stitch, and save them with the network.

    `snnet init` and `snnet train` do so by themselves; this is for other images, more of them, or networks that were
    trained elsewhere. The weights stay as they are. Scores in the table go, because they were of other statistics. A
    network without batch norm is left alone.

    Images, and how many, are those of the run that made the network unless you say otherwise.

    Args:
        network: Directory of a saved network, its id on the hub, or FAMILY@FILE for a published one.
        anchors: Measure the anchors too. Without, they keep their own statistics, also where a stitch begins, as after
            `snnet init`: right for a network that is not trained yet, whose anchors give what their models give.
        seed: Decides which images are taken; that of the run, or 0.
        max_corrupt: Most images that may be skipped because they do not decode; one in a hundred by default.
        output: Directory to save in; that of the network by default.

    Examples:
        snnet recalibrate runs/resnet
        snnet recalibrate runs/resnet --data folder --root /data/mine --images 1024 --output runs/resnet-mine
    """
    loading()
    from snnet.data import calibration_images
    from snnet.init import has_batch_norm
    from snnet.init import recalibrate as run
    from snnet.network import chosen_stitches
    from snnet.recipes import copy_recipe
    from snnet.utils import torch_threads

    place = output or Path(network)
    if is_network(network):
        writable(place)
    net = saved_network(network)
    if output is None and not is_network(network):
        raise CheckpointError(f"{network} is no directory to save in; give --output DIR.")
    if not has_batch_norm(net):
        show(f"{network} has no batch norm: nothing to recalibrate.")
        return
    routes = chosen_stitches(net, stitches)
    of_run = images.of(network, {"data.max_corrupt": max_corrupt, "run.seed": seed})
    settings, size = of_run.recipe.run, _of_run(of_run.recipe.recalibration, recalibration)
    of_run.recipe.data.check_outside(place)
    dataset = of_run.open("train", net.input, net.num_classes, any_classes=True)
    chosen = calibration_images(dataset, size.images, settings.seed)
    say(f"{counted(len(routes), 'stitch')} on {counted(len(chosen), 'image')}")
    where, batch = default_device(device), size.batch_size
    with torch_threads(settings.threads), progress("Recalibrating") as report:
        done = run(net, chosen, stitches=routes, anchors=anchors, batch_size=batch, device=where, progress=report)
    net.save_pretrained(place)
    copy_recipe(network, place)
    what = f"{counted(done.stitches, 'stitch')} recalibrated on {counted(done.images, 'image')}"
    show(f"{what} in {done.seconds:.1f} s; saved in {place}")
    show(f"Next: snnet evaluate {place}{family_options()}")


def _of_run(section: RecalibrationSettings, given: RecalibrationSettings) -> RecalibrationSettings:
    """Return what is given, and else the run's, whose recipe may want no images; who calls this command does."""
    kept = {**section.model_dump(), "images": section.images or RECALIBRATION.images}
    return RecalibrationSettings(**kept | given.model_dump(exclude_unset=True))
