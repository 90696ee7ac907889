"""Options whose latencies are easy to work with by hand, for the tests of serving."""

from snnet.serving import Option, Options, Summary


def options(*, max_batch: int = 8, setup: float = 1.0, scores: tuple[float, ...] = (60.0, 70.0, 80.0)) -> Options:
    """Stitches that take `setup` seconds and then 1, 2, 4, ... for each image."""
    return Options(
        [
            Option(f"{place}:0-12", batch, setup + 2.0**place * batch, score)
            for place, score in enumerate(scores)
            for batch in (1, 2, 4, 8, 16, 32)
        ],
        max_batch=max_batch,
    )


def waiting(*deadlines: float, least: int = 1, rate: float = 0.1, allowance: float = 20.0) -> Summary:
    """Requests with these deadlines, and nothing behind them."""
    import numpy as np

    return Summary((0, "", ()), np.array(sorted(deadlines)), least, 0, rate, allowance)
