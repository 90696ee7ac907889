"""What the paper varies in the network of three plain ViTs."""

from typing import Any

from snnet.recipes.paper.families import DEIT
from snnet.recipes.paper.published import table_1
from snnet.recipes.paper.values import Claim, PaperExperiment, Scale, Variant

_FIRST, _LAST = "not trained", "trained"
KAIMING = {"calibration.method": "kaiming"}


def _deit(label: str, /, **options: Any) -> Variant:
    return Variant(label, DEIT, **options)


def _times(factor: float) -> dict[Scale, float]:
    return {"embedded": factor, "imagenet": factor}


INITIALIZATION = PaperExperiment(
    "initialization",
    "Kaiming or least squares",
    "Least squares is far better than Kaiming initialization before training, and still better after it.",
    variants=(
        _deit("Kaiming, not trained", overrides=KAIMING, state="untrained", panel=_FIRST),
        _deit("least squares, not trained", state="untrained", panel=_FIRST),
        _deit("Kaiming, trained", overrides=KAIMING, panel=_LAST),
        _deit("least squares, trained", panel=_LAST),
    ),
    claims=(
        Claim("mean", "least squares, not trained", "above", "Kaiming, not trained"),
        Claim("mean", "least squares, trained", "above", "Kaiming, trained"),
    ),
)

DIRECTION = PaperExperiment(
    "direction",
    "Fast to slow or slow to fast",
    "Going from the smaller to the larger anchor gives a better and steadier curve than the other way.",
    variants=(
        _deit("fast to slow"),
        _deit("slow to fast", overrides={"network.direction": "slow-to-fast"}),
    ),
    claims=(
        Claim("mean", "fast to slow", "above", "slow to fast"),
        Claim("curve", "fast to slow", "above", "slow to fast"),
    ),
)

# Ten times as many stitches as elsewhere are evaluated.
_FEWER_IMAGES = {"embedded": {"evaluation.images": 500}}

NEAREST = PaperExperiment(
    "nearest",
    "Only neighboring anchors, or all",
    "Joining only neighboring anchors gives fewer stitches (71 in place of 732) and a better curve.",
    variants=(
        _deit("nearest", defaults=_FEWER_IMAGES),
        _deit("all pairs and triples", overrides={"network.nearest": "false"}, defaults=_FEWER_IMAGES),
    ),
    claims=(
        Claim("curve", "nearest", "above", "all pairs and triples"),
        Claim("mean", "nearest", "above", "all pairs and triples"),
    ),
)

TUNING = PaperExperiment(
    "tuning",
    "The full model or the stitching layers only",
    "Training everything gives better stitches than training the stitching layers alone.",
    variants=(
        _deit("full model"),
        _deit("stitching layers only", overrides={"optim.freeze": "anchors"}),
    ),
    claims=(Claim("mean", "full model", "above", "stitching layers only"),),
)


def _windows(size: int) -> Variant:
    return _deit(f"size {size}, stride {size}", overrides={"network.kernel_size": size, "network.stride": size})


WINDOWS = PaperExperiment(
    "windows",
    "Size and stride of the sliding window",
    "Other windows give more or fewer stitches along much the same curve.",
    variants=(_deit("size 2, stride 1"), *map(_windows, (2, 3, 4))),
    claims=tuple(
        Claim("curve", f"size {size}, stride {size}", "near", "size 2, stride 1", margin=1.0) for size in (2, 3, 4)
    ),
)

EPOCHS = PaperExperiment(
    "epochs",
    "Length of training",
    "Training longer helps, most of all the cheap stitches: 15, 50 and 100 epochs.",
    variants=tuple(_deit(label, length=_times(share)) for label, share in (("15", 0.3), ("50", 1.0), ("100", 2.0))),
    claims=(Claim("mean", "50", "above", "15"), Claim("mean", "100", "above", "50")),
)

SANDWICH = PaperExperiment(
    "sandwich",
    "Drawing one stitch, or the sandwich rule with in-place distillation",
    "The sandwich rule with in-place distillation, several stitches a step, gains nothing over one uniform draw.",
    variants=(
        _deit("uniform"),
        _deit("sandwich, in place", overrides={"sampler.name": "sandwich", "loss.teacher.source": "in-place"}),
    ),
    claims=(Claim("curve", "uniform", "at least", "sandwich, in place", margin=0.5),),
)

SCRATCH = PaperExperiment(
    "scratch",
    "Without pretrained weights",
    "Pretrained anchors are what makes training short: from random weights the same training ends far lower.",
    variants=(
        _deit("pretrained anchors"),
        _deit("random anchors", overrides={"network.pretrained": "false"}),
    ),
    claims=(Claim("mean", "pretrained anchors", "above", "random anchors", margin=1.0),),
)


def _calibration(images: int) -> Variant:
    # Nothing to fit on leaves random layers.
    settings = {"calibration.images": images} if images else KAIMING
    return _deit(f"{images} images", overrides=settings)


CALIBRATION = PaperExperiment(
    "calibration",
    "Images to fit the stitching layers on",
    "A hundred images are enough: more than that changes little, and even 50 are better than none (Kaiming).",
    variants=tuple(map(_calibration, (0, 50, 100, 200))),
    claims=(
        *(Claim("mean", f"{images} images", "above", "0 images") for images in (50, 100, 200)),
        Claim("mean", "200 images", "near", "100 images", margin=0.5),
    ),
)

LAYER_DROP = PaperExperiment(
    "layerdrop",
    "Stitching, or dropping blocks of the largest anchor",
    "Stitches beat what is left of the largest anchor trained with LayerDrop and cropped to the same cost.",
    variants=(
        _deit("stitches"),
        _deit("LayerDrop 0.2", layer_drop=0.2),
        _deit("LayerDrop 0.5", layer_drop=0.5),
    ),
    claims=(
        Claim("curve", "stitches", "above", "LayerDrop 0.2"),
        Claim("curve", "stitches", "above", "LayerDrop 0.5"),
    ),
)


def _alone(stitch: str) -> Variant:
    settings = {
        "network.pretrained": "false",
        **KAIMING,
        "loss.teacher": None,
        "sampler.name": "single",
        "sampler.options.stitch": stitch,
    }
    # Random weights want a higher rate than pretrained ones; DeiT's own is 1e-3 for 1,024 images.
    rates = {"embedded": {"optim.lr": 2e-3}, "imagenet": {"optim.lr": 1e-3}}
    # 300 epochs for each in the paper, where the network of all takes 50.
    length = {"embedded": 2.0, "imagenet": 6.0}
    return _deit("alone", overrides=settings, defaults=rates, length=length, only=(stitch,))


_ROWS = tuple(table_1())
_ANCHORS = tuple(stitch for stitch in _ROWS if "," not in stitch)

ALONE = PaperExperiment(
    "alone",
    "Stitches of one network, and each trained alone from scratch",
    "The stitches of one network are about as accurate as the same routes trained alone, for a fraction of the work.",
    variants=(
        _deit("together", only=_ROWS),
        _deit("alone", state="anchors", only=_ANCHORS),
        *(_alone(stitch) for stitch in _ROWS if stitch not in _ANCHORS),
    ),
    claims=(Claim("mean", "together", "at least", "alone", margin=1.0),),
    by_stitch=True,
)

ABLATIONS = (
    INITIALIZATION,
    DIRECTION,
    NEAREST,
    TUNING,
    WINDOWS,
    EPOCHS,
    SANDWICH,
    SCRATCH,
    CALIBRATION,
    LAYER_DROP,
    ALONE,
)
