"""Stitchable networks: a family of pretrained models as one network with a route for every budget."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnet.anchors import ANCHORS as ANCHORS
    from snnet.anchors import MODELS as MODELS
    from snnet.anchors import Anchor as Anchor
    from snnet.anchors import AnchorSource as AnchorSource
    from snnet.assemble import stitch as stitch
    from snnet.errors import SNNetError as SNNetError
    from snnet.evaluation import evaluate as evaluate
    from snnet.export import export_stitch as export_stitch
    from snnet.hub import push_to_hub as push_to_hub
    from snnet.init import initialize as initialize
    from snnet.network import SNNet as SNNet
    from snnet.profiling import profile as profile
    from snnet.recalibration import recalibrate as recalibrate
    from snnet.report import write_report as write_report
    from snnet.route import Stitch as Stitch
    from snnet.runtime import Governor as Governor
    from snnet.runtime import Runtime as Runtime
    from snnet.saved import load as load
    from snnet.selection import pareto_frontier as pareto_frontier
    from snnet.selection import select as select
    from snnet.space import StitchSpace as StitchSpace
    from snnet.table import StitchTable as StitchTable
    from snnet.training import Trainer as Trainer

__version__ = "0.1.0"

_HOME = {
    "ANCHORS": "anchors",
    "MODELS": "anchors",
    "Anchor": "anchors",
    "AnchorSource": "anchors",
    "Governor": "runtime",
    "Runtime": "runtime",
    "SNNet": "network",
    "SNNetError": "errors",
    "Stitch": "route",
    "StitchSpace": "space",
    "StitchTable": "table",
    "Trainer": "training",
    "evaluate": "evaluation",
    "export_stitch": "export",
    "initialize": "init",
    "load": "saved",
    "pareto_frontier": "selection",
    "profile": "profiling",
    "push_to_hub": "hub",
    "recalibrate": "recalibration",
    "select": "selection",
    "stitch": "assemble",
    "write_report": "report",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds, and listing a space or reading a table needs none of it.
    if name not in _HOME:
        raise AttributeError(f"module 'snnet' has no attribute {name!r}")
    return getattr(import_module(f"snnet.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
