"""Unknown keywords are refused with the nearest before the function runs."""

from inspect import signature

import pytest

from snnet.utils import near_keywords


def test_the_nearest_is_named_and_nothing_runs() -> None:
    ran: list[int] = []

    def work(number: int, *, stride: int = 1, family: str = "") -> int:
        """Work."""
        ran.append(number)
        return number * stride

    checked = near_keywords(work)
    assert checked(3, stride=2) == 6 and checked(number=4) == 4 and ran == [3, 4]
    for wrong, near in (("familly", "family"), ("strid", "stride")):
        with pytest.raises(TypeError, match=rf"work\(\) has no keyword '{wrong}'; accepted: number, .*'{near}'"):
            checked(3, **{wrong: 1})
    assert ran == [3, 4]
    assert (checked.__name__, checked.__doc__, signature(checked)) == ("work", "Work.", signature(work))
