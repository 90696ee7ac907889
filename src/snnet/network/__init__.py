"""The network of anchors and stitching layers: built, saved, read, published, and one stitch taken out of it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
