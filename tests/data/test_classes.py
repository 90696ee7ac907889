"""The names of classes in `images.py`: what data says about them, and whether a network agrees."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from snnet.data import TrainBatches, check_classes, classes_of, eval_batches
from snnet.errors import DataError

NAMES = ("ant", "bee", "cat")


class Named(TensorDataset):
    def __init__(self, classes: object = NAMES) -> None:
        super().__init__(torch.zeros(4, 1), torch.zeros(4))
        self.classes = classes


@pytest.mark.parametrize("wrap", [lambda d: d, DataLoader, lambda d: Subset(d, [0]), lambda d: eval_batches(d, 2)])
def test_classes_are_found_behind_whatever_reads_the_data(wrap: object) -> None:
    assert callable(wrap)
    assert classes_of(wrap(Named())) == NAMES


def test_batches_of_a_subset_in_a_loader() -> None:
    assert classes_of(TrainBatches(Subset(Named(["ant", "bee"]), [0, 1]), 2)) == ("ant", "bee")


def test_synonyms_are_joined() -> None:
    assert classes_of(Named([("tench", "Tinca tinca"), "shark"])) == ("tench, Tinca tinca", "shark")


def test_data_that_does_not_name_its_classes() -> None:
    tensors = (torch.zeros(2, 1), torch.zeros(2))
    relabelled = SimpleNamespace(classes=list(NAMES), target_transform=lambda label: 2 - label)
    for data in (tensors, TensorDataset(*tensors), [tensors], Named(()), Named(10), relabelled, None):
        assert classes_of(data) is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (("ant", "cat", "bee"), r"class 1 is 'bee' in the network and 'cat' in the data.*net\.classes"),
        (("ant", "bee"), r"class 2 is 'cat' in the network and missing in the data"),
        (("ant ", "bee", "cat"), r"'ant ' in the data \('ant' and 'ant ' differ in blanks"),
        ((*NAMES, "dog"), r"class 3 is missing in the network and 'dog' in the data"),
    ],
)
def test_the_first_difference_is_named(found: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_classes(NAMES, found)


def test_equal_or_unknown_names_agree() -> None:
    check_classes(NAMES, list(NAMES))
    check_classes(None, NAMES)
    check_classes(NAMES, None)
