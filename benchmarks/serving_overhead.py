"""Question: what does a request alone at an idle server cost more than the bare call of the engine?

    python benchmarks/serving_overhead.py snnet-demo

`snnet serve` runs in a process of its own, on one thread; one caller asks over one connection, one image at a time,
with tensors as bytes over HTTP and over gRPC. The bare call is the same stitch in this process, in turns.
Printed: medians in milliseconds.
"""

import argparse
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import tritonclient.grpc as grpc
from serving_client import request_bytes

import snnet

_SLO_MS = 5000.0


def over_http(address: str, name: str, images: np.ndarray) -> Callable[[], object]:
    """Return a call over HTTP, with as little of its own as there can be."""
    request = request_bytes(name, [*images.shape], _SLO_MS)
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call() -> bytes:
        connection.sendall(request)
        found = b""
        while b"\r\n\r\n" not in found:
            found += connection.recv(65536)
        first, _, rest = found.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200"), found
        length = int(re.search(rb"content-length: (\d+)", first.lower())[1])  # type: ignore[index]
        while len(rest) < length:
            rest += connection.recv(65536)
        return rest

    return call


def over_grpc(address: str, name: str, images: np.ndarray) -> Callable[[], object]:
    """Return a call over gRPC."""
    client = grpc.InferenceServerClient(address)
    tensor = grpc.InferInput("images", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    return lambda: client.infer(name, [tensor])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("--repeats", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)
    command = [sys.executable, "-m", "snnet", "serve", str(args.network), "--slo-ms", str(_SLO_MS)]
    server = subprocess.Popen([*command, "--port", "0", "--grpc-port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        told = dict(line.split(": ", 1) for line in iter(lambda: server.stdout.readline().strip(), "Ctrl-C ends it."))
        net = snnet.load(args.network).eval()
        images = np.random.default_rng(0).standard_normal((1, *net.input.size), np.float32)
        runtime = snnet.Runtime(net, cost="macs", any_machine=True)
        runtime.wait_ready(progress=False)
        name = args.network.resolve().name
        calls = {
            "bare call": lambda: runtime(images),
            "HTTP": over_http(told["http"], name, images),
            "gRPC": over_grpc(told["grpc"], name, images),
        }
        seconds: dict[str, list[float]] = {way: [] for way in calls}
        for turn in range(args.repeats + 20):
            for way, call in calls.items():
                begin = time.perf_counter()
                call()
                if turn >= 20:
                    seconds[way].append(1e3 * (time.perf_counter() - begin))
        bare = statistics.median(seconds["bare call"])
        for way, found in seconds.items():
            middle = statistics.median(found)
            print(f"{way:10} {middle:7.2f} ms, {middle - bare:+.2f} ms, {middle / bare:.2f} times")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
