"""What is known about stitches: a row each, the frontier among them, and the best under a budget."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
