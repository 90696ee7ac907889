"""Sources of images that are read in sequence, and what training needs of them to resume exactly."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Order:
    """A shuffled order of a stream, which is a function of these numbers.

    Attributes:
        seed: Of the run.
        epoch: Which pass.
        buffer: Images in the shuffle buffer; None for what suits the source.
    """

    seed: int
    epoch: int
    buffer: int | None = None


class RawImage(ABC):
    """An image of a stream that is not decoded yet.

    Attributes:
        lane: Images of one lane lie together and are best read by one process.
    """

    lane: int

    @property
    @abstractmethod
    def name(self) -> str:
        """What to call it in messages."""

    @property
    @abstractmethod
    def key(self) -> str:
        """What its augmentation depends on besides seed and epoch, wherever the data lies."""

    @property
    @abstractmethod
    def place(self) -> tuple[int, ...]:
        """What tells it from all others of the stream, in any order."""

    @abstractmethod
    def label(self) -> int:
        """Return the label without decoding the image.

        Raises:
            DataError: If there is none.
        """

    @abstractmethod
    def decode(self) -> Image.Image:
        """Return the image.

        Raises:
            CorruptImageError: If it does not decode.
            DataError: If it cannot be read.
        """


class StreamSource(ABC):
    """Labelled images that are read in sequence.

    Attributes:
        name: What to call it in messages.
        classes: Names of the classes; empty where the source does not tell.
        lanes: How many sequences are read side by side in a shuffled order.
    """

    name: str
    classes: tuple[str, ...] = ()
    lanes: int = 1

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images, which may take reading through the source without decoding."""

    @abstractmethod
    def images(self, order: Order | None = None, start: int = 0) -> Iterator[RawImage]:
        """Yield the images from position `start` on, decoding none.

        Args:
            order: How they are shuffled; None for the order in which they lie.
            start: Position in that order.
        """
