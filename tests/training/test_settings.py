import pytest

from snnet.training import REMOVED_SETTINGS, removed_fault


@pytest.mark.parametrize("name", REMOVED_SETTINGS)
def test_what_is_done_anyway_may_be_written_and_nothing_else(name: str) -> None:
    kept, instead = REMOVED_SETTINGS[name]
    assert removed_fault(name, kept) is None and removed_fault(name, str(kept)) is None
    assert removed_fault(name, "other") == f"{name}: 'other' is gone; {instead}"
