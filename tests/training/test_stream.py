from collections.abc import Iterator
from itertools import islice

import pytest
import torch
from torch import Tensor

from snnet.errors import DataError
from snnet.training.stream import step_batches
from tests.training.killable import TinyBatches


def labels(steps: list[tuple[tuple[Tensor, Tensor], ...]]) -> list[list[int]]:
    return [[int(label) for _, ys in step for label in ys] for step in steps]


def test_a_stream_begun_later_gives_the_same_steps() -> None:
    batches = TinyBatches()
    whole = labels(list(islice(step_batches(batches, 2, 0), 9)))
    assert {len(step) for step in whole} == {16}
    for start in range(9):
        assert labels(list(islice(step_batches(batches, 2, start), 9 - start))) == whole[start:]


def test_too_little_data_is_refused() -> None:
    with pytest.raises(DataError, match="smaller than one batch"):
        next(step_batches(TinyBatches(num_images=4), 1, 0))


def test_a_short_epoch_is_refused() -> None:
    class Short(TinyBatches):
        def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
            yield torch.zeros(1, 1, 28, 28), torch.zeros(1)

    with pytest.raises(DataError, match="gave 1 batch from number 0 on where 5 were expected"):
        list(islice(step_batches(Short(), 1, 0), 2))
