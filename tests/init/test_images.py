import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from snnet.errors import DataError
from snnet.init.images import count_images, image_batches

SIZE = (1, 4, 4)


def test_batches_are_split_and_cut_off() -> None:
    images = torch.randn(11, *SIZE)
    assert [len(batch) for batch in image_batches(images, SIZE, 4)] == [4, 4, 3]
    assert [len(batch) for batch in image_batches([images, (images, torch.zeros(11))], SIZE, 8)] == [8, 3, 8, 3]
    assert [len(batch) for batch in image_batches([images, images], SIZE, 8, max_images=13)] == [8, 3, 2]
    assert torch.equal(torch.cat(list(image_batches(images, SIZE, 4))), images)


def test_an_endless_loader_is_read_no_further_than_needed() -> None:
    def endless():  # type: ignore[no-untyped-def]
        yield torch.randn(5, *SIZE)
        raise AssertionError("read too far")

    assert sum(map(len, image_batches(endless(), SIZE, 4, max_images=5))) == 5


def test_count() -> None:
    loader = DataLoader(TensorDataset(torch.randn(10, *SIZE)), batch_size=3)
    assert count_images(torch.zeros(7, *SIZE), None) == 7
    assert count_images(loader, None) == 10
    assert count_images(loader, 4) == 4
    assert count_images(iter(()), None) == 0
    assert count_images(iter(()), 5) == 5


def test_an_empty_tuple_is_refused() -> None:
    with pytest.raises(DataError, match="are a tuple"):
        list(image_batches([()], SIZE, 4))
