"""Setting the stitching layers before training."""

from snnet.init.least_squares import InitReport, LayerFit, collect_equations, initialize

__all__ = ["InitReport", "LayerFit", "collect_equations", "initialize"]
