"""Images by name, from folders, shards, torchvision, timm or the package itself, as batches that resume exactly."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
