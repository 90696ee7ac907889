import os
import unicodedata
from pathlib import Path

import pytest

from snnet.data.names import check_text, differ, listed, look_alikes
from snnet.errors import DataError

NFC, NFD = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))


def test_what_is_hard_to_see_is_said() -> None:
    assert "differ in Unicode form, NFC and NFD: 'caf\\xe9' and 'cafe\\u0301'" in differ(NFC, NFD)
    assert differ("cat", "cat ") == "'cat' and 'cat ' differ in blanks: 'cat' and 'cat '"
    assert differ("a b", "a\u00a0 b").startswith("'a b' and 'a\\xa0 b' differ in blanks")
    assert differ("Cat", "cat") == "'Cat' and 'cat' differ in upper and lower case"
    assert differ("cat", "dog") == "'cat' and 'dog'"


def test_pairs_are_found_among_others() -> None:
    assert look_alikes(["dog", NFC, "same"], ["wolf", NFD, "same"]) == [differ(NFC, NFD)]


def test_names_that_are_no_text_or_look_alike_are_refused() -> None:
    check_text(Path("root"), ["Cat", "cat", "dog"])
    with pytest.raises(DataError, match=r"name is not UTF-8, b'caf\\xe9'"):
        check_text(Path("root"), ["cat", os.fsdecode(b"caf\xe9")])
    for twins in ((NFC, NFD), ("cat", " cat")):
        with pytest.raises(DataError, match=r"two class folders that look alike: .* differ in"):
            check_text(Path("root"), twins)


def test_a_list_is_quoted_and_cut() -> None:
    assert listed(["a", "b "]) == "'a', 'b '"
    assert listed([*"abcdef"]).endswith("'e', ... (6 in all)")
