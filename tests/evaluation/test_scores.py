"""Top-1, top-5 and loss, summed over batches, and the hits of single images."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from snnet.evaluation import Scores, evaluate, evaluate_some
from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.table import StitchTable, hits_file, is_predicted


def test_scores_equal_a_count_by_hand_over_uneven_batches():
    logits, labels = torch.randn(50, 10), torch.randint(10, (50,))
    scores = Scores()
    for part in (slice(0, 32), slice(32, 50)):
        scores.add(logits[part], labels[part])
    values, broken = scores.result()
    rank = (logits > logits.gather(1, labels[:, None])).sum(1)
    assert broken == 0
    assert values["top1"] == pytest.approx(100 * (rank < 1).float().mean().item())
    assert values["top5"] == pytest.approx(100 * (rank < 5).float().mean().item())
    assert values["loss"] == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 4, 5])
def test_with_up_to_five_classes_top5_is_over_all_of_them(classes):
    scores = Scores()
    scores.add(torch.randn(6, classes), torch.randint(classes, (6,)))
    assert scores.result()[0]["top5"] == 100


def test_images_without_a_finite_loss_are_wrong_and_counted():
    logits = torch.eye(4)
    logits[0, 0], logits[1, 2] = float("nan"), float("inf")
    scores = Scores()
    scores.add(logits, torch.arange(4))
    assert scores.result() == ({"top1": 50.0, "top5": 50.0}, 2)


def test_masked_classes_are_no_fault():
    logits = torch.tensor([[2.0, 1.0, -torch.inf]])
    scores = Scores()
    scores.add(logits, torch.tensor([0]))
    values, broken = scores.result()
    assert broken == 0
    assert values["loss"] == pytest.approx(0.3133, abs=1e-4)


def hits_by_hand(net: SNNet, images: torch.Tensor, labels: torch.Tensor) -> dict[str, list[bool]]:
    with torch.no_grad():
        return {stitch.id: (net(images, stitch).argmax(1) == labels).tolist() for stitch in net.space}


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(40, 1, 28, 28, generator=generator), torch.randint(10, (40,), generator=generator)


def test_hits_are_those_of_a_plain_loop_in_one_order_for_all(tiny_net, data):
    """Not in that of the images, but in one: every stitch's answers to an image stand in the same place."""
    hits, expected = evaluate(tiny_net, data, batch_size=16).hits, hits_by_hand(tiny_net, *data)
    assert list(hits.bits) == [stitch.id for stitch in tiny_net.space] and hits.images == 40

    def columns(rows: list[list[bool]]) -> list[tuple[bool, ...]]:
        return sorted(zip(*rows, strict=True))

    found = [[bool(hits.bits[stitch] >> place & 1) for place in range(40)] for stitch in expected]
    assert columns(found) == columns(list(expected.values()))


def test_hits_do_not_depend_on_the_order_of_the_images(tiny_net, data):
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    plain = evaluate(tiny_net, data).hits
    assert evaluate(tiny_net, (data[0][order], data[1][order]), batch_size=7).hits == plain
    shuffled = DataLoader(TensorDataset(*data), batch_size=9, shuffle=True)
    assert evaluate(tiny_net, shuffled).hits.bits == plain.bits, "each pass comes in an order of its own"


def test_hits_grow_on_the_same_images_and_are_replaced_on_others(tiny_net, data, tmp_path):
    whole = evaluate(tiny_net, data).hits
    tiny_net.table, output = None, tmp_path / "table.jsonl"
    evaluate(tiny_net, data, stitches=[0, 1], output=output)
    assert list(StitchTable.load(output).hits.bits) == [tiny_net.space[0].id, tiny_net.space[1].id]
    tiny_net.table = None
    evaluate(tiny_net, data, output=output, stitches=[5])
    assert set(StitchTable.load(output).hits.bits) == {tiny_net.space[number].id for number in (0, 1, 5)}
    assert evaluate(tiny_net, data, output=output).hits == whole == StitchTable.load(output).hits
    others = evaluate(tiny_net, (data[0] + 1, data[1]), stitches=[7])
    assert list(others.hits.bits) == list(tiny_net.table.hits.bits) == [tiny_net.space[7].id]


def test_a_kill_between_hits_and_table_leaves_hits_of_what_the_table_has(tiny_net, data, tmp_path):
    output = tmp_path / "table.jsonl"
    evaluate(tiny_net, data, stitches=[0, 1], output=output)
    before = output.read_bytes()
    whole = evaluate(tiny_net, data, output=output).hits
    output.write_bytes(before)
    tiny_net.table = None
    assert len(StitchTable.load(output).hits) == 2
    assert evaluate(tiny_net, data, output=output).hits == whole


def test_scores_of_before_there_were_hits_are_kept_without(tiny_net, data, tmp_path):
    output = tmp_path / "table.jsonl"
    evaluate(tiny_net, data, stitches=[0, 1], output=output)
    hits_file(output).unlink()
    tiny_net.table = None
    table = evaluate(tiny_net, data, stitches=[0, 1, 2], output=output)
    assert all("top1" in row.values for row in table) and list(table.hits.bits) == [tiny_net.space[2].id]


def test_predicted_stitches_have_no_hits(tiny_net, data):
    count_costs(tiny_net)
    found = evaluate_some(tiny_net, data, at_most=5, error=0)
    measured = {row.stitch for row in found.table if not is_predicted(row)}
    assert set(found.table.hits.bits) == measured and len(measured) == 5
    assert found.table.hits.bits.items() <= evaluate(tiny_net, data).hits.bits.items()
