from .bundle import Bundle as Bundle
from .graphs import StitchGraphs as StitchGraphs
from .graphs import run_session as run_session
from .manifest import MANIFEST as MANIFEST
from .quantize import Quantization as Quantization
from .sessions import open_session as open_session
from .write import write_bundle as write_bundle
