from pathlib import PurePosixPath

import pytest

from snnet.data.splits import SPLIT_NAMES, find_split, held_out, is_split
from snnet.errors import DataError


@pytest.mark.parametrize("split", SPLIT_NAMES)
def test_every_spelling_in_any_case(split: str) -> None:
    for name in SPLIT_NAMES[split]:
        for written in (name, name.upper(), name.title()):
            assert is_split(written)
            assert find_split(["other", written], split) == written


def test_validation_images_come_before_test_images() -> None:
    assert find_split(["TEST", "Val"], "validation") == "Val"


def test_no_such_split() -> None:
    assert find_split(["train"], "validation") is None
    assert not is_split("trains")


def test_two_of_one_name() -> None:
    with pytest.raises(DataError, match="The validation images may be those of VAL or val; keep one of them"):
        find_split(["val", "VAL", "validate"], "validation")


@pytest.mark.parametrize(("count", "held"), [(1, 1), (4, 1), (5, 1), (9, 1), (10, 2), (103, 20)])
def test_one_in_five_is_held_out_by_names_alone(count: int, held: int) -> None:
    names = {place: PurePosixPath(f"a/{place}.jpg") for place in range(count)}
    chosen = {names[place] for place in held_out(names)}
    assert len(chosen) == held
    backwards = dict(enumerate(reversed(names.values())))
    assert {backwards[place] for place in held_out(backwards)} == chosen
