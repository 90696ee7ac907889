"""Stitchable networks: a family of pretrained models as one network with a route for every budget."""

import lazy_loader

__version__ = "0.1.0"

# Importing torch takes seconds, and listing a space or reading a table needs none of it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
