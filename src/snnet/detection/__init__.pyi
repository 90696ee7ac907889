from .backbone import StitchedBackbone as StitchedBackbone
from .scenes import DetectionScenes as DetectionScenes
from .scenes import collate as collate
