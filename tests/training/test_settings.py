import pytest

from snnet.errors import RecipeError
from snnet.training import REMOVED_SETTINGS, RunSettings, removed_fault


@pytest.mark.parametrize("name", REMOVED_SETTINGS)
def test_what_is_done_anyway_may_be_written_and_nothing_else(name: str) -> None:
    kept, instead = REMOVED_SETTINGS[name]
    assert removed_fault(name, kept) is None and removed_fault(name, str(kept)) is None
    assert removed_fault(name, "other") == f"{name}: 'other' is gone; {instead}"


@pytest.mark.parametrize(("name", "value"), [("seed", 2**70), ("threads", 10**40), ("threads", 10**6)])
def test_no_machine_has_such_numbers(name: str, value: int) -> None:
    with pytest.raises(RecipeError, match=name):
        RunSettings(steps=1, **{name: value})
