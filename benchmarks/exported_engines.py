"""Time of one call through each engine against plain eager PyTorch: DeiT-Ti and DeiT-S at 224, batch 1 and 8.

The anchors of one network with random weights, alone. `plain` is timm's model in inference mode; the engine `eager`
runs the same modules with linear layers through oneDNN. All run in one process with as many threads, in turn, in
random order, each as often; the figures are medians, and the ratio says how many times as fast as plain.

    python benchmarks/exported_engines.py
    python benchmarks/exported_engines.py --engines eager onnxruntime --batch 1 --repeats 5
    python benchmarks/exported_engines.py --engines eager openvino --precisions fp32 bf16 --threads 1
"""

import argparse
from functools import partial
from itertools import product
from statistics import median

import torch
from timing import by_turns

import snnet
from snnet.errors import EngineError, ExtraError
from snnet.runtime.engines import ENGINES, Conditions, Ready

ANCHORS = ("deit_tiny_patch16_224", "deit_small_patch16_224")


class Plain(Ready):
    """timm's own model, as it is."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        logits: torch.Tensor = self.model(images)
        return logits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["eager", "onnxruntime", "openvino"])
    parser.add_argument("--precisions", nargs="+", default=["fp32"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=30, help="rounds at least")
    parser.add_argument("--seconds", type=float, default=10, help="time for each size of batch at least")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    net = snnet.stitch(*ANCHORS).eval()
    engines = {}
    for name, precision in product(args.engines, args.precisions):
        try:
            conditions = Conditions.of(net, precision=precision, threads=args.threads)
            engines[f"{name} {precision}"] = ENGINES.get(name)(net, conditions)
        except (ExtraError, EngineError) as error:
            print(f"{name} {precision} is left out: {error}")
    print(f"{args.threads} threads; median milliseconds of a call")
    for number, anchor in enumerate(ANCHORS):
        ready: dict[str, Ready] = {"plain": Plain(net.anchor(number).model)}
        ready |= {name: engine.load(number) for name, engine in engines.items()}
        for batch in args.batch:
            images = torch.randn(batch, *net.input.size)
            ways = {
                name: partial(stitch, images.to(engines[name].conditions.dtype if name in engines else images.dtype))
                for name, stitch in ready.items()
            }
            found = by_turns(ways, rounds=args.repeats, seconds=args.seconds)
            times = {name: median(row) for name, row in found.items()}
            shown = ", ".join(f"{name} {ms:.1f} ({times['plain'] / ms:.2f}x)" for name, ms in times.items())
            print(f"{anchor:24} batch {batch}: {shown}", flush=True)


if __name__ == "__main__":
    main()
