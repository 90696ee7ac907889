"""The experiments of Stitchable Neural Networks (arXiv 2302.06586), each one command."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
