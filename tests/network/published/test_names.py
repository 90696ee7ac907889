"""Names of tensors in the published files: timm's own conversion and the order of the files are the reference."""

import timm
import torch
from timm.models.swin_transformer import PatchMerging, checkpoint_filter_fn
from torch import Tensor, cat, nn

from snnet.network.published.families import levit_name, swin_name
from tests.network.published.official import anchor_part, official_shapes


def test_swin_names_invert_timms_own_conversion() -> None:
    with torch.device("meta"):
        model = timm.create_model("swin_tiny_patch4_window7_224")
        state = {name: torch.empty(shape) for name, shape in official_shapes("swin_ti_s_b").items()}
    published = {tensor: name for name, tensor in anchor_part(state, 0).items()}
    converted = checkpoint_filter_fn(anchor_part(state, 0), model)
    assert set(converted) == set(model.state_dict())
    assert {swin_name(name): name for name in converted} == {published[t]: name for name, t in converted.items()}


def test_levit_tensors_come_in_the_order_of_the_published_file() -> None:
    """timm kept Facebook's order of modules, so the n-th tensor of one is the n-th of the other."""
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in official_shapes("levit_192_256").items()}
        for number, name in enumerate(("levit_192", "levit_256")):
            ours = timm.create_model(name).state_dict()
            assert [levit_name(key) for key in ours] == list(anchor_part(state, number))
    assert levit_name("stages.1.downsample.attn_downsample.q.ln.linear.weight") == "blocks.8.q.1.c.weight"
    assert levit_name("stages.2.blocks.3.mlp.ln2.bn.bias") == "blocks.27.m.2.bn.bias"


class MicrosoftsPatchMerging(nn.Module):
    """As in Microsoft's code: four strided slices side by side, rows varying first."""

    def __init__(self, norm: nn.Module, reduction: nn.Module) -> None:
        super().__init__()
        self.norm, self.reduction = norm, reduction

    def forward(self, x: Tensor) -> Tensor:
        slices = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(cat(slices, dim=-1)))
        return merged


def test_patch_merging_takes_its_channels_in_microsofts_order() -> None:
    torch.manual_seed(0)
    ours = PatchMerging(6)
    nn.init.normal_(ours.norm.weight)
    features = torch.randn(2, 4, 8, 6)
    torch.testing.assert_close(ours(features), MicrosoftsPatchMerging(ours.norm, ours.reduction)(features))
