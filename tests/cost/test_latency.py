"""What is timed, in which order, and what is refused."""

import re
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snnet.cost import measure_latency
from snnet.errors import RecipeError, SpaceError
from snnet.network import SNNet

ONE_ROUND = {"warmup": 0, "repeats": 1}


def test_columns_by_batch_size(tiny_net: SNNet) -> None:
    found = measure_latency(tiny_net, ["0:0-4", 1], batch_sizes=(1, 4), repeats=5)
    assert list(found) == ["0:0-4", "1:0-4"]
    for row in found.values():
        assert set(row) == {"latency_ms", "latency_ms_p95", "latency_ms@4", "latency_ms_p95@4", "throughput"}
        assert 0 < row["latency_ms"] <= row["latency_ms_p95"]
        assert row["throughput"] == pytest.approx(4000 / row["latency_ms@4"])


def test_a_known_delay_is_found_again(tiny_net: SNNet) -> None:
    class Slow(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            time.sleep(0.05)
            return tokens

    tiny_net.anchor(1).model.norm = Slow()
    found = measure_latency(tiny_net, ["1:0-4", "2:0-4"], repeats=5)
    assert 50 <= found["1:0-4"]["latency_ms"] < 75
    assert found["2:0-4"]["latency_ms"] < 50


def watch_heads(net: SNNet, note: Callable[[int, Tensor], None]) -> None:
    """Tell `note` of each run of an anchor's head; replicas keep the hooks."""
    for number in range(len(net.anchors)):
        head = net.anchor(number).model.head
        head.register_forward_hook(lambda _, __, logits, number=number: note(number, logits))


def test_rounds_visit_every_stitch_once_in_changing_order(tiny_net: SNNet) -> None:
    seen: list[int] = []
    watch_heads(tiny_net, lambda number, _: seen.append(number))
    measure_latency(tiny_net, [0, 1, 2, 2], warmup=2, repeats=10)
    rounds = [tuple(seen[start : start + 3]) for start in range(0, len(seen), 3)]
    assert len(rounds) == 12 and all(sorted(order) == [0, 1, 2] for order in rounds)
    assert len(set(rounds)) > 2


def test_runs_in_inference_and_evaluation_mode_and_leaves_the_network_alone(tiny_net: SNNet) -> None:
    modes: list[bool] = []
    watch_heads(tiny_net, lambda _, logits: modes.append(logits.is_inference()))
    tiny_net.train()
    tiny_net.anchor(0).model.head.register_forward_hook(lambda module, *_: modes.append(not module.training))
    places = [p.data_ptr() for p in tiny_net.parameters()]
    measure_latency(tiny_net, [0], **ONE_ROUND)
    assert modes == [True, True]
    assert all(module.training for module in tiny_net.modules())
    assert [p.data_ptr() for p in tiny_net.parameters()] == places
    tiny_net(torch.randn(1, *tiny_net.input.size), 0).sum().backward()


def test_another_type_is_measured_on_a_replica(tiny_net: SNNet) -> None:
    types: list[torch.dtype] = []
    watch_heads(tiny_net, lambda _, logits: types.append(logits.dtype))
    measure_latency(tiny_net, [0], dtype=torch.bfloat16, **ONE_ROUND)
    assert types == [torch.bfloat16]
    assert {p.dtype for p in tiny_net.parameters()} == {torch.float32}


def test_threads_are_set_and_restored(tiny_net: SNNet) -> None:
    before, seen = torch.get_num_threads(), []
    wanted = 1 if before != 1 else 2
    measure_latency(
        tiny_net, [0], threads=wanted, progress=lambda *_: seen.append(torch.get_num_threads()), **ONE_ROUND
    )
    assert seen == [wanted] and torch.get_num_threads() == before


def test_progress_counts_rounds(tiny_net: SNNet) -> None:
    told: list[tuple[int, int, str]] = []
    measure_latency(tiny_net, [0], batch_sizes=(1, 2), warmup=1, repeats=1, progress=lambda *step: told.append(step))
    assert told == [(1, 4, "batch 1"), (2, 4, "batch 1"), (3, 4, "batch 2"), (4, 4, "batch 2")]


def test_all_numbers_out_of_range_are_named(tiny_net: SNNet) -> None:
    with pytest.raises(RecipeError, match=re.escape("batch size 0; accepted: 1 and more; with batch size -2")):
        measure_latency(tiny_net, [0], batch_sizes=(0, 1, -2))
    with pytest.raises(RecipeError, match=r"no batch size; give at least one.*warmup -1.*repeats 0.*threads 0"):
        measure_latency(tiny_net, [0], batch_sizes=(), warmup=-1, repeats=0, threads=0)


def test_unknown_device(tiny_net: SNNet) -> None:
    with pytest.raises(RecipeError, match="Unknown device 'gpu'"):
        measure_latency(tiny_net, [0], device="gpu")


def test_unknown_stitch(tiny_net: SNNet) -> None:
    with pytest.raises(SpaceError, match=r"No stitch '0:0-1,1:3-4' in this space; accepted: 0 to .* Did you mean"):
        measure_latency(tiny_net, ["0:0-1,1:3-4"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_is_waited_for_and_the_network_stays_on_the_cpu(tiny_net: SNNet) -> None:
    found = measure_latency(tiny_net, [0, 2], batch_sizes=(1, 64), device="cuda")
    assert all(value > 0 for row in found.values() for value in row.values())
    assert {p.device.type for p in tiny_net.parameters()} == {"cpu"}
