"""What a network sees in pictures: classes with probabilities, or masks. Shared with bundles, so without torch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snnet.data import Pixels, normalized_pixels, open_picture, upright_size
from snnet.errors import DataError, EngineError, SpaceError
from snnet.network.masks import MapPrediction, MaskPrediction, activated, pixel_answer
from snnet.space import InputSpec, OutputSpec, Stitch
from snnet.table import StitchTable, measured
from snnet.utils import counted

IMAGES_AT_ONCE = 32
# Of pixels that were not divided by 255; noise and augmentation leave normalized ones far below.
_FAR_OUTSIDE = 10

Run: TypeAlias = Callable[[Pixels, Stitch], NDArray[Any]]
"""From normalized images `(B, C, H, W)` and a stitch to outputs `(B, outputs)` or `(B, outputs, H, W)`."""


class Label(NamedTuple):
    """A class, by its name or, where the network knows none, its number; and how probable it is."""

    name: str | int
    probability: float


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a network sees in one image.

    Attributes:
        stitch: Which stitch answered.
        probabilities: One per class, `(classes,)`, in the order of the logits; they add up to 1 where one class holds.
        classes: Names of the classes; None if the network knows none.
    """

    stitch: Stitch
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...] | None = None

    @property
    def label(self) -> str | int:
        """The most probable class."""
        return self.top(1)[0].name

    @property
    def probability(self) -> float:
        """That of the most probable class."""
        return self.top(1)[0].probability

    def top(self, count: int = 5) -> list[Label]:
        """Return the most probable classes, the best first; all if there are no more."""
        order = np.argsort(-self.probabilities, kind="stable")[:count].tolist()
        return [Label(self.classes[n] if self.classes else n, float(self.probabilities[n])) for n in order]

    def __repr__(self) -> str:
        return f"Prediction({self.label!r}, {self.probability:.4f}, stitch={str(self.stitch)!r})"


Predicted: TypeAlias = Prediction | MaskPrediction | MapPrediction
"""What a network sees in one image, by what it is for."""


class Answering(Protocol):
    """A network or a bundle, as far as it takes to ask it."""

    @property
    def table(self) -> StitchTable | None: ...  # noqa: D102
    @property
    def classes(self) -> tuple[str, ...] | None: ...  # noqa: D102
    @property
    def input(self) -> InputSpec: ...  # noqa: D102
    @property
    def output(self) -> OutputSpec: ...  # noqa: D102
    def find(self, stitch: int | str | Stitch) -> Stitch: ...  # noqa: D102
    def select(self, **budget: Any) -> Stitch: ...  # noqa: D102


def predict_images(
    source: Answering,
    images: Any,
    stitch: int | str | Stitch | None,
    budget: Mapping[str, Any],
    *,
    stitches: Iterable[Stitch],
    run: Run,
) -> Predicted | list[Predicted]:
    """Return what a network or a bundle sees in images: one prediction for one image, a list for several.

    A network with outputs for each pixel sees the whole picture, its height and width resized apart, and answers in the
    picture's own size, one picture at a time; for arrays their size is that of the picture.

    Args:
        source: The network or bundle.
        images: A picture, its path, or a normalized array or tensor `(C, H, W)`; several of them; or a normalized batch
            `(B, C, H, W)`.
        stitch: Number, id or value; by the budget if None.
        budget: As for `select`; `batch` is also how many images are run at once.
        stitches: All there are. With neither stitch nor budget the best by measured top-1 answers; where nothing is
            measured the last anchor, which is the largest, or the last stitch if there is no anchor.
        run: Runs one of them.

    Raises:
        DataError: If there is no image, one cannot be read, is not normalized or has another shape; or if there are
            more or fewer names of classes than logits.
        SpaceError: If there is no such stitch, or both a stitch and a budget are given.
        BudgetError: If nothing fits, or the table lacks a column.
        EngineError: If a logit is not finite.
    """
    route = choose_stitch(source, stitch, budget, stitches)
    single = not isinstance(images, Iterable) or isinstance(images, str)  # a picture of Pillow's is not iterable
    array = None if single else _array(images)
    if single or (array is not None and array.ndim == 3):
        return _ask(source, [images], route, run)[0]
    several = list(images if array is None else array)
    if not several:
        raise DataError("There is no image to predict; give a picture, its path, or some of them.")
    step = 1 if source.output.dense else budget.get("batch") or IMAGES_AT_ONCE
    parts = (several[start : start + step] for start in range(0, len(several), step))
    return [prediction for part in parts for prediction in _ask(source, part, route, run)]


def choose_stitch(
    source: Answering, stitch: int | str | Stitch | None, budget: Mapping[str, Any], stitches: Iterable[Stitch]
) -> Stitch:
    """Return the stitch that `predict_images` asks; the arguments are its own."""
    if stitch is not None:
        if budget:
            raise SpaceError(f"stitch={stitch!r} and a budget ({', '.join(budget)}) are both given; give one of them.")
        return source.find(stitch)
    if budget:
        return source.select(**budget)
    if source.table is not None and any(measured(row, source.table.score) for row in source.table):
        return source.select()
    routes = list(stitches)
    return ([route for route in routes if route.is_anchor] or routes)[-1]


def _ask(source: Answering, images: Sequence[Any], stitch: Stitch, run: Run) -> list[Predicted]:
    spec = source.output
    read = [_pixels(image, source.input, spec) for image in images]
    outputs = run(np.stack([pixels for pixels, _ in read]), stitch)
    sizes = [size for _, size in read]
    return [answer_of(each, stitch, spec, size, source.classes) for each, size in zip(outputs, sizes, strict=True)]


def answer_of(
    outputs: NDArray[Any], stitch: Stitch, spec: OutputSpec, size: tuple[int, int], classes: Sequence[str] | None
) -> Predicted:
    """Return what the outputs for one image say.

    Args:
        outputs: `(outputs,)`, or `(outputs, H, W)` if there are some for each pixel.
        stitch: What gave them.
        spec: What they mean.
        size: Height and width of the image.
        classes: Names of the classes, if known.

    Raises:
        DataError: If there are more or fewer names of classes than outputs.
        EngineError: If an output is not finite.
    """
    names = None if classes is None else tuple(classes)
    if names is not None and len(names) != len(outputs):
        raise DataError(
            f"The network has {counted(len(names), 'name')} of classes and gives {counted(len(outputs), 'logit')}; set "
            "net.classes to one name for each, or to None."
        )
    if not np.isfinite(outputs).all():
        raise EngineError(
            f"Stitch {stitch} gives logits that are not finite; its weights are damaged, or its number type overflows."
        )
    if spec.dense:
        return pixel_answer(outputs, stitch, spec, size, names)
    amounts = activated(outputs.astype(np.float64), spec)
    if spec.activation in ("softmax", "sigmoid"):
        return Prediction(stitch, amounts, names)
    return MapPrediction(stitch, amounts.astype(np.float32))


def _pixels(image: Any, input: InputSpec, output: OutputSpec) -> tuple[Pixels, tuple[int, int]]:
    """Return what a network takes of an image, and the image's own height and width."""
    array = _array(image)
    if array is None:
        picture = open_picture(image)
        return normalized_pixels(picture, input, whole=output.dense), upright_size(picture)
    if array.shape != input.size:
        raise DataError(
            f"The network takes normalized images of shape {input.size}, got {array.shape}; give a picture or its "
            "path, or what transform makes of it."
        )
    bounds = [(value - mean) / std for value in (0, 1) for mean, std in zip(input.mean, input.std, strict=True)]
    if array.dtype.kind != "f" or not np.abs(array).max() <= _FAR_OUTSIDE * max(map(abs, bounds)):
        raise DataError(
            f"The image holds {array.dtype} from {array.min()} to {array.max()}, and normalized ones lie between "
            f"{min(bounds):.3g} and {max(bounds):.3g}; give a picture or its path, or what transform makes of it."
        )
    return array.astype(np.float32, copy=False), (array.shape[1], array.shape[2])


def _array(given: Any) -> NDArray[Any] | None:
    """Return an array, or a tensor of torch as an array; None for anything else."""
    if hasattr(given, "detach"):
        tensor = given.detach().cpu()
        given = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return given if isinstance(given, np.ndarray) else None
