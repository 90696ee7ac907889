"""Callers of a server, in a process of their own: requests at given times, whatever became of those before.

    python benchmarks/serving_client.py JOB.json

The job names the address, the model, the images of a request, the deadline, and a file of arrival times on the clock
of `time.monotonic`; what became of each request is written to a file beside it. For `benchmarks/serving.py`.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np

REFUSED, EXPIRED, BROKEN = 503, 504, 0
_PATIENCE = 30.0


def request_bytes(model: str, shape: list[int], deadline_ms: float) -> bytes:
    """Return one request of the protocol, with its images as bytes."""
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    tensor = {"name": "images", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": images.nbytes}}
    wanted = [{"name": "logits", "parameters": {"binary_data": True}}]
    given = {"deadline_ms": deadline_ms}
    head = json.dumps({"inputs": [tensor], "outputs": wanted, "parameters": given}).encode()
    lines = [
        f"POST /v2/models/{model}/infer HTTP/1.1",
        "Host: localhost",
        f"Inference-Header-Content-Length: {len(head)}",
        f"Content-Length: {len(head) + images.nbytes}",
        "Content-Type: application/octet-stream",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + head + images.tobytes()


class Callers:
    """As many connections as there are requests at once."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self.host, self.port, self.request = host, port, request
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self) -> tuple[int, dict[str, object]]:
        """Send the request; return the status, 0 for a broken connection, and what the answer says of itself."""
        while True:
            # The server closes what is idle for long, perhaps just when it is used again: then another is opened.
            used = bool(self.idle)
            try:
                reader, writer = self.idle.pop() if used else await asyncio.open_connection(self.host, self.port)
                writer.write(self.request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
                body = await reader.readexactly(int(fields["content-length"]))
                break
            except (OSError, asyncio.IncompleteReadError):
                if not used:
                    return BROKEN, {}
        if fields.get("connection") != "close":
            self.idle.append((reader, writer))
        length = fields.get("inference-header-content-length")
        told = json.loads(body[: int(length)])["parameters"] if length else {}
        return int(head[0].split()[1]), told


async def main(job: dict[str, object]) -> None:
    due = np.load(str(job["arrivals"]))
    callers = Callers(
        str(job["host"]),
        int(str(job["port"])),
        request_bytes(str(job["model"]), job["shape"], float(str(job["deadline_ms"]))),
    )  # type: ignore[arg-type]
    found = {
        "sent": np.zeros(len(due)),
        "done": np.full(len(due), np.nan),
        "status": np.full(len(due), -1),
        "score": np.full(len(due), np.nan),
        "told": np.full(len(due), np.nan),  # seconds that the server says to have had it
        "compute": np.full(len(due), np.nan),
        "batch": np.zeros(len(due), int),
        "stitch": np.full(len(due), "", "U200"),
    }

    async def one(place: int) -> None:
        found["sent"][place] = time.monotonic()
        status, told = await callers.ask()
        found["done"][place], found["status"][place] = time.monotonic(), status
        found["score"][place] = told.get("score", np.nan)
        found["compute"][place] = told.get("compute_ms", np.nan)
        found["batch"][place], found["stitch"][place] = told.get("batch", 0), told.get("stitch", "")
        found["told"][place] = (told.get("queue_ms", np.nan) + told.get("compute_ms", np.nan)) / 1e3

    tasks = set()
    for place, moment in enumerate(due):
        wait = moment - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(place))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=_PATIENCE)
    # One without an answer keeps the status -1.
    np.savez(str(job["found"]), due=due, **found)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
