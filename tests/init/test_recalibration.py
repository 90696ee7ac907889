import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import snnet
from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import TensorImages, open_dataset
from snnet.errors import AnchorError, CheckpointError, DataError, ExportError, SpaceError, TableError
from snnet.evaluation import evaluate
from snnet.evaluation.record import network_digest
from snnet.init import has_batch_norm, initialize, recalibrate
from snnet.network import MeasuringStatistics, SNNet, Tree, load, replicate, run_tree
from snnet.profiling import step_macs
from snnet.space import Step, Stitch, StitchSpace, uncut_anchor
from snnet.table import StitchRow, StitchTable
from snnet.training import RunSettings, Trainer
from tests.batch_norm_family import SIZE, TinyConvAnchor, TinyConvNet, build_conv_net

NORM = nn.modules.batchnorm._BatchNorm


@pytest.fixture
def net() -> SNNet:
    return build_conv_net()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(24, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 2 + 0.3


def stitched(net: SNNet) -> list[Stitch]:
    return [stitch for stitch in net.space if not stitch.is_anchor]


def norms(net: SNNet, stitch: Stitch) -> list[str]:
    """Beginnings of a route that end with batch norms."""
    return [p for step, p in zip(net.steps(stitch), net.prefixes(stitch), strict=True) if net.step_norms(step)]


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def reference(net: SNNet, stitch: Stitch, copy: Callable[[Any], Any] = deepcopy) -> nn.Sequential:
    """The modules of one stitch, copied into an ordinary model."""
    models: list[TinyConvNet] = [net.anchor(number).model for number in stitch.anchors]  # type: ignore[misc]
    parts: list[nn.Module] = [models[0].conv1, models[0].bn1]
    for number, segment in enumerate(stitch.segments):
        if number:
            hop = stitch.cuts[number - 1], stitch.beginnings[number - 1]
            parts.append(net.layer_named(net.space.layer_of(*hop).name))
        parts += models[number].blocks[segment.start : segment.stop]
    # One by one, for a block that runs twice sees other features each time.
    return nn.Sequential(*map(copy, parts), Mean(), *copy([models[-1].norm, models[-1].fc])).eval()


def learn(model: nn.Module, images: Tensor) -> nn.Module:
    """Let torch's own batch norms measure their running statistics on one batch of all images."""
    for part in model.modules():
        if isinstance(part, NORM):
            part.reset_running_stats()
            part.momentum = None
    with torch.no_grad():
        model.train()(images)
    return model.eval()


def norms_of(model: nn.Module) -> list[nn.Module]:
    return [part for part in model.modules() if isinstance(part, NORM)]


def compared(net: SNNet, stitch: Stitch, images: Tensor) -> nn.Sequential:
    """A route as a model whose norms behind the first cut changed their statistics by what differs from the anchors."""
    seen: dict[nn.Module, Tensor] = {}
    hooks = [
        norm.register_forward_pre_hook(lambda norm, args: seen.__setitem__(norm, args[0]))
        for anchor in net.family
        for norm in norms_of(anchor.model)
    ]
    for anchor in net.family:
        anchor.model(images)
    for hook in hooks:
        hook.remove()
    model, same = reference(net, stitch), reference(net, stitch, lambda module: module)
    behind = 2 + len(stitch.segments[0])

    def change(norm: Any, inputs: Tensor, watched: Tensor) -> None:
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        floor = norm.running_var / 3 + norm.eps
        norm.running_mean += 0.75 * (inputs.mean(axes) - watched.mean(axes))
        norm.running_var *= (inputs.var(axes) + floor) / (watched.var(axes) + floor)

    with torch.no_grad():
        for norm, twin in zip(norms_of(model[behind:]), norms_of(same[behind:]), strict=True):
            norm.register_forward_pre_hook(
                lambda norm, args, watched=seen[twin]: change(norm, args[0], watched)  # type: ignore[misc]
            )
        model(images)
    for norm in norms_of(model):
        norm._forward_pre_hooks.clear()
    return model


def test_every_stitch_gives_what_torch_gives_for_the_route_as_a_model(net: SNNet, images: Tensor) -> None:
    before = {stitch: net(images, stitch) for stitch in net.space}
    report = recalibrate(net, images)
    assert (report.images, report.stitches) == (24, len(net.space)) and report.prefixes == len(net.statistics)
    for stitch in net.space:
        expected = learn(reference(net, stitch), images)
        torch.testing.assert_close(net(images, stitch), expected(images), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(net(images, stitch), before[stitch], rtol=1e-2, atol=1e-2)
        assert torch.equal(net.at(stitch)(images), net(images, stitch))


@pytest.mark.parametrize(
    ("anchors", "routes"),
    [
        (1, ["0:0-1,0:2-4"]),
        (2, ["1:0-2,0:2-4", "0:0-1,0:2-4", "1:0-1,0:1-2,1:2-4", "1:0-1,0:1-2,1:0-1,0:1-4", "1:0-1,0:0-1,1:1-4"]),
    ],
)
def test_skips_and_blocks_that_run_twice_have_statistics_of_their_own(
    anchors: int, routes: list[str], images: Tensor
) -> None:
    family = build_conv_net((4, 6)).family[:anchors]
    net = SNNet(family, StitchSpace.through([anchor.depths for anchor in family], map(Stitch, routes))).eval()
    assert len(initialize(net, images, recalibration_images=0).layers) == len(net.layers)
    assert recalibrate(net, images).prefixes == len({prefix for stitch in net.space for prefix in norms(net, stitch)})
    for stitch in net.space:
        expected = learn(reference(net, stitch), images)(images)
        torch.testing.assert_close(net(images, stitch), expected, rtol=1e-5, atol=1e-5)
        if stitch.id != "1:0-1,0:1-2,1:0-1,0:1-4":
            torch.testing.assert_close(net.at(stitch).to_module(fold_batch_norm=True)(images), expected)
        else:
            with pytest.raises(ExportError, match=r"runs block 0 of anchor 1 twice, .* write a bundle, choose another"):
                net.at(stitch).to_module()
    scores = evaluate(net, (images, torch.arange(24) % 10), progress=False)
    for row in scores:
        right = (net(images, row.stitch).argmax(1) == torch.arange(24) % 10).float().mean()
        assert row.top1 == pytest.approx(100 * float(right))


def test_statistics_are_torchs(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    stitch = stitched(net)[3]
    model = learn(reference(net, stitch), images)
    expected = [
        value for part in model.modules() if isinstance(part, NORM) for value in (part.running_mean, part.running_var)
    ]
    kept = [net.statistics.get(prefix) for prefix in net.prefixes(stitch)]
    found = torch.cat([value for value in kept if value is not None])
    torch.testing.assert_close(found, torch.cat(expected), rtol=1e-5, atol=1e-6)  # type: ignore[arg-type]


def test_batches_are_pooled_exactly(net: SNNet, images: Tensor) -> None:
    """The first batch norm sees the same whatever the batches: its statistics are those of all images at once."""
    far = images + 1e3
    recalibrate(net, far[:23], batch_size=5)
    model: TinyConvNet = net.anchor(0).model  # type: ignore[assignment]
    seen = model.conv1(far[:23]).double()
    found = net.statistics.get_buffer("0:stem").double()
    torch.testing.assert_close(found[: model.width], seen.mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(found[model.width :], seen.var((0, 2, 3)), rtol=1e-5, atol=0)


def test_a_loader_gives_what_its_images_give(net: SNNet, images: Tensor) -> None:
    loader = DataLoader(TensorDataset(images, torch.zeros(24)), batch_size=6)
    recalibrate(net, loader, max_images=12)
    first = dict(net.statistics.named_buffers())
    recalibrate(net, images[:12], batch_size=6)
    assert all(torch.equal(first[name], value) for name, value in net.statistics.named_buffers())


def test_the_network_itself_is_not_touched(net: SNNet, images: Tensor) -> None:
    before = deepcopy(net.state_dict())
    net.train()
    net.anchor(1).eval()
    modes = [part.training for part in net.modules()]
    state = torch.get_rng_state()
    recalibrate(net, DataLoader(TensorDataset(images), batch_size=8, shuffle=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert [part.training for part in net.modules()] == modes
    after = net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert after.keys() - before.keys() == {f"statistics.{prefix}" for prefix in net.statistics}


def test_training_uses_the_batch_and_leaves_the_statistics(net: SNNet, images: Tensor) -> None:
    plain = deepcopy(net).train()
    recalibrate(net, images)
    before = {prefix: net.statistics.get_buffer(prefix).clone() for prefix in net.statistics}
    stitch = stitched(net)[0]
    assert torch.equal(net.train()(images, stitch), plain(images, stitch))
    assert all(torch.equal(net.statistics.get_buffer(prefix), value) for prefix, value in before.items())
    assert torch.equal(net.anchor(0).model.bn1.running_mean, plain.anchor(0).model.bn1.running_mean)


def test_common_beginnings_are_measured_once(net: SNNet, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[object] = []
    plain = net.run_step

    def counting(step: object, features: Tensor, prefix: str = "") -> Tensor:
        ways.append(step)
        return plain(step, features, prefix)  # type: ignore[arg-type]

    monkeypatch.setattr(net, "run_step", counting)
    recalibrate(net, images, batch_size=12)
    distinct = {net.steps(s)[: n + 1] for s in net.space for n in range(len(net.steps(s)))}
    assert len(ways) == 2 * len(distinct)
    names = {prefix for s in net.space for prefix in net.prefixes(s)}
    assert len(names) == len(distinct)
    with_norm = {way for way in distinct if net.step_norms(way[-1])}
    assert len(net.statistics) == len(with_norm)


@pytest.mark.parametrize("chosen", [None, "some"])
@pytest.mark.parametrize("space", [{}, {"nearest": False, "direction": "both"}])
def test_shared_prefixes_equal_a_plain_loop(images: Tensor, chosen: str | None, space: dict[str, object]) -> None:
    net = build_conv_net(**space)
    recalibrate(net, images, stitches=chosen and stitched(net)[1::3])
    tree = Tree()
    for stitch in net.space:
        tree.add(stitch, net.steps(stitch))
    for name, logits in run_tree(net, tree, images):
        torch.testing.assert_close(logits, net(images, name), rtol=1e-5, atol=1e-5)
    labels = torch.arange(24) % 10
    table = evaluate(net, (images, labels), batch_size=7)
    for row in table:
        assert row.loss == pytest.approx(cross_entropy(net(images, row.stitch), labels).item(), rel=1e-5)


def test_other_stitches_keep_what_they_do_not_share(net: SNNet, images: Tensor) -> None:
    chosen = net.space.find("1:0-4")
    before = net(images, "0:0-4")
    recalibrate(net, images, stitches=[chosen])
    assert set(net.statistics) == {"1:stem", "1:0-1", "1:0-2", "1:0-3", "1:0-4", "1:0-4,head"}
    assert torch.equal(net(images, "0:0-4"), before)


@pytest.mark.parametrize("space", [{}, {"nearest": False, "direction": "both"}])
def test_without_anchors_each_gives_what_its_model_gives(images: Tensor, space: dict[str, object]) -> None:
    """Behind a cut an anchor's own statistics change by what the route changes on the same images."""
    net = build_conv_net(**space)
    plain = deepcopy(net)
    report = recalibrate(net, images, anchors=False)
    assert (report.images, report.stitches) == (24, len(stitched(net))) and report.prefixes == len(net.statistics)
    for number, anchor in enumerate(net.family):
        assert torch.equal(net(images, number), anchor.model(images))
    for stitch in stitched(net)[:: 1 + len(net.space) // 20]:
        expected = compared(plain, stitch, images)(images)
        torch.testing.assert_close(net(images, stitch), expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(net.at(stitch).to_module()(images), net(images, stitch))
    ways = [way for stitch in stitched(net) for way in zip(net.prefixes(stitch), net.steps(stitch), strict=True)]
    assert set(net.statistics) == {
        prefix for prefix, step in ways if net.step_norms(step) and uncut_anchor(prefix) is None
    }


@pytest.mark.parametrize("batch_size", [64, 3])
def test_a_route_that_changes_nothing_keeps_the_anchors_own(images: Tensor, batch_size: int) -> None:
    """Whatever the images are: few, far from those of training, or without a stir in a channel."""
    net = build_conv_net((4, 4))
    net.anchor(1).model.load_state_dict(net.anchor(0).model.state_dict())
    with torch.no_grad():
        for layer in net.layers.children():
            layer.transform.weight.copy_(torch.eye(layer.transform.in_features))  # type: ignore[operator, union-attr]
            layer.transform.bias.zero_()  # type: ignore[operator, union-attr]
        for anchor in net.family:
            anchor.model.blocks[2].conv.weight[0] = 0.0
            anchor.model.blocks[2].norm.running_var[0] = 1e-12
    recalibrate(net, images[:6] * 10 + 50, anchors=False, batch_size=batch_size)
    assert len(net.statistics)
    for stitch in net.space:
        torch.testing.assert_close(net(images, stitch), net(images, 0), rtol=1e-4, atol=1e-4)


class _Bare(TinyConvAnchor):
    def head_without_norm(self, features: Tensor) -> Tensor:
        logits: Tensor = self.model.fc(features.mean(dim=(2, 3)))
        return logits


def test_routes_without_the_only_norm_of_an_anchor(images: Tensor) -> None:
    models = [TinyConvNet(4), TinyConvNet(4)]
    for part in [part for model in models for part in model.blocks.modules()]:
        for name, child in part.named_children():
            if isinstance(child, NORM):
                setattr(part, name, nn.Identity())
    anchors = [_Bare(model, "bare") for model in models]
    space = StitchSpace.build([anchor.depths for anchor in anchors])
    net = SNNet(anchors, space, norm_on_stitched=False).eval()
    before = [net(images, stitch) for stitch in net.space]
    recalibrate(net, images, anchors=False)
    assert all(torch.equal(net(images, stitch), one) for stitch, one in zip(net.space, before, strict=True))


def test_images_of_some_classes_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of real networks: three classes of ten measure far off, and what the routes change of them holds for all."""
    net = snnet.stitch(*EMBEDDED_FAMILIES["cnn"], pretrained=True)
    data = [open_dataset("embedded", None, split, input=net.input) for split in ("train", "validation")]
    train, validation = (part for part in data if isinstance(part, TensorImages))
    initialize(net, train.images[:100], recalibration_images=0)
    shoes = train.images[torch.isin(train.labels, torch.tensor([5, 7, 9]))][:50]

    def score() -> float:
        chosen = (validation.images[:400], validation.labels[:400])
        return fmean(evaluate(net, chosen, stitches=stitched(net)).column("top1"))

    own = score()
    recalibrate(net, shoes, anchors=False)
    compared = score()
    monkeypatch.setattr("snnet.init.recalibration.ComparingStatistics", lambda norms, _: MeasuringStatistics(norms))
    recalibrate(net, shoes, anchors=False)
    assert score() < own - 5 and compared > own - 1


def test_an_anchor_is_watched_once(net: SNNet, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[Step] = []
    plain = net.run_step

    def counting(step: Step, features: Tensor, prefix: str = "") -> Tensor:
        ways.append(step)
        return plain(step, features, prefix)

    monkeypatch.setattr(net, "run_step", counting)
    routes = [stitch for stitch in net.space if stitch.anchors == (1, 2)]
    recalibrate(net, images, stitches=routes, anchors=False, batch_size=12)
    tree = Tree()
    for stitch in [net.space.find("2:0-4"), *routes]:
        tree.add(stitch, net.steps(stitch))
    assert len(ways) == 2 * len(list(tree.nodes()))


def test_without_anchors_none_of_their_old_statistics_stays(net: SNNet, images: Tensor) -> None:
    fresh = deepcopy(net)
    recalibrate(fresh, images, anchors=False)
    recalibrate(net, images + 1)
    recalibrate(net, images, anchors=False)
    assert set(net.statistics) == set(fresh.statistics)
    assert all(
        torch.equal(net.statistics.get_buffer(name), fresh.statistics.get_buffer(name)) for name in net.statistics
    )
    recalibrate(net, images)
    net.table = StitchTable([StitchRow(0, net.space[0].id, {"macs": 5.0, "top1": 7.0})])
    # Nothing is left to measure, but the scores of the anchors were of the statistics that go.
    report = recalibrate(net, images, stitches=[0], anchors=False)
    assert (report.images, report.stitches, report.prefixes) == (0, 0, 0) and net.table.columns == ("macs",)
    assert all(torch.equal(net(images, number), anchor.model(images)) for number, anchor in enumerate(net.family))


def test_anchors_that_were_not_trained_keep_theirs(net: SNNet, images: Tensor) -> None:
    everything = deepcopy(net)
    recalibrate(everything, images)
    recalibrate(net, images, anchors=[1])
    assert torch.equal(net(images, 0), net.anchor(0).model(images))
    assert torch.equal(net(images, 1), everything(images, 1))
    assert {uncut_anchor(prefix) for prefix in net.statistics} == {None, 1}


def test_numbers_of_no_anchor_are_refused(net: SNNet, images: Tensor) -> None:
    with pytest.raises(SpaceError, match=r"anchors names \[-1, 3\], and this network has anchors 0 to 2"):
        recalibrate(net, images, anchors=[3, 0, -1])


def test_an_error_leaves_the_statistics_of_anchors_too(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    before = set(net.statistics)
    with pytest.raises(DataError, match="NaN"):
        recalibrate(net, images * float("nan"), anchors=False)
    assert set(net.statistics) == before


def test_scores_of_anchors_with_their_own_statistics(net: SNNet, images: Tensor, tmp_path: Path) -> None:
    """Evaluation shares beginnings, goes on from its file, and does not take other statistics for these."""
    recalibrate(net, images, anchors=False)
    labels = torch.arange(24) % 10
    output = tmp_path / "table.jsonl"
    first = evaluate(net, (images, labels), output=output, stitches=[0, 4])
    for row in evaluate(net, (images, labels), output=output):
        assert row.loss == pytest.approx(cross_entropy(net(images, row.stitch), labels).item(), rel=1e-5)
    assert first.column("loss")[0] == pytest.approx(cross_entropy(net.anchor(0).model(images), labels).item())
    recalibrate(net, images)
    with pytest.raises(TableError, match="other weights or layers"):
        evaluate(net, (images, labels), output=output)


def test_saved_and_loaded(net: SNNet, images: Tensor, tmp_path: Path) -> None:
    recalibrate(net, images, stitches=stitched(net))
    net.save_pretrained(tmp_path)
    models = [TinyConvNet(net.anchor(n).model.width) for n in range(3)]
    again = load(tmp_path, models=[type(net.anchor(0))(m, f"conv{m.width}") for m in models])
    assert list(again.statistics) and set(again.statistics) == set(net.statistics)
    for stitch in net.space:
        assert torch.equal(again(images, stitch), net(images, stitch))
    models[0] = TinyConvNet(5)
    with pytest.raises(CheckpointError):
        load(tmp_path, models=[type(net.anchor(0))(m, "conv") for m in models])


def test_statistics_of_another_network_are_refused(net: SNNet, images: Tensor, tmp_path: Path) -> None:
    net.statistics.store({"0:0-1": torch.ones(3)})
    net.save_pretrained(tmp_path)
    models = [type(net.anchor(0))(TinyConvNet(net.anchor(n).model.width), "conv") for n in range(3)]
    with pytest.raises(CheckpointError, match=r"shape \(3,\) at 0:0-1, and the network takes 8"):
        load(tmp_path, models=models)


def test_without_batch_norm_nothing_changes(tiny_net: SNNet, tmp_path: Path) -> None:
    before = set(tiny_net.state_dict())
    report = recalibrate(tiny_net, torch.randn(4, 1, 28, 28))
    assert (report.images, report.prefixes) == (0, 0) and not has_batch_norm(tiny_net)
    assert set(tiny_net.state_dict()) == before and not any("statistics" in name for name in before)


def test_statistics_follow_the_network(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    stitch = stitched(net)[0]
    twin = deepcopy(net).double()
    torch.testing.assert_close(twin(images.double(), stitch).float(), net(images, stitch), rtol=1e-4, atol=1e-5)
    replica = replicate(net, lambda tensor: tensor)
    assert torch.equal(replica(images, stitch), net(images, stitch))
    assert replica.statistics.get_buffer("0:stem") is net.statistics.get_buffer("0:stem")
    assert step_macs(net) == step_macs(build_conv_net())


def test_weights_loaded_without_statistics_leave_none(net: SNNet, images: Tensor) -> None:
    plain = deepcopy(net)
    recalibrate(net, images)
    other = deepcopy(plain)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(images, 4), net(images, 4))
    assert other.statistics.get_buffer("0:stem") is not net.statistics.get_buffer("0:stem")
    other.load_state_dict(plain.state_dict())
    assert torch.equal(other(images, 4), plain(images, 4)) and not len(other.statistics)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict({**plain.state_dict(), "statistics.norms": torch.ones(2)})


def test_threads_with_two_stitches_never_meet(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    # Two routes that end in the same modules, with other statistics.
    pair = [net.space.find("1:0-4"), next(s for s in net.space if s.anchors == (0, 1))]
    expected = [net(images, stitch) for stitch in pair]
    assert not torch.allclose(*expected)
    wrong: list[int] = []
    start = threading.Barrier(2)

    def work(which: int) -> None:
        start.wait()
        for _ in range(100):
            with torch.no_grad():
                wrong.extend([which] * (not torch.equal(net(images, pair[which]), expected[which])))

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("change", ["load", "to", "recalibrate"])
def test_calls_under_way_never_see_a_part_of_the_statistics(net: SNNet, images: Tensor, change: str) -> None:
    recalibrate(net, images)
    state, stitch = net.state_dict(), net.space.find("1:0-4")
    changes = {
        "load": lambda: net.load_state_dict(state),
        "to": lambda: net.to(torch.float32).float(),
        "recalibrate": lambda: net.statistics.store({name: state[f"statistics.{name}"] for name in net.statistics}),
    }
    with torch.no_grad():
        expected = net(images[:2], stitch)
        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(lambda: [changes[change]() for _ in range(100)])
            wrong = 0
            while not changing.done():
                wrong += not torch.equal(net(images[:2], stitch), expected)
        changing.result()
    assert not wrong


def test_what_is_forgotten_goes_in_the_same_moment(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    kept, first = net.statistics.kept, next(iter(net.statistics))
    before = dict(kept)
    net.statistics.store({"0:stem": before["0:stem"] + 1}, drop=[name for name in net.statistics if name != "0:stem"])
    # Whoever looks up in the old set finds it whole.
    assert dict(kept) == before and first in kept
    assert list(net.statistics) == ["0:stem"]
    assert torch.equal(net.statistics.get_buffer("0:stem"), before["0:stem"] + 1)


def test_what_changes_weights_forgets_statistics(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    initialize(net, images, recalibration_images=0)
    assert not len(net.statistics)
    recalibrate(net, images)
    batches = [(images, torch.arange(24) % 10)]
    Trainer(net, _OneEpoch(batches), run=RunSettings(steps=1, device="cpu")).fit()
    assert not len(net.statistics)


def test_initialize_measures_what_lies_behind_cuts_unless_told_not_to(net: SNNet, images: Tensor) -> None:
    initialize(net, images, max_images=9, recalibration_images=0)
    recalibrate(net, images, anchors=False, max_images=16)
    apart = dict(net.state_dict())
    before = {name: value.clone() for name, value in apart.items()}
    report = initialize(net, images, max_images=9, recalibration_images=16)
    assert report.images == 9 and len(net.statistics)
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with pytest.raises(DataError, match="recalibration_images=0"):
        initialize(net, iter([images]))
    assert initialize(net, iter([images]), recalibration_images=0).images == 24


class _OneEpoch:
    def __init__(self, batches: list[tuple[Tensor, Tensor]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int, start: int = 0) -> list[tuple[Tensor, Tensor]]:
        return self.batches[start:]


def test_scores_are_of_the_statistics_too(net: SNNet, images: Tensor) -> None:
    net.table = StitchTable([StitchRow(0, net.space[0].id, {"macs": 5.0, "top1": 7.0})])
    before = network_digest(net)
    recalibrate(net, images)
    assert net.table.columns == ("macs",)
    assert network_digest(net) != before
    net.forget_statistics()
    assert network_digest(net) == before


@pytest.mark.parametrize(
    ("bad", "options", "words"),
    [
        (torch.empty(0, 1, SIZE, SIZE), {}, "no calibration images"),
        (torch.randn(4, 1, SIZE, SIZE + 1), {}, "expected float images"),
        (torch.full((4, 1, SIZE, SIZE), float("nan")), {}, "NaN"),
        (torch.randn(4, 1, SIZE, SIZE), {"batch_size": 1}, "batch_size is 1"),
        (torch.randn(1, 1, SIZE, SIZE), {}, "two images or more"),
    ],
)
def test_images_that_do_not_do(net: SNNet, bad: Tensor, options: dict[str, int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        recalibrate(net, bad, **options)  # type: ignore[arg-type]
    assert not len(net.statistics)


def test_statistics_that_are_not_finite_are_refused(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    before = {prefix: net.statistics.get_buffer(prefix) for prefix in net.statistics}
    with torch.no_grad():
        net.anchor(1).model.blocks[1].conv.weight[0] = float("inf")
    with pytest.raises(AnchorError, match="no finite mean and variance"):
        recalibrate(net, images + 1)
    assert all(net.statistics.get(prefix) is value for prefix, value in before.items())


def test_a_batch_norm_that_came_later_is_not_run_with_other_statistics(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    net.anchor(0).model.blocks[0].norm = nn.BatchNorm2d(4).eval()
    with pytest.raises(AnchorError, match="recalibrate the network again"):
        net(images, "0:0-4")
    recalibrate(net, images)
    assert net(images, "0:0-4").isfinite().all()


def test_a_recalibrated_stitch_exports(net: SNNet, images: Tensor) -> None:
    recalibrate(net, images)
    stitch = stitched(net)[0]
    exported = torch.export.export(net.at(stitch), (images,))
    torch.testing.assert_close(exported.module()(images), net(images, stitch))


@pytest.mark.parametrize("number", [0, 3])
def test_a_recalibrated_stitch_compiles(net: SNNet, images: Tensor, number: int) -> None:
    recalibrate(net, images)
    torch.compiler.reset()
    compiled = torch.compile(net.at(number), backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(images), net(images, number))


def test_it_is_public() -> None:
    assert snnet.recalibrate is recalibrate


def test_a_trained_family_gains() -> None:
    """Trained together, routes spoil each other's running statistics; a few images repair them."""
    torch.manual_seed(0)
    anchors = [TinyConvAnchor(TinyConvNet(width, 28), f"conv{width}") for width in (4, 8)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors]))
    data = [open_dataset("embedded", None, split, input=net.input) for split in ("train", "validation")]
    train, validation = (part for part in data if isinstance(part, TensorImages))
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for step in range(150):
        rows = torch.randint(len(train.images), (64,))
        optimizer.zero_grad()
        cross_entropy(net(train.images[rows], step % len(net.space)), train.labels[rows]).backward()
        optimizer.step()
    chosen = (validation.images[:500], validation.labels[:500])
    before = evaluate(net, chosen)
    recalibrate(net, train.images[:256])
    after = evaluate(net, chosen)
    gains = [now.top1 - then.top1 for now, then in zip(after, before, strict=True)]
    assert min(gains) > 0 and sum(gains) / len(gains) > 10, gains


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_as_on_a_cpu(net: SNNet, images: Tensor) -> None:
    other = deepcopy(net)
    recalibrate(net, images)
    recalibrate(other, images, device="cuda")
    for prefix in net.statistics:
        found = other.statistics.get_buffer(prefix)
        assert found.device.type == "cpu"
        torch.testing.assert_close(found, net.statistics.get_buffer(prefix), rtol=1e-3, atol=1e-4)
    stitch = stitched(net)[0]
    torch.testing.assert_close(net.cuda()(images.cuda(), stitch).cpu(), other(images, stitch), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_number_formats(net: SNNet, images: Tensor, dtype: torch.dtype) -> None:
    recalibrate(net.to(dtype), images)
    assert {net.statistics.get_buffer(prefix).dtype for prefix in net.statistics} == {dtype}
    expected = learn(reference(net, net.space[1]).double(), images.double())(images.double())
    tolerance = 0.25 if dtype == torch.bfloat16 else 1e-9
    torch.testing.assert_close(net(images.to(dtype), 1).double(), expected, rtol=tolerance, atol=tolerance)


def test_whether_there_is_anything_to_measure_depends_on_the_anchors() -> None:
    net = build_conv_net()
    assert has_batch_norm(net) and has_batch_norm(net, anchors=False)
    alone = SNNet(net.family, net.space.where(max_segments=1))
    assert has_batch_norm(alone) and has_batch_norm(alone, anchors=[1])
    assert not has_batch_norm(alone, anchors=False) and not has_batch_norm(alone, anchors=[])
