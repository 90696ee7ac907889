"""The layers that join anchors."""

from snnet.layers.stitching import StitchingLayer

__all__ = ["StitchingLayer"]
