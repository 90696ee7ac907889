"""Claim: the anchors, and a fifth of the images for the others, say what all stitches score, to 0.3 points of top-1.

    python benchmarks/predict_curve.py snnet-demo snnet-demo-cnn --table deit_ti_s_b.json

Each fine-tuned network is evaluated whole first (kept in --truth, which a second run takes up), then predicted as if
nothing were known. Of a table that is complete, all but the anchors is hidden and revealed in the order that the
prediction asks for. Printed are the mean absolute error of the predicted stitches, and what was expected of it.
"""

import argparse
from pathlib import Path
from statistics import fmean

from snnet.data import eval_batches, open_dataset
from snnet.evaluation import PredictedScores, evaluate, evaluate_some, predict_scores
from snnet.network import load
from snnet.profiling import count_costs
from snnet.table import StitchTable, is_predicted

PARTS = (0.05, 0.1, 0.15, 0.25, 0.5)


def only(table: StitchTable, stitches: set[str]) -> StitchTable:
    """Return the table with the scores of some stitches alone."""
    hidden = table.without("top1", "top5", "loss")
    return StitchTable((table[row.stitch] if row.stitch in stitches else row for row in hidden), table.meta)


def mean_error(found: PredictedScores, truth: StitchTable) -> float:
    predicted = [row for row in found.table if is_predicted(row)]
    return fmean(abs(row.top1 - truth[row.stitch].top1) for row in predicted)


def show(name: str, found: PredictedScores, truth: StitchTable) -> None:
    count = len(truth)
    print(
        f"{name:<34} {found.measured:4d} of {count} ({100 * found.measured / count:3.0f} %), {100 * found.work:3.0f} % "
        f"of the work: {mean_error(found, truth):.3f} points (expected {found.error:.3f})",
        flush=True,
    )


def reveal(name: str, truth: StitchTable) -> None:
    """Predict from the curve alone, one stitch more at a time."""
    known = {row.stitch for row in truth.anchors}
    stops = {max(len(known), int(part * len(truth))) for part in PARTS}
    while known:
        found = predict_scores(only(truth, known))
        if len(known) in stops:
            show(f"{name}, curve alone", found, truth)
        if len(known) >= max(stops):
            break
        known.add(found.next[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", type=Path, help="directories of networks of embedded families")
    parser.add_argument("--table", action="append", default=[], type=Path, help="a complete table")
    parser.add_argument("--sample", type=float, nargs="*", default=[0.1, 0.2], help="parts of the images")
    parser.add_argument("--truth", type=Path, default=Path("predict-truth"), help="where whole evaluations are kept")
    arguments = parser.parse_args()
    for path in arguments.table:
        reveal(path.stem, StitchTable.load(path))
    for directory in arguments.networks:
        net = load(str(directory))
        data = open_dataset("embedded", None, "validation", input=net.input, num_classes=net.num_classes)
        batches = eval_batches(data, 128, 0)
        net.table = None
        costs = count_costs(net)
        truth = evaluate(net, batches, output=arguments.truth / f"{directory.name}.jsonl")
        reveal(directory.name, truth)
        for part in arguments.sample:
            net.table = costs
            show(f"{directory.name}, {part:g} of images", evaluate_some(net, batches, sample=part, at_most=0), truth)


if __name__ == "__main__":
    main()
