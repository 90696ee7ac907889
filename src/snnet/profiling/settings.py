# Tested in tests/profiling/test_profiling.py.
"""How often something is measured, and with how many images."""

from dataclasses import dataclass

from snnet.errors import RecipeError


@dataclass(frozen=True)
class MeasureSettings:
    """How a measurement is made.

    Attributes:
        batch_sizes: Images per forward pass; each size is measured apart.
        warmup: Rounds before those that count.
        repeats: Rounds that count; the median is kept.
        blocks: Measure blocks, stitching layers, heads and a few whole stitches, and predict the others, each with an
            error bar (`latency_ms_error`); the error on stitches that were really measured is told.
        energy: Measure energy where there is a meter, a third of a second for each stitch.
        seed: Of images, orders, and the choice of stitches to check predictions on.

    Raises:
        RecipeError: If a number is out of range; the message lists all such numbers.
    """

    batch_sizes: tuple[int, ...] = (1,)
    warmup: int = 3
    repeats: int = 20
    blocks: bool = False
    energy: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        faults = [f"batch size {size}; accepted: 1 and more" for size in self.batch_sizes if size < 1]
        faults += [] if self.batch_sizes else ["no batch size; give at least one, such as (1,)"]
        faults += [f"warmup {self.warmup}; accepted: 0 and more"] if self.warmup < 0 else []
        faults += [f"repeats {self.repeats}; accepted: 1 and more"] if self.repeats < 1 else []
        if faults:
            raise RecipeError(f"Latency cannot be measured with {'; with '.join(faults)}.")

    @property
    def rounds(self) -> int:
        """Rounds in all, for one batch size."""
        return self.warmup + self.repeats


USUAL_MEASURE = MeasureSettings()
