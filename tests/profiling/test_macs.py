"""MACs against torch's counter run over whole forward passes."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snnet.network import SNNet
from snnet.profiling import step_macs
from tests.conftest import build_tiny_net


def counted_by_a_whole_forward(net: SNNet, stitch: str) -> int:
    """Run the stitch on real tensors; norms are counted by hooks, apart from the counter."""
    norms = []

    def note(_: nn.Module, __: object, output: torch.Tensor) -> None:
        norms.append(5 * output.numel())

    hooks = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, nn.LayerNorm)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.randn(1, *net.input.size), stitch)
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() // 2 + sum(norms)


def folded(net: SNNet) -> dict[str, int]:
    macs = step_macs(net)
    return {stitch.id: sum(macs[step] for step in net.steps(stitch)) for stitch in net.space}


@pytest.mark.parametrize("options", [{}, {"direction": "slow-to-fast"}, {"nearest": False, "direction": "both"}])
def test_fold_over_steps_equals_a_count_of_the_whole_forward(options: dict[str, object]) -> None:
    net = build_tiny_net(**options)
    found = folded(net)
    chosen = list(found)[:: max(1, len(found) // 25)]
    assert {stitch: found[stitch] for stitch in chosen} == {s: counted_by_a_whole_forward(net, s) for s in chosen}


def test_fused_and_written_out_attention_count_the_same(tiny_net: SNNet) -> None:
    fused = folded(tiny_net)
    switched = [m for m in tiny_net.modules() if hasattr(m, "fused_attn")]
    assert switched and all(m.fused_attn for m in switched)
    for module in switched:
        module.fused_attn = False
    assert folded(tiny_net) == fused


def test_number_types_and_mode_do_not_change_the_count(tiny_net: SNNet) -> None:
    expected = folded(tiny_net)
    assert folded(tiny_net.to(torch.bfloat16).train()) == expected
    assert folded(tiny_net.to("meta")) == expected


def test_the_network_stays_as_it_was(tiny_net: SNNet) -> None:
    tiny_net.train()
    before = copy.deepcopy(tiny_net.state_dict())
    places = [p.data_ptr() for p in tiny_net.parameters()]
    step_macs(tiny_net)
    assert tiny_net.training and all(m.training for m in tiny_net.modules())
    assert [p.data_ptr() for p in tiny_net.parameters()] == places
    assert all(p.requires_grad for p in tiny_net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in tiny_net.state_dict().items())


def test_blocks_of_equal_shape_are_not_taken_for_equal(tiny_net: SNNet) -> None:
    class Twice(nn.Module):
        def __init__(self, mlp: nn.Module) -> None:
            super().__init__()
            self.mlp = mlp

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.mlp(self.mlp(tokens))

    block = tiny_net.anchor(0).model.blocks[2]
    block.mlp = Twice(block.mlp)
    found = folded(tiny_net)
    assert found["0:0-4"] == counted_by_a_whole_forward(tiny_net, "0:0-4")
