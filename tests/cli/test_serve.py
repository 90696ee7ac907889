import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
from snnet.cli import main
from snnet.network import SNNet


def asked(address: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection(address.removeprefix("http://"), timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text.startswith((b"{", b"[")) else text.decode()


def infer(address: str, **parameters: Any) -> tuple[int, Any]:
    tensor = {"name": "images", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": [0.5] * 784}
    body = json.dumps({"inputs": [tensor], "parameters": parameters}).encode()
    return asked(address, "POST", "/v2/models/net/infer", body)


class Server:
    """`snnet serve` in a process of its own."""

    def __init__(self, *options: str, **process: Any) -> None:
        # What it says must come line by line by itself.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        command = [sys.executable, "-m", "snnet", "serve", *options, "--port", "0"]
        process = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment, **process}
        self.process = subprocess.Popen(command, text=True, **process)
        self.addresses: dict[str, str] = {}
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.fullmatch(r"(http|admin|grpc): (\S+)\n", line):
                self.addresses[found[1]] = found[2]
            if "Ctrl-C" in line:
                break

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def network(small_net: SNNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served") / "net"
    small_net.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def server(network: Path) -> Iterator[Server]:
    running = Server(
        *(str(network), "--slo-ms", "5000", "--max-batch", "4", "--grpc-port", "0", "--admin-port", "0"),
        *("--header-seconds", "2"),
    )
    yield running
    running.end(signal.SIGKILL)


def test_it_answers_over_http_and_grpc(server: Server, small_net: SNNet) -> None:
    http = server.addresses["http"]
    assert asked(http, "GET", "/v2/health/ready")[0] == 200
    status, answer = infer(http)
    assert status == 200 and answer["outputs"][0]["shape"] == [1, 10]
    assert answer["parameters"]["stitch"] == small_net.space[-1].id
    status, answer = infer(http, deadline_ms=0.5)
    assert status in (503, 504), answer
    grpc = pytest.importorskip("tritonclient.grpc")
    client = grpc.InferenceServerClient(server.addresses["grpc"])
    images = grpc.InferInput("images", [2, 1, 28, 28], "FP32")
    images.set_data_from_numpy(np.zeros((2, 1, 28, 28), np.float32))
    assert client.infer("net", [images]).as_numpy("logits").shape == (2, 10)
    client.close()
    text = asked(http, "GET", "/metrics")[1]
    assert 'snnet_requests_total{outcome="in_time"} 2.0' in text and "snnet_slo_attainment_ratio" in text


def told_slo(address: str, path: str = "/status") -> Any:
    return asked(address, "GET", path)[1]["slo_ms"]


def test_an_operator_sees_and_renews_it(server: Server, network: Path, tmp_path: Path) -> None:
    admin = server.addresses["admin"]
    assert admin.startswith("http://127.0.0.1:")
    status, told = asked(admin, "GET", "/status")
    assert status == 200 and told["ready"] and told["model"] == "net" and told["latency_factor"] > 0
    before = int(told["version"])
    assert asked(admin, "POST", "/version", b"{}")[0] == 415
    json_ = {"content_type": "application/json"}
    assert asked(admin, "POST", "/version", b"{}", **json_) == (200, {"version": str(before + 1)})
    status, told = asked(admin, "POST", "/version", json.dumps({"source": str(tmp_path)}).encode(), **json_)
    assert status == 400 and "error" in told
    assert asked(admin, "POST", "/version", b'{"source": 3}', **json_)[0] == 400
    assert asked(admin, "POST", "/version", b"no json", **json_)[0] == 400
    assert told_slo(admin) == 5000
    huge = b'{"slo_ms": 1' + b"0" * 400 + b"}"
    assert asked(admin, "POST", "/slo", b'{"slo_ms": 80.5}', **json_) == (200, {"slo_ms": 80.5})
    assert told_slo(admin) == told_slo(server.addresses["http"], "/live") == 80.5
    for wrong in (
        b'{"slo_ms": 2}',
        b'{"slo_ms": 1e9}',
        b'{"slo_ms": true}',
        b'{"slo": 5}',
        b"NaN",
        b'{"slo_ms": NaN}',
        huge,
    ):
        assert asked(admin, "POST", "/slo", wrong, **json_)[0] == 400
    assert asked(admin, "POST", "/slo", b'{"slo_ms": 9}')[0] == 415
    assert asked(server.addresses["http"], "POST", "/slo", b'{"slo_ms": 9}', **json_)[0] == 404
    assert asked(admin, "POST", "/slo", b'{"slo_ms": 5000}', **json_) == (200, {"slo_ms": 5000})
    server.process.send_signal(signal.SIGHUP)
    for _ in range(200):
        if asked(admin, "GET", "/status")[1]["version"] == str(before + 2):
            break
        time.sleep(0.05)
    assert asked(admin, "GET", "/status")[1]["version"] == str(before + 2)
    assert infer(server.addresses["http"])[0] == 200


def test_who_sends_no_headers_is_let_go_and_costs_others_nothing(server: Server) -> None:
    address = server.addresses["http"]
    host, port = address.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(50)]
    for one in silent[::2]:
        one.sendall(b"GET /v2 HTTP/1.1\r\nHost: here\r\nX-Slow: ")
    assert asked(address, "GET", "/v2")[0] == 200
    for one in silent:
        one.settimeout(20)
        with suppress(ConnectionResetError):
            assert one.recv(1) == b""
        one.close()
    assert asked(address, "GET", "/v2")[0] == 200


def test_told_to_end_it_answers_what_was_asked(network: Path) -> None:
    running = Server(str(network), "--slo-ms", "20000", "--max-batch", "4")
    answers: list[int] = []
    errors: list[OSError] = []

    def ask() -> None:
        try:
            answers.append(infer(running.addresses["http"])[0])
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    code, said = running.end()
    for thread in threads:
        thread.join(30)
    assert code == 0 and "All that waited was answered." in said
    # Whoever came too late to be let in was not let in, and is told so; nobody waits for ever.
    assert len(answers) + len(errors) == 20 and set(answers) <= {200, 503} and 200 in answers
    assert all(isinstance(error, ConnectionError) for error in errors)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--policy", "elastik"), "elastic"),
        (("--slo-ms", "0"), "slo_ms: should be greater than 0"),
        (("--processes",), "Processes run a bundle"),
        (("--processes", "--workers", "2", "--cores", "0", "1"), "Processes run a bundle"),
        (("--port", "70000"), "port: should be less than 65536"),
    ],
)
def test_what_cannot_be_is_refused(
    network: Path, options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(network), *options]) in (2, 3)
    assert words in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code = main(["serve", str(network), "--max-batch", "4", "--port", str(taken.getsockname()[1])])
    assert code != 0 and "Cannot listen at 127.0.0.1" in capsys.readouterr().err
