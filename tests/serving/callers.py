"""Many callers in a process of their own, who ask until their standard input ends and then tell all that they met.

    python -m tests.serving.callers http 127.0.0.1:8000 net 8

One line of JSON for each request: its id and which image it sent, when it was sent and over, its status (a code of
HTTP or gRPC, or how the connection failed), and of an answer the id, version, stitch and logits.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import chain
from typing import Any

import numpy as np

IMAGES = np.random.default_rng(7).standard_normal((20, 1, 1, 28, 28), np.float32)


@dataclass
class Told:
    id: str
    image: int
    sent: float
    over: float = 0.0
    status: str = ""
    answer_id: str = ""
    version: str = ""
    stitch: str = ""
    logits: list[float] = field(default_factory=list)


def over_http(address: str, name: str, deadline_ms: float) -> Callable[[Told], None]:
    connection = HTTPConnection(address, timeout=60)
    place = f"/v2/models/{name}/infer"

    def ask(told: Told) -> None:
        images = IMAGES[told.image]
        tensor = {"name": "images", "datatype": "FP32", "shape": images.shape}
        tensor["parameters"] = {"binary_data_size": images.nbytes}
        given = {"id": told.id, "inputs": [tensor], "parameters": {"deadline_ms": deadline_ms}}
        head = json.dumps(given).encode()
        try:
            headers = {"Inference-Header-Content-Length": str(len(head))}
            connection.request("POST", place, head + images.tobytes(), headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        except (OSError, HTTPException) as error:
            connection.close()
            told.status = type(error).__name__
            return
        told.status = str(answer.status)
        if answer.status == 200:
            told.answer_id, told.version = found["id"], found["model_version"]
            told.stitch, told.logits = found["parameters"]["stitch"], found["outputs"][0]["data"]

    return ask


def over_grpc(address: str, name: str, deadline_ms: float) -> Callable[[Told], None]:
    import tritonclient.grpc as triton

    client = triton.InferenceServerClient(address)

    def ask(told: Told) -> None:
        tensor = triton.InferInput("images", list(IMAGES[told.image].shape), "FP32")
        tensor.set_data_from_numpy(IMAGES[told.image])
        try:
            answer = client.infer(name, [tensor], request_id=told.id, parameters={"deadline_ms": int(deadline_ms)})
        except triton.InferenceServerException as error:
            told.status = str(error.status() or error).removeprefix("StatusCode.")
            return
        got = answer.get_response()
        told.status, told.answer_id, told.version = "200", got.id, got.model_version
        told.stitch, told.logits = got.parameters["stitch"].string_param, answer.as_numpy("logits")[0].tolist()

    return ask


class Callers:
    """A process of such callers."""

    def __init__(self, way: str, address: str, name: str = "net", count: int = 8, deadline_ms: float = 60_000) -> None:
        command = [sys.executable, "-m", "tests.serving.callers", way, address.removeprefix("http://")]
        self._process = subprocess.Popen(
            [*command, name, str(count), str(deadline_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def end(self) -> list[Told]:
        found, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0
        return [Told(**json.loads(line)) for line in found.splitlines()]


def main(way: str, address: str, name: str, count: str, deadline_ms: str) -> None:
    told: list[list[Told]] = [[] for _ in range(int(count))]
    ended = threading.Event()

    def call(number: int) -> None:
        connect: dict[str, Any] = {"http": over_http, "grpc": over_grpc}
        ask, draw = connect[way](address, name, float(deadline_ms)), random.Random(number)
        while not ended.is_set():
            one = Told(f"{way}-{number}-{len(told[number])}", draw.randrange(len(IMAGES)), time.monotonic())
            told[number].append(one)
            ask(one)
            one.over = time.monotonic()
            time.sleep(draw.expovariate(200) if one.status == "200" else 0.05)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(int(count))]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    for one in chain(*told):
        print(json.dumps(asdict(one)))


if __name__ == "__main__":
    main(*sys.argv[1:])
