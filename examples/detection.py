"""Faster R-CNN or Mask R-CNN on a stitched network: one detector with a stitch for every budget.

    pip install torchmetrics pycocotools
    python examples/detection.py --family cnn --steps 2000

It finds the garments in composed scenes. Every step trains a stitch drawn at random, with one head for all of them,
and in the end the stitches are scored as COCO scores them.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchmetrics.detection import MeanAveragePrecision
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator

import snnet
from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import SceneSource, calibration_images, open_dataset
from snnet.detection import DetectionScenes, StitchedBackbone, collate
from snnet.utils import count_macs, text_grid


def build(family: str, masks: bool, channels: int) -> nn.Module:
    """Stitch a family for scenes of 56x56 pixels, fit what joins it, and set a detector on it."""
    net = snnet.stitch(*EMBEDDED_FAMILIES[family], pretrained=True, image_size=56).set_taps(4)
    snnet.initialize(
        net, calibration_images(open_dataset("scenes/200", split="train", input=net.input, target="mask"), 200)
    )
    backbone = StitchedBackbone(net, out_channels=channels)
    # Half as large as usual: three shapes around four times the stride of each level.
    sizes = tuple((4 * stride,) for stride in (*backbone.strides, 2 * backbone.strides[-1]))
    generator = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    few: dict[str, Any] = {
        "box_batch_size_per_image": 32,
        "rpn_pre_nms_top_n_train": 200,
        "rpn_post_nms_top_n_train": 100,
    }
    few |= {"rpn_pre_nms_top_n_test": 200, "rpn_post_nms_top_n_test": 50, "box_detections_per_img": 20}
    # A head for boxes as small as the pictures: torchvision's has 1,024 channels, and would cost more than the network.
    few |= {"box_head": TwoMLPHead(49 * channels, 128), "box_predictor": FastRCNNPredictor(128, 11)}
    if masks:
        few |= {"mask_head": MaskRCNNHeads(channels, (channels,) * 2, 1)}
        few |= {"mask_predictor": MaskRCNNPredictor(channels, channels, 11)}
    kind = MaskRCNN if masks else FasterRCNN
    return kind(backbone, rpn_anchor_generator=generator, **few, **backbone.input_options)


def train(model: nn.Module, stitches: Sequence[int], steps: int, batch: int, rate: float) -> None:
    """Train some stitches, each step another."""
    net = model.backbone.net
    pretrained = {id(p) for p in net.parameters()}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in pretrained], "lr": rate},
        {"params": list(net.parameters()), "lr": rate / 4},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [group["lr"] for group in groups], total_steps=steps)
    scenes = DetectionScenes(SceneSource("train", count=steps * batch))
    draw = random.Random(0)
    model.train()
    net.eval()  # batch norms keep what was measured for each route, as those of detectors usually do
    for step, (images, targets) in enumerate(DataLoader(scenes, batch, collate_fn=collate), 1):
        model.backbone.stitch = draw.choice(stitches)
        loss = sum(model(images, targets).values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            print(f"step {step}/{steps}, loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def score(model: nn.Module, stitch: int, count: int, masks: bool) -> dict[str, Any]:
    """Score one stitch on scenes of validation, with the multiply-adds of its backbone."""
    model.eval()
    model.backbone.stitch = stitch
    metric = MeanAveragePrecision(iou_type=("bbox", "segm") if masks else "bbox")
    for images, targets in DataLoader(DetectionScenes(SceneSource("validation", count=count)), 50, collate_fn=collate):
        found = model(images)
        for each in found if masks else ():
            each["masks"] = each["masks"][:, 0] > 0.5
        metric.update(found, targets)
    scores = {name: 100 * float(value) for name, value in metric.compute().items() if name.endswith(("map", "map_50"))}
    macs = count_macs(model.backbone, torch.zeros(1, *model.backbone.net.input.size))
    return {"stitch": model.backbone.stitch.id, "macs": macs, **scores}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=EMBEDDED_FAMILIES, default="cnn")
    parser.add_argument("--masks", action="store_true", help="Mask R-CNN in place of Faster R-CNN")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--channels", type=int, default=48, help="width of the pyramid")
    parser.add_argument("--count", type=int, default=500, help="scenes that stitches are scored on")
    parser.add_argument("--every", type=int, default=1, help="score every so many stitches of the space")
    parser.add_argument("--alone", help="train and score this stitch alone, to compare with")
    parser.add_argument("--output", type=Path, help="JSON file for the scores")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = build(options.family, options.masks, options.channels)
    space = model.backbone.net.space
    every = range(len(space)) if options.alone is None else [space.index(options.alone)]
    train(model, every, options.steps, options.batch, options.rate)
    chosen = every[:: options.every]
    rows = [score(model, stitch, options.count, options.masks) for stitch in chosen]
    rows.sort(key=lambda row: row["macs"])
    names = [name for name in rows[0] if name not in ("stitch", "macs")]
    lines = [[row["stitch"], f"{row['macs'] / 1e6:.1f}", *(f"{row[name]:.1f}" for name in names)] for row in rows]
    table, _ = text_grid(["stitch", "M multiply-adds", *names], lines)
    print("\n".join(table))
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
