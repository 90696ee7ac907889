from .backbone import StitchedBackbone as StitchedBackbone
