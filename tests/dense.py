"""What two processes together find of networks that end in maps, once for all tests."""

from functools import partial
from pathlib import Path

import pytest

from tests.distributed import fork


@pytest.fixture(scope="session")
def dense_together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `tests.helpers.dense.run_together` has written."""
    from tests.helpers import dense

    directory = tmp_path_factory.mktemp("two")
    both = fork(2, partial(dense.run_together, directory), directory / "told.txt")
    for process in both:
        process.join(300)
    assert [process.exitcode for process in both] == [0, 0], (directory / "told.txt").read_text()
    return directory
