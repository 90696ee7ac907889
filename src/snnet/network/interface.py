# Tested in tests/network/test_network.py.
"""What the files of this room know of a network, which they are below."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from snnet.anchors import Anchor, BatchNorm
from snnet.layers import StitchingLayer
from snnet.network.head_source import HeadSource
from snnet.network.statistics import RouteStatistics
from snnet.space import InputSpec, Step, Stitch, StitchSpace
from snnet.table import StitchTable
from snnet.tasks import Task


class TakesImages(Protocol):
    """A network, as far as it takes to check its images."""

    @property
    def input(self) -> InputSpec: ...  # noqa: D102
    @property
    def family(self) -> list[Anchor]: ...  # noqa: D102


class Network(Protocol):
    """Anchors, stitching layers and the space of routes through them; `SNNet` is one."""

    space: StitchSpace
    statistics: RouteStatistics
    table: StitchTable | None
    classes: tuple[str, ...] | None
    head_source: HeadSource | None
    task: Task

    def __call__(self, images: Tensor, stitch: Stitch, /) -> Tensor: ...  # noqa: D102
    @property
    def num_classes(self) -> int: ...  # noqa: D102
    @property
    def input(self) -> InputSpec: ...  # noqa: D102
    @property
    def settings(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def family(self) -> list[Anchor]: ...  # noqa: D102
    def anchor(self, number: int) -> Anchor: ...  # noqa: D102
    def layer_named(self, name: str) -> StitchingLayer: ...  # noqa: D102
    def steps(self, stitch: Stitch) -> tuple[Step, ...]: ...  # noqa: D102
    def prefixes(self, stitch: Stitch) -> tuple[str, ...]: ...  # noqa: D102
    def run_step(self, step: Step, features: Tensor | Sequence[Tensor], prefix: str = "") -> Tensor: ...  # noqa: D102
    @property
    def maps(self) -> nn.ModuleDict: ...  # noqa: D102
    @property
    def head(self) -> nn.Module: ...  # noqa: D102
    def step_norms(self, step: Step) -> list[BatchNorm]: ...  # noqa: D102
    def step_parameters(self, step: Step) -> list[nn.Parameter]: ...  # noqa: D102
