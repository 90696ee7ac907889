from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.errors import RecipeError
from snnet.evaluation import evaluate
from snnet.network import SNNet
from snnet.space import StitchSpace
from snnet.training import Probe, content_digest, spread_of
from snnet.training.checkpoint import read_checkpoint
from snnet.training.logging import read_log
from tests.batch_norm_family import build_conv_net
from tests.training.killable import TinyBatches, build_net, build_trainer
from tests.training.test_trainer import stop_at

TINY = TinyBatches()


class Drawing(list[Any]):
    """Batches whose reading draws random numbers, as a data loader's does."""

    def __iter__(self) -> Any:
        torch.rand(3)
        return super().__iter__()


BATCHES = Drawing([(TINY.images[:24], TINY.labels[:24]), (TINY.images[24:], TINY.labels[24:])])


def probe(net: SNNet, every: int = 5) -> Probe:
    return Probe(BATCHES, spread_of(net.space, 2), every)


def trained(directory: Path, *, resume: bool = False, **options: Any) -> str:
    build_trainer(directory, **options).fit(resume=resume)
    return content_digest(read_checkpoint(max((directory / "checkpoints").glob("*.pt"))))


def scores(directory: Path) -> list[dict[str, Any]]:
    return [record for record in read_log(directory / "log.jsonl") if any(name.startswith("top1/") for name in record)]


def test_the_scores_are_those_of_evaluate() -> None:
    net = build_net()
    found = probe(net).measure(net.train(), 0)
    assert net.training and net.table is None
    truth = evaluate(net, BATCHES)
    assert len(found) == 4
    for name, value in found.items():
        assert value == truth[name.removeprefix("top1/")].top1


def test_training_goes_on_bit_for_bit_as_without(tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain")
    assert trained(tmp_path / "probed", probe=probe(build_net())) == plain
    found = scores(tmp_path / "probed")
    assert [record["step"] for record in found] == [5, 10, 14]
    assert found[0] != found[-1]


def test_a_resumed_run_logs_what_the_uninterrupted_one_does(tmp_path: Path) -> None:
    chosen = probe(build_net())
    whole = trained(tmp_path / "whole", probe=chosen)
    stop_at(build_trainer(tmp_path / "parts", probe=chosen), 10)
    assert trained(tmp_path / "parts", resume=True, probe=chosen) == whole
    assert scores(tmp_path / "parts") == scores(tmp_path / "whole")


def test_batch_norms_are_measured_before_and_forgotten_after() -> None:
    net = build_conv_net()
    before = content_digest(net.state_dict())
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(16, *net.input.size, generator=generator)
    labels = torch.randint(net.num_classes, (16,), generator=generator)
    stitches = spread_of(net.space, 1)
    with_statistics = Probe([(images, labels)], stitches, 1, images).measure(net.train(), 0)
    assert content_digest(net.state_dict()) == before and not len(net.statistics)
    assert set(with_statistics) == {f"top1/{stitch}" for stitch in stitches}


def test_the_spread_has_all_anchors_and_reaches_both_ends() -> None:
    space = StitchSpace.build([[12], [12], [12]])
    chosen = spread_of(space, 4)
    assert chosen[:3] == list(space)[:3]
    assert [space.index(stitch) for stitch in chosen[3:]] == [11, 28, 45, 62]
    assert len(spread_of(space, 999)) == len(space) and len(spread_of(space, 0)) == 3


def test_when_it_is_due() -> None:
    chosen = probe(build_net(), every=4)
    assert [step for step in range(1, 11) if chosen.due(step, 10)] == [4, 8, 10]
    with pytest.raises(RecipeError, match="every is 0"):
        probe(build_net(), every=0)


def test_anchors_with_statistics_of_their_own_are_scored_with_these() -> None:
    net = build_conv_net().eval()
    images = torch.randn(64, *net.input.size, generator=torch.Generator().manual_seed(0))
    labels = net(images, 0).argmax(1)
    kept = Probe([(images, labels)], [net.space[0]], 1, images, anchors=[1]).measure(net, 0)
    measured = Probe([(images, labels)], [net.space[0]], 1, images).measure(net, 0)
    assert kept == {"top1/" + str(net.space[0]): 100.0} and measured != kept
