"""Dense heads: from the feature maps of a network to a map of outputs as large as the images."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
