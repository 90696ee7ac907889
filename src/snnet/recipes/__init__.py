"""From YAML to parts to a finished run: recipes, the demo, and the experiments of the paper in `paper`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
