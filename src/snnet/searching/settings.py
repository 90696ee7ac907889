# Tested in tests/searching/test_finding.py.
"""How a search goes, as settings."""

from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from snnet.errors import SNNetError, SpaceError
from snnet.utils import Settings

Cost = Literal["macs", "params", "memory_mb", "latency_ms"]
"""What the budgets of a search are of."""


class SearchSettings(Settings):
    """Which routes a search looks for."""

    refused_with: ClassVar[type[SNNetError]] = SpaceError

    budgets: int = Field(24, ge=1, le=1000, description="budgets that routes are chosen for, evenly spaced")
    cost: Cost = Field("macs", description="what budgets are of: macs, params, memory_mb or latency_ms")
    cuts: int = Field(3, ge=1, le=3, description="cuts of a route, at most")
    for_training: bool = Field(False, description="choose what will be best once it is trained, not what is best now")
    images: int = Field(512, ge=4, description="images to fit and judge on, half and half")

    @property
    def keywords(self) -> dict[str, Any]:
        """The same as keywords of `search`."""
        return {**self.model_dump(exclude={"images"}), "max_images": self.images}


class SearchOptions(TypedDict, total=False):
    """Fields of `SearchSettings` as keywords."""

    budgets: int
    cost: Cost
    cuts: int
    for_training: bool


USUAL_SEARCH = SearchSettings()
"""The defaults."""
