"""What stitches cost: multiply-adds and parameters, counted; time, memory and energy, measured or predicted."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
