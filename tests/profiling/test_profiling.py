"""What is measured, in which order, what is kept, and what is refused."""

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnet.errors import BudgetError, RecipeError, SpaceError, TableError
from snnet.network import SNNet
from snnet.profiling import MeasureSettings, profile
from snnet.profiling.bench import Bench
from snnet.profiling.timing import Stopwatch
from snnet.runtime.engines import Ready
from snnet.table import StitchTable, doubts
from snnet.utils import Machine

ONE_ROUND = MeasureSettings(warmup=0, repeats=1)
QUICK = MeasureSettings(warmup=0, repeats=2)
TIMES = {"latency_ms", "latency_ms_p95", "latency_ms_p99", "throughput", "memory_mb"}


def test_without_stitches_only_costs_are_counted(tiny_net: SNNet) -> None:
    table = profile(tiny_net)
    assert table.columns == ("macs", "params") and "profile" not in table.meta
    assert tiny_net.table is table and len(table) == len(tiny_net.space)


def test_columns_by_batch_size(tiny_net: SNNet) -> None:
    table = profile(tiny_net, stitches=["0:0-4", 1], settings=MeasureSettings(batch_sizes=(1, 4), repeats=6))
    assert [row.stitch for row in table if "latency_ms" in row.values] == ["0:0-4", "1:0-4"]
    interval = {"latency_ms_low", "latency_ms_high"}
    expected = TIMES | interval | {f"{name}@4" for name in TIMES | interval} | {"macs", "params"}
    for row in table.rows[:2]:
        assert set(row.values) == expected
        assert 0 < row.latency_ms_low <= row.latency_ms <= row.latency_ms_p95 <= row.latency_ms_p99
        assert row.values["throughput@4"] == pytest.approx(4000 / row.values["latency_ms@4"])
        assert row.values["memory_mb@4"] > row.memory_mb > row.params * 4e-6


def test_latency_of_all_or_of_one(tiny_net: SNNet) -> None:
    assert profile(tiny_net, stitches="1:0-4", settings=ONE_ROUND)["1:0-4"].latency_ms > 0
    every = profile(tiny_net, stitches="all", settings=replace(ONE_ROUND, batch_sizes=(2,)))
    assert None not in every.column("latency_ms@2") and None not in every.column("throughput@2")


def test_facts_say_where_and_how(tiny_net: SNNet) -> None:
    meta = profile(tiny_net, stitches=[0], precision="bf16", threads=1, settings=QUICK).meta
    facts = meta["profile"]
    assert Machine.of(facts["machine"]) == Machine.here().on()
    assert (facts["engine"], facts["device"], facts["threads"]) == ("eager", "cpu", 1)
    assert (facts["precision"], facts["network_precision"]) == ("bf16", "fp32")
    assert facts["versions"]["torch"] == torch.__version__ and "eager" not in facts["versions"]
    assert facts["date"].startswith("20") and facts["method"] == "stitches" and facts["repeats"] == 2
    json.dumps(meta)


def test_a_known_delay_is_found_again(tiny_net: SNNet) -> None:
    class Slow(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            time.sleep(0.05)
            return tokens

    tiny_net.anchor(1).model.norm = Slow()
    found = profile(tiny_net, stitches=["1:0-4", "2:0-4"], settings=MeasureSettings(repeats=5))
    assert found["1:0-4"].latency_ms >= 50
    assert found["2:0-4"].latency_ms < found["1:0-4"].latency_ms


def watch_heads(net: SNNet, note: Callable[[int, Tensor], None]) -> None:
    """Tell `note` of each run of an anchor's head with numbers; replicas keep the hooks, those without numbers too."""

    def watch(number: int) -> None:
        def hook(_: nn.Module, __: object, logits: Tensor) -> None:
            if not logits.is_meta:
                note(number, logits)

        net.anchor(number).model.head.register_forward_hook(hook)

    for number in range(len(net.anchors)):
        watch(number)


def test_rounds_visit_every_stitch_once_in_changing_order(tiny_net: SNNet) -> None:
    seen: list[int] = []
    watch_heads(tiny_net, lambda number, _: seen.append(number))
    profile(tiny_net, stitches=[0, 1, 2, 2], settings=MeasureSettings(warmup=2, repeats=10, again=0))
    # Once each before, to be ready, and once after, for its memory.
    rounds = [tuple(seen[start : start + 3]) for start in range(3, 39, 3)]
    assert len(seen) == 42 and len(rounds) == 12 and all(sorted(order) == [0, 1, 2] for order in rounds)
    assert len(set(rounds)) > 2


def test_runs_in_inference_and_evaluation_mode_and_leaves_the_network_alone(tiny_net: SNNet) -> None:
    modes: list[bool] = []
    watch_heads(tiny_net, lambda _, logits: modes.append(logits.is_inference()))
    tiny_net.train()
    evaluating: list[bool] = []
    tiny_net.anchor(0).model.head.register_forward_hook(lambda module, *_: evaluating.append(not module.training))
    places = [p.data_ptr() for p in tiny_net.parameters()]
    profile(tiny_net, stitches=[0], settings=ONE_ROUND)
    # To be ready, for latency, and for memory.
    assert modes == [True] * 3 and evaluating and all(evaluating)
    assert all(module.training for module in tiny_net.modules())
    assert [p.data_ptr() for p in tiny_net.parameters()] == places
    tiny_net(torch.randn(1, *tiny_net.input.size), 0).sum().backward()


def test_another_type_is_measured_on_a_replica(tiny_net: SNNet) -> None:
    types: list[torch.dtype] = []
    watch_heads(tiny_net, lambda _, logits: types.append(logits.dtype))
    profile(tiny_net, stitches=[0], precision="bf16", settings=ONE_ROUND)
    assert types == [torch.bfloat16] * 3
    assert {p.dtype for p in tiny_net.parameters()} == {torch.float32}


def test_threads_are_set_and_restored(tiny_net: SNNet) -> None:
    before, seen = torch.get_num_threads(), []
    wanted = 1 if before != 1 else 2
    note = lambda *_: seen.append(torch.get_num_threads())  # noqa: E731
    profile(tiny_net, stitches=0, threads=wanted, settings=ONE_ROUND, progress=note)
    assert seen == [wanted] and torch.get_num_threads() == before


def test_progress_counts_rounds(tiny_net: SNNet) -> None:
    told: list[tuple[int, int, str]] = []
    settings = MeasureSettings(batch_sizes=(1, 2), warmup=1, repeats=1)
    profile(tiny_net, stitches=0, settings=settings, progress=lambda *step: told.append(step))
    assert told == [(1, 4, "batch 1"), (2, 4, "batch 1"), (3, 4, "batch 2"), (4, 4, "batch 2")]


class Busy(Stopwatch):
    """A clock on which anchor n takes 10 + 10 n ms, and the first passes of the second anchor anything."""

    noisy, seen = 0, [0, 0, 0]

    def time(self, ready: Ready, features: Tensor) -> tuple[Tensor, float]:
        output = ready(features)
        number = next(n for n in range(3) if ready is self.bench.load(self.bench.net.space[n]))
        Busy.seen[number] += 1
        noise = random.Random(Busy.seen[1]).uniform(0.1, 50) if number == 1 and Busy.seen[1] <= Busy.noisy else 1.0
        return output, noise * (10.0 + 10.0 * number)


@pytest.mark.parametrize(
    ("noisy", "again", "passes", "reliable"),
    [(0, 2, [9, 9, 9], True), (9, 2, [9, 24, 9], True), (9, 0, [9, 9, 9], False), (99, 2, [9, 51, 9], False)],
)
def test_unreliable_times_are_measured_again_for_longer(
    tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch, noisy: int, again: int, passes: list[int], reliable: bool
) -> None:
    settings = MeasureSettings(warmup=3, repeats=6, again=again)
    monkeypatch.setattr(Busy, "noisy", noisy)
    monkeypatch.setattr(Busy, "seen", [0, 0, 0])
    made = Bench.__post_init__

    def busy(bench: Bench) -> None:
        made(bench)
        bench.watch = Busy(bench.conditions.device)
        object.__setattr__(bench.watch, "bench", bench)

    monkeypatch.setattr(Bench, "__post_init__", busy)
    told: list[tuple[int, int, str]] = []
    table = profile(tiny_net, stitches="anchors", settings=settings, progress=lambda *step: told.append(step))
    assert Busy.seen == passes
    assert list(doubts(table)) == ([] if reliable else [tiny_net.space[1].id])
    if reliable:
        assert [row.latency_ms for row in table.anchors] == [10.0, 20.0, 30.0]
    assert told[-1][0] == told[-1][1] == max(passes)
    assert told[-1][2] == ("batch 1" if max(passes) == 9 else "batch 1, 1 unreliable time again")


def test_measurements_under_other_conditions_are_not_mixed(tiny_net: SNNet) -> None:
    profile(tiny_net, stitches=[0], threads=1, settings=QUICK)
    same = profile(tiny_net, stitches=[1], threads=1, settings=QUICK)
    assert [row.index for row in same if row.get("latency_ms")] == [0, 1]
    assert [row.index for row in profile(tiny_net) if row.get("latency_ms")] == [0, 1]
    other = profile(tiny_net, stitches=[2], precision="bf16", threads=1, settings=QUICK)
    assert [row.index for row in other if row.get("latency_ms")] == [2]


def test_all_numbers_out_of_range_are_named(tiny_net: SNNet) -> None:
    with pytest.raises(RecipeError, match=re.escape("batch size 0; accepted: 1 and more; with batch size -2")):
        MeasureSettings(batch_sizes=(0, 1, -2))
    with pytest.raises(RecipeError, match=r"no batch size; give at least one.*warmup -1.*repeats 0"):
        MeasureSettings(batch_sizes=(), warmup=-1, repeats=0)
    with pytest.raises(RecipeError, match="threads 0"):
        profile(tiny_net, stitches=[0], threads=0)


def test_refusals_leave_the_table_alone(tiny_net: SNNet) -> None:
    before = profile(tiny_net)
    with pytest.raises(RecipeError, match="Unknown device 'gpu'"):
        profile(tiny_net, stitches="all", device="gpu")
    with pytest.raises(RecipeError, match=r"Unknown engine 'egaer'; accepted: .*Did you mean 'eager'"):
        profile(tiny_net, stitches="all", engine="egaer")
    with pytest.raises(SpaceError, match=r"No stitch '0:0-1,1:3-4' in this space; accepted: 0 to .* Did you mean"):
        profile(tiny_net, stitches=["0:0-1,1:3-4"])
    assert tiny_net.table is before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_is_waited_for_and_the_network_stays_on_the_cpu(tiny_net: SNNet) -> None:
    table = profile(tiny_net, stitches=[0, 2], settings=MeasureSettings(batch_sizes=(1, 64)), device="cuda")
    assert all(value > 0 for row in table for value in row.values.values())
    assert {p.device.type for p in tiny_net.parameters()} == {"cpu"}
    assert Machine.here().can_stand_for(Machine.of(table.meta["profile"]["machine"]))


def test_the_network_chooses_by_what_was_measured_in_its_own_type(tiny_net: SNNet) -> None:
    limits: dict[str, Any] = {"prefer": "macs", "latency_ms": 1e6, "memory_mb": 1e6}
    profile(tiny_net, stitches=[0, 1, 2], settings=replace(ONE_ROUND, batch_sizes=(2,)))
    assert tiny_net.select(batch=2, **limits).id == "0:0-4"
    with pytest.raises(BudgetError, match="no 'latency_ms' at batch 1; it was measured at batch 2"):
        tiny_net.select(**limits)
    profile(tiny_net, stitches=[0, 1, 2], precision="bf16", settings=ONE_ROUND)
    with pytest.raises(TableError, match="measured in bf16, and the network runs in fp32"):
        tiny_net.select(**limits)
    assert tiny_net.select(any_machine=True, **limits).id == "0:0-4"
    assert tiny_net.to(torch.bfloat16).select(**limits).id == "0:0-4"


def test_a_profile_lies_beside_a_saved_network(tiny_net: SNNet, tmp_path: Path) -> None:
    table = profile(tiny_net, stitches=[0, 1], settings=ONE_ROUND)
    tiny_net.save_pretrained(tmp_path / "net")
    loaded = StitchTable.load(tmp_path / "net" / "table.jsonl")
    weights = json.loads((tmp_path / "net" / "config.json").read_text())["weights"]
    assert loaded.rows == table.rows and loaded.meta == {**table.meta, "weights": weights}
