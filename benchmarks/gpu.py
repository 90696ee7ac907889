"""Everything that only a GPU can tell, in less than six minutes: throughput, training, resuming, energy, serving.

    python benchmarks/gpu.py --output gpu.json
    python benchmarks/gpu.py --miniature          # small networks on the CPU, to see that it runs

Each part runs in a process of its own, for as long as `gpu_parts.PARTS` says: one that fails, or hangs, or leaves the
GPU unusable is reported, and the others still run. What it found until then counts. Weights are random; nothing is
fetched.
"""

import argparse
import json
import subprocess
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

sys.path.insert(0, str(Path(__file__).parent))
from gpu_parts import LARGE, PARTS, SMALL, Row, Scale

from snnet.utils import Machine, versions, write_json


def main() -> None:
    """Run the parts, print a table, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--miniature", action="store_true")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (args.miniature or torch.cuda.is_available()):
        parser.error("there is no GPU of NVIDIA's here; --miniature runs small networks on the CPU")
    if args.rows is not None:
        work(args.parts[0], scale(miniature=args.miniature), args.rows)
        return
    found = {name: run_apart(name, miniature=args.miniature) for name in args.parts}
    facts = {"machine": Machine.here().to_dict(), "versions": versions(), "miniature": args.miniature}
    write_json(args.output, {**facts, "parts": found})
    print(f"Written to {args.output}")
    sys.exit(any("failed" in row for rows in found.values() for row in rows))


def scale(*, miniature: bool) -> Scale:
    """Return how large everything is."""
    if miniature:
        return Scale(torch.device("cpu"), SMALL, batch=2, images=8, rounds=2)
    return Scale(torch.device("cuda", torch.cuda.current_device()), LARGE, batch=256, images=1000, rounds=20)


def work(name: str, given: Scale, path: Path) -> None:
    """Run one part in this process, and write its rows one by one."""
    measure, _ = PARTS[name]
    if not given.on_gpu:
        torch.set_num_threads(1)  # small networks gain nothing from more
    with path.open("w", encoding="utf-8") as file:
        try:
            for row in measure(given):
                file.write(json.dumps(row) + "\n")
                file.flush()
        except Exception as error:
            traceback.print_exc()
            file.write(json.dumps({"what": name, "failed": f"{type(error).__name__}: {error}"}) + "\n")


def run_apart(name: str, *, miniature: bool) -> list[Row]:
    """Run one part in another process, for as long as it may take, and return and print its rows."""
    _, seconds = PARTS[name]
    seconds *= 5 if miniature else 1  # a CPU may be busy with other things
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        command = [sys.executable, __file__, "--parts", name, "--rows", str(path)]
        failed = None
        try:
            done = subprocess.run([*command, *["--miniature"] * miniature], timeout=seconds, check=False)
            failed = f"the process ended with {done.returncode}" if done.returncode else None
        except subprocess.TimeoutExpired:
            failed = f"not done within {seconds:g} s"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows: list[Row] = [json.loads(line) for line in lines if line.endswith("}")]
    rows += [{"what": name, "failed": failed}] if failed else []
    print(f"\n{name}")
    for row in rows:
        print("  " + line_of(row))
    return rows


def line_of(row: Row) -> str:
    """Return one row for people to read: ours, what it is compared with, and the ratio."""
    if "failed" in row:
        return f"{row['what']:<44} FAILED: {row['failed']}"
    ours, plain = row.get("ours"), row.get("plain")
    values = "" if ours is None else f"{ours:>12,.4g} {row['unit']}"
    values += "" if plain is None else f" (plain {plain:,.4g}, ratio {ours / plain:.2f})"
    return f"{row['what']:<44}{values}  {row.get('note', '')}".rstrip()


if __name__ == "__main__":
    main()
