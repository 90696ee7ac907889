import pytest

from snnet.errors import SpaceError
from snnet.space import StitchSpace
from snnet.training import stitch_generator
from snnet.training.samplers import SAMPLERS

SPACE = StitchSpace.build([[4], [4], [4]])


@pytest.mark.parametrize(("stitch", "expected"), [("0:0-2,1:2-4", "0:0-2,1:2-4"), (None, "2:0-4")])
def test_one_stitch_at_every_step(stitch: str | None, expected: str) -> None:
    sampler = SAMPLERS.get("single")(SPACE, stitch)  # type: ignore[call-arg]
    assert {sampler.draw(step, stitch_generator(0, step)) for step in range(5)} == {(SPACE.find(expected),)}
    assert sampler.describe()["stitch"] == expected


def test_a_stitch_that_the_space_lacks_is_refused() -> None:
    with pytest.raises(SpaceError, match="no stitch '0:0-3,2:1-4' to train alone"):
        SAMPLERS.get("single")(SPACE, "0:0-3,2:1-4")  # type: ignore[call-arg]
