from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import snnet
from snnet.errors import DataError, SpaceError
from snnet.network import SNNet, stitch
from snnet.profiling import count_costs, step_macs
from snnet.searching import SCORES, all_cuts, search
from snnet.searching.candidates import Costs
from snnet.searching.learning import after_training, lacking
from snnet.searching.proposals import Proposals
from snnet.searching.report import choose
from snnet.searching.scoring import Judge, Score
from snnet.space import Stitch
from snnet.table import AGREEMENT, DIVERGENCE, EXPECTED
from tests.conftest import build_tiny_anchor


def images(count: int = 40) -> Tensor:
    return torch.randn(count, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def tiny_family(anchors: int = 2) -> SNNet:
    torch.manual_seed(0)
    return stitch(*(build_tiny_anchor(width, depth=5) for width in (16, 32)[-anchors:]), space="search").eval()


@pytest.mark.parametrize("anchors", [1, 2])
def test_a_search_finds_routes_and_makes_them_the_networks(anchors: int, tmp_path: Path) -> None:
    net = tiny_family(anchors)
    own = [anchor(images()).detach() for anchor in net.family]
    report = search(net, images(), budgets=6, progress=False)
    assert tuple(net.space) == report.chosen and len(report.chosen) > anchors + 1
    assert [stitch_.is_anchor for stitch_ in net.space[:anchors]] == [True] * anchors
    for number, answer in enumerate(own):
        assert torch.equal(net(images(), number), answer)
    counted = {row.stitch: row.macs for row in count_costs(net)}
    rows = {row.stitch: row for row in report.table}
    for chosen in report.chosen:
        assert rows[chosen.id].macs == counted[chosen.id] <= max(counted.values())
        assert rows[chosen.id].divergence >= 0 and 0 <= rows[chosen.id].agreement <= 100
    assert len(report.chosen) <= 6 + anchors
    assert "stitches chosen among" in repr(report) and report._repr_html_().count("<tr") == len(report.chosen) + 1
    assert report.to_dict()["chosen"] == [chosen.id for chosen in net.space]
    net.save_pretrained(tmp_path / "net")
    again = snnet.load(tmp_path / "net")
    for number in range(len(net.space)):
        assert torch.equal(again(images(3), number), net(images(3), number))


def test_an_interrupted_search_goes_on_to_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny_family()
    report = search(whole, images(), budgets=3, progress=False)
    scores, ran, left = tmp_path / "deeper" / SCORES, [], 1
    score = Judge.score

    def interrupted(judge: Judge, net: SNNet, routes: dict[Stitch, Score], count: int, progress: Any = False) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        ran.append((*routes, count))
        score(judge, net, routes, count, progress)

    monkeypatch.setattr(Judge, "score", interrupted)
    net = tiny_family()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        search(net, images(), budgets=3, progress=False, path=scores)
    assert len(ran) == 1 and len(net.space) == 2
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    first, left = list(ran), 1000
    again = search(net, images(), budgets=3, progress=False, path=scores)
    assert len(ran) == len(set(ran)) > len(first), "nothing is run twice"
    assert again.chosen == report.chosen and list(again.table) == list(report.table)
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in net.state_dict().items())
    # All is known now; other images, settings or anchors, or a damaged file, tell nothing.
    done = len(ran)
    search(tiny_family(), images(), budgets=3, progress=False, path=scores)
    assert len(ran) == done
    text, other = scores.read_text(), tiny_family()
    with torch.no_grad():
        next(other.anchors.parameters()).mul_(2)
    for given, count, seed, content in [
        (tiny_family(), 38, 0, text),
        (tiny_family(), 40, 1, text),
        (other, 40, 0, text),
        (tiny_family(), 40, 0, text.replace("0.", "1.")),
        (tiny_family(), 40, 0, "{"),
    ]:
        scores.write_text(content)
        known = len(ran)
        search(given, images(count), budgets=3, seed=seed, progress=False, path=scores)
        assert len(ran) > known
    again.save(scores.parent)
    assert not scores.exists(), "of no use any more"


def test_large_networks_run_fewer_routes_on_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    free = search(tiny_family(), images(16), budgets=3, progress=False)
    monkeypatch.setattr("snnet.searching.race.WORK", 0)
    monkeypatch.setattr("snnet.searching.race.FEWEST", 2)
    monkeypatch.setattr("snnet.searching.hunt.FEWEST", 2)
    seen = set()
    net = tiny_family()
    report = search(net, images(16), budgets=3, progress=lambda done, total, note: seen.add((total, note)))
    runs = [sum(DIVERGENCE in row.values for row in one.table) for one in (free, report)]
    assert runs[1] < runs[0] and len(report.table) < len(free.table)
    assert {total for total, note in seen if "routes run" in note} <= set(range(8))
    rows = {row.stitch: row for row in report.table}
    assert all(rows[chosen.id].divergence >= 0 for chosen in report.chosen) and len(report.chosen) > 2
    # Anchors are judged on the same few images as all others.
    few = max(total for total, note in seen if "routes run" in note)
    judge = Judge(net, images(16)[8:][:few], None, 64)
    with torch.no_grad():
        for route, score in judge.anchors(net.space[:2]).items():
            assert rows[route.id].divergence == pytest.approx(score.divergence, abs=1e-6)


def test_the_same_seed_finds_the_same() -> None:
    found = [search(tiny_family(), images(), budgets=4, seed=3, progress=False) for _ in range(2)]
    assert found[0].chosen == found[1].chosen
    assert [row.values for row in found[0].table] == [row.values for row in found[1].table]
    net = tiny_family(1)
    state = torch.random.get_rng_state()
    search(net, images(), budgets=2, cuts=1, progress=False)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_candidates_are_all_single_cuts_and_what_was_run(tmp_path: Path) -> None:
    report = search(tiny_family(1), images(), budgets=5, cuts=2, progress=False)
    singles = [row for row in report.table if EXPECTED in row.values]
    assert {row.stitch for row in singles} == {f"0:0-{i + 1},0:{k}-5" for i in range(5) for k in range(i + 2, 5)}
    others = [row for row in report.table if EXPECTED not in row.values]
    assert all(DIVERGENCE in row.values and AGREEMENT in row.values for row in others)
    assert {len(row.route.cuts) for row in others} == {0, 2}
    report.table.save(tmp_path / "search.jsonl")
    assert len(snnet.StitchTable.load(tmp_path / "search.jsonl")) == len(report.table)


@torch.no_grad()
def test_scores_are_those_of_the_routes_themselves(tiny_net: SNNet) -> None:
    labels = torch.arange(20) % 10
    judge = Judge(tiny_net, images(20), labels, batch_size=7)
    scores = {route: Score() for route in list(tiny_net.space)[:6]}
    judge.score(tiny_net, scores, 9)
    assert {score.images for score in scores.values()} == {9}
    judge.score(tiny_net, scores, 20)
    largest = tiny_net(images(20), 2).detach().log_softmax(1)
    for route, score in scores.items():
        found = tiny_net(images(20), route).detach().log_softmax(1)
        own = tiny_net(images(20), route.segments[-1].anchor).detach().log_softmax(1)
        kl = torch.nn.functional.kl_div
        assert score.divergence == pytest.approx(
            float(kl(found, largest, reduction="batchmean", log_target=True)), abs=1e-6
        )
        assert score.own == pytest.approx(float(kl(found, own, reduction="batchmean", log_target=True)), abs=1e-6)
        assert score.loss == pytest.approx(float(torch.nn.functional.cross_entropy(found, labels)), rel=1e-5)
        assert score.agreement == pytest.approx(100 * float((found.argmax(1) == largest.argmax(1)).float().mean()))
        assert score.badness == score.divergence + score.loss
    anchors = list(tiny_net.space)[:3]
    for route, score in judge.anchors(anchors).items():
        assert vars(score) == pytest.approx(vars(scores[route]), abs=1e-6)
    assert torch.equal(judge.answers[1], tiny_net.task.answers(tiny_net(images(20), 1)).detach())


def test_labels_are_optional_and_checked() -> None:
    labels = torch.arange(40) % 10
    pairs = [(images()[:16], labels[:16]), (images()[16:], labels[16:])]
    told = search(tiny_family(1), pairs, budgets=3, cuts=1, progress=False)
    silent = search(tiny_family(1), images(), budgets=3, cuts=1, progress=False)
    assert [row.values for row in told.table] == [row.values for row in silent.table] and told.images == silent.images
    with pytest.raises(DataError, match="Label 10 does not fit"):
        search(tiny_family(1), [(images(), labels + 5)], progress=False)


@pytest.mark.parametrize("cost", ["params", "memory_mb", "latency_ms"])
def test_budgets_of_other_costs(cost: str) -> None:
    net = tiny_family(1)
    report = search(net, images(20), budgets=3, cuts=1, cost=cost, progress=False)  # type: ignore[arg-type]
    costs = [row.values[cost] for row in report.table if row.stitch in {stitch_.id for stitch_ in report.chosen[1:]}]
    assert costs == sorted(costs) and all(0 < value <= max(report.budgets) for value in costs)
    if cost == "params":
        counted = {row.stitch: row.params for row in count_costs(net)}
        assert all(row.params == counted[row.stitch] for row in report.table if row.stitch in counted)


def test_the_best_within_each_budget() -> None:
    a, b, c, d = map(Stitch, ["0:0-5", "0:0-1,0:2-5", "0:0-1,0:3-5", "0:0-2,0:3-5"])
    costs, badness = {a: 10.0, b: 8.0, c: 6.0, d: 8.0}, {a: 0.0, b: 0.3, c: 0.5, d: 0.2}
    assert choose(costs, badness, [5, 7, 9, 9.5, 12]) == [c, d, a]
    assert choose(costs, {**badness, c: 0.1}, [7, 9]) == [c]
    # What is better by little is not worth a place, but what adds up is.
    assert choose(costs, badness, [5, 7, 9, 12], near=0, least=0.29) == [c, d]
    assert choose(costs, {**badness, d: 0.4}, [7, 8, 9, 12], near=0, least=0.25) == [c, a]
    assert choose(costs, badness, [7, 9, 12], near=0, least=0.1) == [c, d, a]
    # Room is filled with what is nearly as good.
    assert choose(costs, {**badness, b: 0.25}, [7, 9, 9.5, 12]) == [c, d, b, a]
    assert choose(costs, {**badness, b: 0.251}, [7, 9, 9.5, 12]) == [c, d, a]
    assert choose(costs, {**badness, b: 0.25}, [7, 9, 12]) == [c, d, a]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budgets": 0}, "budgets"),
        ({"cuts": 4}, "cuts"),
        ({"cost": "energy_mj"}, "cost"),
        ({"max_images": 3}, "images"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        search(tiny_family(1), images(), **options)  # type: ignore[arg-type]


def test_too_few_images_are_refused_and_an_error_leaves_the_network() -> None:
    net = tiny_family(1)
    with pytest.raises(DataError, match="3 are too few"):
        search(net, images(3))
    with pytest.raises(DataError, match="images"):
        search(net, torch.zeros(8, 3, 28, 28))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    def stop_at_last(done: int, total: int, note: str) -> None:
        if note == "calibration images" and done == total == 40:
            notes.append(note)
            raise KeyboardInterrupt

    notes: list[str] = []
    for late in (stop, stop_at_last):
        with pytest.raises(KeyboardInterrupt):
            search(net, images(), cuts=2, progress=late)
        assert len(net.space) == 1 and not len(net.layers)
    assert len(notes) == 1


def test_training_mends_what_cuts_cause_and_not_what_anchors_lack() -> None:
    whole = {0: 1.0, 1: 0.2}
    assert lacking(Stitch("0:0-6"), whole) == 1.0
    assert lacking(Stitch("0:0-2,1:3-9"), whole) == pytest.approx((2 * 1.0 + 6 * 0.2) / 8)
    assert lacking(Stitch("1:0-2,1:4-6"), whole) == pytest.approx(0.2)
    found = after_training(np.array([1.0, 0.9, 0.5, 0.5]), np.array([1.0, 0.2, 0.2, 0.6]))
    assert found == pytest.approx([1.0, 0.2 + 0.6 * 0.7, 0.2 + 0.6 * 0.3, 0.6])


def test_what_proposed_routes_lack_is_what_their_blocks_do() -> None:
    net = tiny_family()
    cuts = all_cuts(net.family)
    costs = Costs.of(net, cuts, lambda probe: dict.fromkeys(step_macs(probe), 1.0))
    proposals = Proposals(cuts, costs, net.family, np.ones(len(cuts)), [1.0, 0.25])
    singles = proposals.singles()
    twice = proposals.extended(singles.routes, 1e9)
    thrice = proposals.extended(twice.routes[:200], 1e9)
    for found in (singles, twice, thrice):
        wanted = [lacking(proposals.stitch(route), {0: 1.0, 1: 0.25}) for route in found.routes]
        assert found.lack == pytest.approx(wanted)


def test_for_training_the_best_within_each_budget_alone_are_chosen() -> None:
    net = tiny_family()
    report = search(net, images(), budgets=6, for_training=True, progress=False)
    rows = {row.stitch: row for row in report.table}
    whole = {n: rows[anchor.id].divergence for n, anchor in enumerate(net.space[:2])}
    values = []
    for route in sorted(net.space, key=lambda route: rows[route.id].macs):
        found, lack = np.array([rows[route.id].divergence]), np.array([lacking(route, whole)])
        if not route.is_anchor:
            values.append(float(after_training(found, lack)[0]))
    assert values and values == sorted(values, reverse=True), "each costs more and is better than those before"


def test_a_search_takes_a_network_with_low_rank_layers() -> None:
    net = tiny_family().set_lora_rank(2)
    plain = tiny_family()
    search(plain, images(), budgets=3, cuts=1, progress=False)
    search(net, images(), budgets=3, cuts=1, progress=False)
    assert net.lora_rank == 2 and net.space == plain.space
    assert torch.allclose(net(images(3), len(net.space) - 1), plain(images(3), len(net.space) - 1), atol=1e-5)


def test_unknown_settings_of_a_search_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"budget: unknown keyword\. Did you mean 'budgets'"):
        search(tiny_family(), images(), budget=3)  # type: ignore[call-arg]


def test_a_network_with_a_head_over_maps_is_searched() -> None:
    net = tiny_family().set_head("linear", 3)
    snnet.initialize(net, images(), progress=False)
    before = {name: value.clone() for name, value in net.state_dict().items() if ".tap" in name or "head" in name}
    report = search(net, images(), budgets=4, cuts=2, progress=False)
    assert len(net.space) >= 3 and any(not route.is_anchor for route in net.space)
    after = net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items()), "what was trained stays"
    largest = net.task.answers(net(images()[20:], 1))
    exact = count_costs(net)
    for route in net.space:
        found = report.table[route]
        outputs = net.task.answers(net(images()[20:], route))
        assert outputs.shape[1] == 3
        assert found.macs == pytest.approx(exact[route].macs, rel=0.1), "what maps cost is that of the anchors there"
        if route.is_anchor:
            expected = net.task.divergence(largest, outputs).mean().item()
            assert found.divergence == pytest.approx(expected, abs=1e-5)
    assert net(images(2), net.space[2]).shape == (2, 3, 28, 28)
