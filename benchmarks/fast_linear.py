"""A training step of plain ViTs with linear layers through oneDNN (`fast_linear`) and through MKL, PyTorch's default.

The sides alternate, and the ratios are those of their medians, in CPU seconds of one thread.

    python benchmarks/fast_linear.py
    python benchmarks/fast_linear.py --widths 192 384 --images 16
"""

import argparse
import time
from contextlib import nullcontext
from statistics import median

import torch
from timm.models.vision_transformer import VisionTransformer

from snnet.utils import fast_linear


def step_seconds(width: int, images: int, repeats: int) -> tuple[float, float]:
    """Return the median CPU seconds of a step without and with `fast_linear`."""
    size = {"img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10, "depth": 12}
    model = VisionTransformer(**size, embed_dim=width, num_heads=max(2, width // 32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x, y = torch.randn(images, 1, 28, 28), torch.randint(10, (images,))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(repeats + 1):
        for fast, times in seconds.items():
            with fast_linear("cpu") if fast else nullcontext():
                start = time.process_time()
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                times.append(time.process_time() - start)
    return median(seconds[False][1:]), median(seconds[True][1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 96, 128, 256])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'width':>6} {'MKL ms':>8} {'oneDNN ms':>10} {'ratio':>6}")
    for width in args.widths:
        plain, fast = step_seconds(width, args.images, args.repeats)
        print(f"{width:6} {1000 * plain:8.1f} {1000 * fast:10.1f} {plain / fast:6.2f}")


if __name__ == "__main__":
    main()
