"""`snnet init`: from pretrained models to a saved network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, show, show_table
from snnet.cli.families import family_options
from snnet.cli.options import IMAGES, USUAL_FAMILY, Corrupt, Device, Directory, FamilyOptions, Seed, default_device
from snnet.cli.sources import stitched
from snnet.init import CalibrationSettings, RecalibrationSettings
from snnet.utils import counted

CALIBRATION = CalibrationSettings()


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingImages:
    """The images on which stitching layers are fitted."""

    data: Annotated[str, Parameter(help=IMAGES)] = "embedded"
    root: Annotated[
        Path | None, Parameter(help="Folder of the data; for --data folder it holds train/CLASS/ and val/CLASS/.")
    ] = None
    seed: Annotated[Seed, Parameter(help="Decides which images are taken.")] = 0
    max_corrupt: Corrupt = None
    upright: Annotated[bool, Parameter(help="Turn pictures as their EXIF data say.")] = True


_EMBEDDED = TrainingImages()


def init(
    *anchors: str,
    output: Directory,
    source: TrainingImages = _EMBEDDED,
    calibration: Annotated[CalibrationSettings, Parameter(name="*")] = CALIBRATION,
    recalibration_images: int = RecalibrationSettings().images,
    pretrained: bool = True,
    options: FamilyOptions = USUAL_FAMILY,
    device: Device = None,
) -> None:
    """Stitch pretrained models, fit the stitching layers by least squares, and save the network.

    Prints how well each stitching layer maps the features of one anchor to what the other expects
    (relative residual: 0 is perfect). Costs of all stitches are saved with the network.

    Args:
        anchors: Two or more timm names, hf-hub:ORG/NAME, or NAME@FILE for local weights.
        output: Directory to save the network in.
        recalibration_images: Training images to measure the running statistics of batch norms behind each cut on;
            0 leaves those of the anchors there. An anchor alone always keeps its own.
        pretrained: Take published weights of anchors without a file.

    Examples:
        snnet init vit_fm_tiny vit_fm_small vit_fm_base --output runs/fm
        snnet init deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224 --data folder --root /data/imagenet --output runs/deit
        snnet init deit_tiny_patch16_224@tiny.pth deit_small_patch16_224@small.safetensors --data folder --root /data --output runs/two
    """  # noqa: E501
    loading()
    import torch

    from snnet.data import calibration_images, check_outside, open_dataset
    from snnet.init import has_batch_norm, initialize
    from snnet.profiling import count_costs

    check_outside(output, source.data, source.root)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(source.seed)
        net = stitched(*anchors, pretrained=pretrained, **options.given())
    dataset = open_dataset(
        source.data, source.root, "train", input=net.input, max_corrupt=source.max_corrupt, upright=source.upright
    )
    say(net.space.counts)
    measured = recalibration_images if has_batch_norm(net, anchors=False) else 0
    chosen = calibration_images(dataset, max(calibration.images, measured), source.seed)
    with progress("Initializing") as report:
        fit = initialize(
            net,
            chosen,
            **calibration.model_dump(include={"method", "ridge"}),
            max_images=calibration.images,
            recalibration_images=measured,
            device=default_device(device),
            progress=report,
        )
    count_costs(net)
    net.save_pretrained(output)
    show_table(*fit.grid(), left=("layer",))
    show(f"Fitted on {counted(fit.images, 'image')} in {fit.seconds:.1f} s; network saved in {output}")
    needed = family_options()
    show(f"Next: snnet train {output}{needed} --output RUN, or snnet evaluate {output}{needed}")
