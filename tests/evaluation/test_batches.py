import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from snnet.errors import DataError
from snnet.evaluation.batches import Batches

X, Y = torch.randn(10, 1, 4, 4), torch.arange(10) % 3


def shapes(data, **options):
    return [tuple(x.shape) for x, _ in Batches(data, 3, options.get("batch_size", 4))]


class Stream(IterableDataset):
    def __iter__(self):
        yield from zip(X, Y, strict=True)


@pytest.mark.parametrize(
    "data", [(X, Y), [X, Y], TensorDataset(X, Y), Stream(), DataLoader(TensorDataset(X, Y), batch_size=4)]
)
def test_all_kinds_of_data_can_be_read_twice(data):
    batches = Batches(data, 3, 4)
    assert batches.count() == 3
    for _ in range(2):
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        assert torch.equal(torch.cat([y for _, y in batches]), Y)


def test_a_list_of_two_batches_is_not_taken_for_two_tensors():
    assert shapes([(X[:6], Y[:6]), (X[6:], Y[6:])]) == [(6, 1, 4, 4), (4, 1, 4, 4)]


def test_fingerprint_knows_the_data_whatever_the_order_and_batch_size():
    order = torch.randperm(10)
    same = Batches((X, Y), 3, 4).fingerprint().to_dict()
    assert Batches((X[order], Y[order]), 3, 3).fingerprint().to_dict() == same
    other = X.clone()
    other[3, 0, 2, 2] += 1e-3
    assert Batches((other, Y), 3, 4).fingerprint().to_dict() != same
    assert Batches((X.flip(3), Y), 3, 4).fingerprint().to_dict() != same
    assert Batches((X, Y.flip(0)), 3, 4).fingerprint().to_dict() != same
    assert Batches((X[:9], Y[:9]), 3, 4).fingerprint().to_dict() != same


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (((x, y) for x, y in [(X, Y)]), r"generator can be read only once.*list\(batches\)"),
        ((X, torch.full((10,), 7)), r"Label 7 does not fit a network of 3 classes \(0 to 2\)"),
        ((X, Y - 1), r"Label -1 does not fit"),
        ([], "no images"),
        ((X[:0], Y[:0]), "no images"),
        ([(X[:0], Y[:0])], "no images"),
        ((X, Y[:4]), "10 images but 4 labels"),
        ([X], "two tensors .*not Tensor"),
        ([(X, Y, Y)], "not a tuple of 3"),
        ([(X, Y[:5])], r"not \(10, 1, 4, 4\) with torch.int64 \(5,\)"),
        ([(X, torch.rand(10, 3))], r"integer labels \(B,\).*float32 \(10, 3\)"),
        (5, "type int cannot be evaluated"),
    ],
)
def test_data_that_does_not_fit_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        list(Batches(data, 3, 4))
