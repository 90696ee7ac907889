"""Which routes of a family are worth having: all cuts fitted, the most promising run, the best chosen."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
