"""What any program needs: files written whole, registries, progress, machines, processes, counting multiply-adds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
