"""Elastic serving: requests with deadlines wait in one queue, and a policy says which stitch answers how many, now."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
