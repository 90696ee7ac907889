"""Question: do recalibrated statistics lose against the better of the anchors' own and those measured alone?

    python benchmarks/recalibration.py --seeds 0 1 2
    python benchmarks/recalibration.py --families cnn --images 100 --test 1000 --classes 5 7 9
    python benchmarks/recalibration.py --anchors small@small.safetensors base@base.safetensors --family-file family.py \
        --data folder --root CIFAR10
    python benchmarks/recalibration.py --anchors tf_efficientnet_lite0@lite0.pth tf_efficientnet_lite1@lite1.pth \
        --data folder --root PHOTOS --image-size 96 --test 1000 --agreement

After least squares on the same images, in percent of the test images, mean of the routes with a batch norm behind a
cut: with the anchors' own statistics, with those that are measured on the images alone (each batch norm normalizes by
the batch), and with `snnet.recalibrate`. The worst route is the one that loses most against the better of the first
two. The last column is the time of recalibration over that of evaluating the same images and the whole space.
"""

import argparse
import runpy
import time
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

import torch
from torch import Tensor

import snnet
from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import calibration_images, eval_batches, fixed_choice, open_pair
from snnet.evaluation import evaluate
from snnet.init import has_batch_norm, initialize, recalibrate
from snnet.network import MeasuringStatistics, SNNet

WAYS = ("own", "measured", "recalibrated")


def scores(net: SNNet, way: str, images: Tensor, test: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Return percent of the labels by route."""
    net.forget_statistics()
    if way == "recalibrated":
        recalibrate(net, images, anchors=False, progress=False)
    elif way == "measured":
        with patch("snnet.init.recalibration.ComparingStatistics", lambda norms, _: MeasuringStatistics(norms)):
            recalibrate(net, images, anchors=False, progress=False)
    net.forget_scores()
    routes = [stitch for stitch in net.space if not stitch.is_anchor]
    return {row.stitch: row.top1 for row in evaluate(net, test, stitches=routes, progress=False)}


def ratio(net: SNNet, images: Tensor, repeats: int) -> float:
    """Return how long recalibration takes, in units of evaluating the same images; the fastest of each."""
    labelled = [(part, torch.zeros(len(part), dtype=torch.long)) for part in images.split(64)]
    times = []
    for _ in range(repeats):
        net.forget_statistics()
        begin = time.perf_counter()
        recalibrate(net, images, anchors=False, progress=False)
        middle = time.perf_counter()
        net.forget_statistics()
        evaluate(net, labelled, progress=False)
        times.append((middle - begin, time.perf_counter() - middle))
    took, against = (min(side) for side in zip(*times, strict=True))
    return took / against


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anchors", nargs="+", help="in place of the embedded families")
    parser.add_argument("--family-file", type=Path)
    parser.add_argument("--data", default="embedded")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--test", type=int, help="test images, at most")
    parser.add_argument("--agreement", action="store_true", help="with the largest anchor, in place of top-1")
    parser.add_argument("--families", nargs="*", default=list(EMBEDDED_FAMILIES), choices=list(EMBEDDED_FAMILIES))
    parser.add_argument("--images", nargs="*", type=int, default=[50, 100, 300])
    parser.add_argument("--classes", nargs="*", type=int, help="measure on images of these alone (embedded data)")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--repeats", type=int, default=5, help="of the timing")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.family_file:
        runpy.run_path(str(args.family_file))
    families = {"given": args.anchors} if args.anchors else {name: EMBEDDED_FAMILIES[name] for name in args.families}
    print("| family | images | seed | own | measured | recalibrated | worst route | time |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for family, names in families.items():
        net = snnet.stitch(*names, pretrained=args.anchors is None, image_size=args.image_size)
        if not has_batch_norm(net, anchors=False):
            print(f"| {family} | | | no batch norm behind a cut | | | | |")
            continue
        train, validation = open_pair(args.data, args.root, input=net.input)
        test = list(eval_batches(fixed_choice(validation, args.test), 250))
        if args.agreement:
            with torch.inference_mode():
                test = [(images, net(images, len(net.anchors) - 1).argmax(1)) for images, _ in test]
        for count in args.images:
            for seed in args.seeds:
                images = calibration_images(train, count, seed)
                initialize(net, images, recalibration_images=0, progress=False)
                if args.classes:
                    images = train.images[torch.isin(train.labels, torch.tensor(args.classes))][:count]
                found = {way: scores(net, way, images, test) for way in WAYS}
                best = {name: max(found["own"][name], found["measured"][name]) for name in found["own"]}
                worst = min(found["recalibrated"][name] - best[name] for name in best)
                means = " | ".join(f"{fmean(found[way].values()):.2f}" for way in WAYS)
                time_ratio = ratio(net, images, args.repeats)
                print(f"| {family} | {count} | {seed} | {means} | {worst:+.2f} | {time_ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
