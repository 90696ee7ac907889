"""What a network is for: what targets look like, the loss, agreement without labels, and scores."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
