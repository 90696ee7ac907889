import copy
import json
import math
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from timm.data import Mixup
from torch.nn.functional import cross_entropy

from snnet.errors import CheckpointError, DataError, RecipeError, TrainingError
from snnet.network import SNNet
from snnet.space import Stitch
from snnet.tasks import Classification, MultiLabel
from snnet.training import (
    Distillation,
    DistillationSettings,
    Freeze,
    ModelTeacher,
    OptimSettings,
    RunSettings,
    StitchLoss,
    Trainer,
    TrainingInterrupted,
    TrainStatus,
    content_digest,
    stitch_generator,
)
from snnet.training.checkpoint import read_checkpoint
from snnet.training.distillation import distillation_loss
from snnet.training.logging import read_log
from snnet.training.samplers import AnchorShareSampler, StitchSampler, UniformSampler
from tests.batch_norm_family import build_conv_net
from tests.training import killable
from tests.training.killable import TinyBatches, build_trainer


def settings(**options: Any) -> RunSettings:
    return RunSettings(**{"steps": 4, "trackers": (), "device": "cpu", **options})


def final_state(directory: Path) -> tuple[str, list[dict[str, Any]]]:
    """Checksum of the whole last checkpoint, and the log without what the clock decides."""
    last = max((directory / "checkpoints").glob("*.pt"))
    log = [{k: v for k, v in r.items() if k != "images_per_second"} for r in read_log(directory / "log.jsonl")]
    return content_digest(read_checkpoint(last)), log


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("whole")
    result = build_trainer(directory).fit()
    assert result.steps == 14 and result.averaged is not None
    found = final_state(directory)
    assert [record["step"] for record in found[1]] == [4, 8, 12, 14]
    return found


def test_killed_and_resumed_equals_uninterrupted(uninterrupted: Any, tmp_path: Path) -> None:
    wanted = random.SystemRandom().randint(1, 13)
    path = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "tests.training.killable", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if int(line) == wanted:
                run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    messages: list[str] = []
    build_trainer(tmp_path).fit(resume=True, on_message=messages.append)
    assert final_state(tmp_path) == uninterrupted, f"killed after step {wanted}: {messages}"


def test_truncated_newest_checkpoint_falls_back_and_still_ends_equal(uninterrupted: Any, tmp_path: Path) -> None:
    stop_at(build_trainer(tmp_path), 7)
    newest = max((tmp_path / "checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:-1000])
    messages: list[str] = []
    build_trainer(tmp_path).fit(resume=True, on_message=messages.append)
    assert "Falling back" in messages[0] and "Resuming after step 6" in messages[1]
    assert final_state(tmp_path) == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(uninterrupted: Any, tmp_path: Path, number: signal.Signals) -> None:
    before = [signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM)]
    interrupted = stop_at(build_trainer(tmp_path), 5, number)
    assert (interrupted.step, interrupted.signal) == (5, number)
    assert interrupted.checkpoint == tmp_path / "checkpoints" / "step-00000005.pt"
    assert [signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM)] == before
    build_trainer(tmp_path).fit(resume=True)
    assert final_state(tmp_path) == uninterrupted


def stop_at(trainer: Trainer, step: int, number: int = signal.SIGINT) -> TrainingInterrupted:
    def stop(status: TrainStatus) -> None:
        if status.step == step:
            os.kill(os.getpid(), number)

    with pytest.raises(TrainingInterrupted) as caught:
        trainer.fit(on_step=stop)
    return caught.value


def test_progress_is_told_after_each_step(tiny_net: SNNet) -> None:
    told: list[tuple[int, int, str]] = []
    Trainer(tiny_net, TinyBatches(), run=settings(steps=2)).fit(progress=lambda *step: told.append(step))
    assert [step[:2] for step in told] == [(1, 2), (2, 2)]
    assert all(note.startswith("loss ") and note.endswith("images/s") for *_, note in told)


def test_workers_that_die_of_ctrl_c_are_no_fault(tiny_net: SNNet) -> None:
    class Dying(TinyBatches):
        def epoch(self, epoch: int, start_batch: int = 0) -> Any:
            yield self.images[:8], self.labels[:8]
            os.kill(os.getpid(), signal.SIGINT)
            raise RuntimeError("DataLoader worker exited unexpectedly")

    with pytest.raises(TrainingInterrupted, match="after step 1"):
        Trainer(tiny_net, Dying(), run=settings()).fit()


def test_resuming_a_finished_run_only_loads_it(uninterrupted: Any, tmp_path: Path) -> None:
    first = build_trainer(tmp_path)
    first.fit()
    again = build_trainer(tmp_path)
    result = again.fit(resume=True)
    assert result.steps == 14
    assert content_digest(again.net.state_dict()) == content_digest(first.net.state_dict())
    assert final_state(tmp_path) == uninterrupted


def test_resuming_with_other_settings_names_them(tmp_path: Path) -> None:
    stop_at(build_trainer(tmp_path), 2)
    other = build_trainer(tmp_path)
    other.run = other.run.model_copy(update={"steps": 20, "log_every": 1})
    other.optim = other.optim.model_copy(update={"lr": 0.5})
    with pytest.raises(CheckpointError, match=r"optim\.lr was 0\.001 and is 0\.5; steps was 14 and is 20\. Resume"):
        other.fit(resume=True)


def test_a_directory_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    stop_at(build_trainer(tmp_path), 2)
    with pytest.raises(CheckpointError, match=r"step-00000002\.pt\)\. Resume it"):
        build_trainer(tmp_path).fit()


@pytest.mark.parametrize("accumulation", [1, 2])
def test_steps_equal_a_loop_by_hand(tiny_net: SNNet, accumulation: int) -> None:
    reference = killable.build_net()
    tiny = killable.build_net()
    for anchor in (*tiny.anchors, *reference.anchors):
        for module in anchor.modules():
            if module.__class__.__name__ in ("DropPath", "Dropout"):
                module.drop_prob = module.p = 0.0  # type: ignore[assignment]
    optim = OptimSettings(lr=0.01, anchor_lr_scale=0.5, weight_decay=0.1, clip_norm=0.5)
    Trainer(tiny, TinyBatches(), run=settings(accumulation=accumulation, seed=3), optim=optim).fit()

    layers, anchors = list(reference.layers.parameters()), list(reference.anchors.parameters())
    names = {id(p): name for name, p in reference.named_parameters()}
    groups = [
        {
            "params": [p],
            "share": share,
            "weight_decay": 0.0 if p.ndim == 1 or names[id(p)].endswith(("pos_embed", "cls_token")) else 0.1,
        }
        for share, params in ((1.0, layers), (0.5, anchors))
        for p in params
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.01, fused=True)
    batches = iter([batch for epoch in range(2) for batch in TinyBatches().epoch(epoch)])
    for step in range(4):
        stitch = reference.space[int(torch.randint(len(reference.space), (), generator=stitch_generator(3, step)))]
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * 0.01 * 0.5 * (1 + math.cos(math.pi * step / 4))
        optimizer.zero_grad()
        for _ in range(accumulation):
            images, labels = next(batches)
            (cross_entropy(reference(images, stitch), labels) / accumulation).backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        optimizer.step()
    for (name, found), expected in zip(tiny.named_parameters(), reference.parameters(), strict=True):
        assert torch.equal(found, expected), name


def test_only_the_drawn_stitch_moves(tiny_net: SNNet) -> None:
    before = {name: p.detach().clone() for name, p in tiny_net.named_parameters()}
    seen: list[str] = []
    Trainer(
        tiny_net,
        TinyBatches(),
        run=settings(steps=1),
        optim=OptimSettings(lr=0.1, weight_decay=0.5),
    ).fit(on_step=lambda status: seen.append(status.stitch))
    used = {id(p) for p in tiny_net.parameters_of(seen[0])}
    assert {n for n, p in tiny_net.named_parameters() if not torch.equal(p, before[n])} == {
        n for n, p in tiny_net.named_parameters() if id(p) in used
    }


class SmallAndLarge(StitchSampler):
    """The first and the last stitch of the space at every step."""

    def __init__(self, net: SNNet) -> None:
        self.stitches = (net.space[0], net.space[-1])

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:
        return self.stitches


def test_several_stitches_a_step_give_the_gradient_of_the_mean(tiny_net: SNNet) -> None:
    reference = copy.deepcopy(tiny_net).train()
    seen: list[TrainStatus] = []
    Trainer(
        tiny_net,
        TinyBatches(),
        run=settings(steps=1, accumulation=2),
        optim=OptimSettings(optimizer="sgd", lr=0.1, weight_decay=0.0, momentum=0.0),
        sampler=SmallAndLarge(tiny_net),
    ).fit(on_step=seen.append)
    stitches = SmallAndLarge(reference).stitches
    batches = list(TinyBatches().epoch(0))[:2]
    losses = [cross_entropy(reference(images, stitch), labels) for images, labels in batches for stitch in stitches]
    loss = torch.stack(losses).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert seen[0].loss == pytest.approx(loss.item(), abs=1e-6)
    assert seen[0].stitch == f"{stitches[0]} + {stitches[1]}"
    for (name, found), expected in zip(tiny_net.named_parameters(), reference.parameters(), strict=True):
        step = torch.zeros_like(expected) if expected.grad is None else 0.1 * expected.grad
        torch.testing.assert_close(found, expected - step, atol=1e-6, rtol=1e-5, msg=name)


def test_in_place_distillation_teaches_the_others_and_not_the_first(tiny_net: SNNet) -> None:
    reference = copy.deepcopy(tiny_net).train()
    sampler, how = SmallAndLarge(tiny_net), DistillationSettings(kind="soft", alpha=1.0, temperature=2.0)
    Trainer(
        tiny_net,
        TinyBatches(),
        run=settings(steps=1),
        optim=OptimSettings(optimizer="sgd", lr=0.1, weight_decay=0.0, momentum=0.0),
        sampler=sampler,
        loss=StitchLoss(in_place=how),
    ).fit()
    first, other = sampler.stitches
    images, labels = next(TinyBatches().epoch(0))
    taught = reference(images, first)
    loss = cross_entropy(taught, labels) + distillation_loss(
        reference(images, other), taught.detach(), how, Classification()
    )
    (loss / 2).backward()
    for (name, found), expected in zip(tiny_net.named_parameters(), reference.parameters(), strict=True):
        step = torch.zeros_like(expected) if expected.grad is None else 0.1 * expected.grad
        torch.testing.assert_close(found, expected - step, atol=1e-6, rtol=1e-5, msg=name)


def test_several_stitches_a_step_resume_exactly(tmp_path: Path) -> None:
    for name, stop in (("whole", 0), ("parts", 3)):
        trainer = build_trainer(tmp_path / name)
        trainer.sampler = SmallAndLarge(trainer.net)
        if stop:
            stop_at(trainer, stop)
            trainer = build_trainer(tmp_path / name)
            trainer.sampler = SmallAndLarge(trainer.net)
        trainer.fit(resume=bool(stop))
    assert final_state(tmp_path / "parts") == final_state(tmp_path / "whole")


def test_a_sampler_that_draws_no_tuple_is_refused(tiny_net: SNNet) -> None:
    sampler = SmallAndLarge(tiny_net)
    for wrong in ((), tiny_net.space[0]):
        sampler.stitches = wrong  # type: ignore[assignment]
        with pytest.raises(TrainingError, match=r"SmallAndLarge\.draw gave .*; it must give a tuple"):
            Trainer(tiny_net, TinyBatches(), run=settings(), sampler=sampler).fit()


FROZEN = [OptimSettings(lr=0.1, freeze="anchors"), OptimSettings(lr=0.1, anchor_lr_scale=0.0)]


@pytest.mark.parametrize("optim", FROZEN, ids=["freeze", "no rate"])
def test_frozen_anchors_have_no_gradient_and_do_not_move(tiny_net: SNNet, optim: OptimSettings) -> None:
    before = copy.deepcopy(tiny_net.state_dict())
    seen: list[str] = []

    def note(status: TrainStatus) -> None:
        assert all(p.grad is None and not p.requires_grad for p in tiny_net.anchors.parameters())
        seen.append(status.stitch)

    # Anchors alone are drawn too, and train nothing.
    sampler = AnchorShareSampler(tiny_net.space, 0.5)
    Trainer(tiny_net, TinyBatches(), run=settings(steps=8), optim=optim, sampler=sampler).fit(on_step=note)
    assert {"," in stitch for stitch in seen} == {True, False}
    used = {tiny_net.space.layer_of(cut).name for stitch in seen for cut in tiny_net.space.find(stitch).cuts}
    moved = {name for name, tensor in tiny_net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {f"layers.{name}.transform.{part}" for name in used for part in ("weight", "bias")}
    assert all(p.requires_grad for p in tiny_net.parameters())


def test_the_smallest_anchor_alone_can_be_frozen(tiny_net: SNNet) -> None:
    before = copy.deepcopy(tiny_net.state_dict())
    optim = OptimSettings(lr=0.1, freeze="smallest-anchor")
    sampler = AnchorShareSampler([route for route in tiny_net.space if route.cuts or route.anchors != (0,)], 0.5)
    Trainer(tiny_net, TinyBatches(), run=settings(steps=8), optim=optim, sampler=sampler).fit()
    moved = {name for name, tensor in tiny_net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(name.startswith("anchors.0.") for name in moved)
    assert any(name.startswith("anchors.1.") for name in moved) and any(name.startswith("layers.") for name in moved)
    assert all(p.requires_grad for p in tiny_net.parameters())


def test_what_may_be_frozen() -> None:
    assert [list(OptimSettings(freeze=what).frozen(3)) for what in get_args(Freeze)] == [[], [0], [0, 1, 2]]
    assert list(OptimSettings(anchor_lr_scale=0).frozen(2)) == [0, 1]
    with pytest.raises(RecipeError, match="freeze: should be 'nothing', 'smallest-anchor' or 'anchors', got 'heads'"):
        OptimSettings(freeze="heads")  # type: ignore[arg-type]


def test_batch_norms_of_frozen_anchors_keep_their_statistics() -> None:
    net = build_conv_net()
    batches = [(torch.randn(8, *net.input.size), torch.randint(net.num_classes, (8,)))] * 4

    class Same:
        def __len__(self) -> int:
            return 4

        def epoch(self, epoch: int, start_batch: int = 0) -> Any:
            return iter(batches[start_batch:])

    for optim, stays in ((OptimSettings(), False), (FROZEN[0], True)):
        before = {name: buffer.clone() for name, buffer in net.anchors.named_buffers()}
        Trainer(net, Same(), run=settings(), optim=optim, sampler=UniformSampler(net.space)).fit()
        same = [torch.equal(buffer, before[name]) for name, buffer in net.anchors.named_buffers()]
        assert same and all(same) is stays


def test_batch_norms_that_learn_need_two_images() -> None:
    net, one = build_conv_net(), TinyBatches(num_images=4, batch_size=1)
    with pytest.raises(RecipeError, match=r"a batch of 1 gives it no more: give batch_size=2"):
        Trainer(net, one, run=settings())
    # Those of frozen anchors learn nothing.
    Trainer(net, one, run=settings(), optim=FROZEN[0], sampler=UniformSampler(net.space))


def test_nan_loss_names_stitch_and_step_and_keeps_the_last_good_checkpoint(tiny_net: SNNet, tmp_path: Path) -> None:
    class Poisoned(TinyBatches):
        def epoch(self, epoch: int, start_batch: int = 0) -> Any:
            for number, (x, y) in enumerate(super().epoch(epoch, start_batch), start_batch):
                yield (x * torch.nan if number == 3 else x), y

    seen: list[str] = []
    trainer = Trainer(
        tiny_net,
        Poisoned(),
        run=settings(save_every=2),
        directory=tmp_path,
    )
    with pytest.raises(TrainingError) as caught:
        trainer.fit(on_step=lambda status: seen.append(status.stitch))
    (stitch,) = trainer.sampler.draw(3, stitch_generator(0, 3))
    assert f"loss is nan at step 4, in stitch {stitch}." in str(caught.value)
    assert str(tmp_path / "checkpoints" / "step-00000002.pt") in str(caught.value)
    assert all(p.isfinite().all() for p in tiny_net.parameters())
    assert read_checkpoint(tmp_path / "checkpoints" / "step-00000002.pt")["step"] == 2


def test_full_disk_ends_training_with_the_old_checkpoint_intact(
    tiny_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save

    def full(content: dict[str, Any], file: Any) -> None:
        save(content, file)
        if content["step"] > 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match=r"step-00000004\.pt could not be written: No space left on device"):
        Trainer(tiny_net, TinyBatches(), run=settings(save_every=2), directory=tmp_path).fit()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000002.pt"]


def test_learns_and_reports(tiny_net: SNNet) -> None:
    seen: list[TrainStatus] = []
    batches = TinyBatches(num_images=16, batch_size=16)
    result = Trainer(
        tiny_net,
        batches,
        run=settings(steps=60 * len(batches)),
        optim=OptimSettings(lr=3e-3, weight_decay=0.0),
        sampler=AnchorShareSampler(tiny_net.space, 1.0),
    ).fit(on_step=seen.append)
    assert seen[-1].loss < 0.8 * seen[0].loss and result.loss == seen[-1].loss
    assert [status.step for status in seen] == list(range(1, 61))
    assert seen[-1].epoch == 60 and seen[-1].seconds_left == 0 and seen[0].seconds_left > 0
    assert seen[0].images_per_second > 0 and result.checkpoint is None
    assert not tiny_net.training and all(p.grad is None for p in tiny_net.parameters())


def test_bf16_on_cpu_trains_with_float32_weights(tiny_net: SNNet) -> None:
    result = Trainer(tiny_net, TinyBatches(), run=settings(precision="bf16")).fit()
    assert 0 < result.loss < 10
    assert {p.dtype for p in tiny_net.parameters()} == {torch.float32}


def test_fp16_on_cpu_is_refused(tiny_net: SNNet) -> None:
    with pytest.raises(RecipeError, match="fp16 needs a GPU"):
        Trainer(tiny_net, TinyBatches(), run=settings(precision="fp16"))


def test_impossible_settings_are_refused(tiny_net: SNNet) -> None:
    with pytest.raises(RecipeError, match="steps: should be greater than or equal to 1, got 0"):
        settings(steps=0)
    with pytest.raises(RecipeError, match=r"'tensorbored' is unknown; installed:.*tensorboard"):
        Trainer(tiny_net, TinyBatches(), run=settings(trackers=("tensorbored",)))
    with pytest.raises(RecipeError, match="sharding: should be 'none' or 'fsdp', got 'zero'"):
        settings(sharding="zero")
    with pytest.raises(RecipeError, match="does not go with precision fp16"):
        settings(sharding="fsdp", precision="fp16")
    with pytest.raises(RecipeError, match="'tpu' is not available"):
        Trainer(tiny_net, TinyBatches(), run=settings(device="tpu"))
    with pytest.raises(RecipeError, match="shares weights"):
        loss = StitchLoss(distillation=Distillation(ModelTeacher(tiny_net.anchors[2])))
        Trainer(tiny_net, TinyBatches(), run=settings(), loss=loss)


def test_logs(tiny_net: SNNet, tmp_path: Path) -> None:
    options = settings(log_every=2, trackers=("tensorboard",))
    Trainer(tiny_net, TinyBatches(), run=options, directory=tmp_path).fit()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4]
    assert records[0].keys() >= {"loss", "lr", "anchor_lr", "grad_norm", "stitch", "epoch", "images_per_second"}
    assert list((tmp_path / "tracking").rglob("events.out.tfevents.*"))


def test_the_data_set_is_not_changed_by_mixup(tmp_path: Path) -> None:
    trainer = build_trainer(tmp_path)

    class Views(TinyBatches):
        def epoch(self, epoch: int, start_batch: int = 0) -> Any:
            for number in range(start_batch, 5):
                yield self.images[8 * number : 8 * number + 8], self.labels[8 * number : 8 * number + 8]

    trainer.batches = Views()
    before = trainer.batches.images.clone()
    trainer.steps = 4
    trainer.fit()
    assert torch.equal(trainer.batches.images, before)


def test_mixup_on_an_odd_batch_is_refused(tmp_path: Path) -> None:
    trainer = build_trainer(tmp_path)
    trainer.batches = TinyBatches(batch_size=5)
    with pytest.raises(DataError, match="a batch has 5; take an even batch size"):
        trainer.fit()


def test_moving_average_starts_at_the_first_step(tiny_net: SNNet) -> None:
    weights: list[torch.Tensor] = []
    result = Trainer(
        tiny_net,
        TinyBatches(),
        run=settings(steps=2, ema_decay=0.75),
        optim=OptimSettings(lr=0.1),
    ).fit(on_step=lambda _: weights.append(torch.cat([p.detach().flatten() for p in tiny_net.parameters()])))
    assert result.averaged is not None
    averaged = torch.cat([p.flatten() for p in result.averaged.parameters()])
    assert torch.allclose(averaged, 0.75 * weights[0] + 0.25 * weights[1], atol=1e-7)


class NamedBatches(TinyBatches):
    def __init__(self, classes: str) -> None:
        super().__init__()
        self.classes = tuple(classes)


def test_the_network_learns_what_its_classes_are_called(tiny_net: SNNet) -> None:
    def train(batches: TinyBatches) -> SNNet:
        result = Trainer(tiny_net, batches, run=settings(steps=1, ema_decay=0.5)).fit()
        assert isinstance(result.averaged, SNNet)
        return result.averaged

    assert train(TinyBatches()).classes is None and tiny_net.classes is None
    assert train(NamedBatches("abc")).classes is None, "three names are not those of ten logits"
    assert train(NamedBatches("abcdefghij")).classes == tiny_net.classes == tuple("abcdefghij")
    assert train(TinyBatches()).classes == tuple("abcdefghij")
    before = tiny_net.anchor(0).model.head.weight.clone()
    with pytest.raises(DataError, match="class 8 is 'i' in the network and 'j' in the data"):
        train(NamedBatches("abcdefghji"))
    assert torch.equal(tiny_net.anchor(0).model.head.weight, before)


@pytest.mark.parametrize(("epochs", "warmup"), [(3.8, 19), (4.0, 2), (8.0, 2)])
def test_a_warm_up_as_long_as_the_run_is_shortened_aloud(
    tiny_net: SNNet, caplog: pytest.LogCaptureFixture, epochs: float, warmup: int
) -> None:
    optim = OptimSettings(warmup_epochs=epochs)
    trainer = Trainer(tiny_net, TinyBatches(), run=settings(steps=20), optim=optim)
    assert trainer.warmup == warmup
    said: list[str] = []
    assert trainer.fit(on_message=said.append, progress=False).steps == 20
    trainer.fit(progress=False)
    if warmup == 19:
        assert not said and not caplog.messages
    else:
        assert f"{epochs * 5:.0f} steps and the run has 20: it is shortened to 2 steps" in said[0]
        assert caplog.messages == said


def test_the_loss_is_of_the_networks_task_and_mixup_mixes_classes(tiny_net: SNNet) -> None:
    tiny_net.task = MultiLabel()
    with pytest.raises(RecipeError, match=r"of Classification, and the network is for MultiLabel: .*task=net\.task"):
        Trainer(tiny_net, TinyBatches(), run=settings(), loss=StitchLoss())
    with pytest.raises(RecipeError, match="MultiLabel has other labels"):
        Trainer(tiny_net, TinyBatches(), run=settings(), mixup=Mixup(0.8, num_classes=10))
