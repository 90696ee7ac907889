# Tested in tests/anchors/test_families.py.
"""RegNet X, Y, Z and V: every timm `RegNet`."""

from timm.models.regnet import RegNet

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.timm_anchor import TimmAnchor


@ANCHORS.register("regnet")
class RegNetAnchor(TimmAnchor):
    """A RegNet as four stages of bottlenecks; those of strides 8 and 16 are stitched by default, as in ResNets."""

    models = (RegNet,)
    stem_names = ("stem",)
    stage_names = ("s1", "s2", "s3", "s4")
    last_names = ("final_conv",)

    @property
    def stages(self) -> tuple[int, ...]:
        """The two stages in the middle."""
        return (1, 2)

    @property
    def checkpointing(self) -> bool:
        """Whether blocks keep no activations in training; in RegNets each stage holds the switch."""
        return bool(self.stage_modules()[0].grad_checkpointing)
