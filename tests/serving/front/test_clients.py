"""The web application behind a real server, and what clients that others wrote make of it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from snnet.errors import BudgetError
from snnet.serving import FrontSettings, build_app
from tests.serving.front.service import IMAGES, PATH, FakeService, Unanswering, binary, eventually, logits_of, png

uvicorn = pytest.importorskip("uvicorn", reason="the package uvicorn is not installed")
httpx = pytest.importorskip("httpx", reason="the package httpx is not installed")
triton = pytest.importorskip("tritonclient.http", reason="the package tritonclient[http] is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="the package schemathesis is not installed")


@contextmanager
def served(service: FakeService, **front: Any) -> Iterator[str]:
    """A server in a thread of its own; yields its address."""
    app = build_app(service, FrontSettings(**front))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def address(lasting: FakeService) -> Iterator[str]:
    with served(lasting, body_bytes=100_000) as found:
        yield found


def test_triton_s_client_reads_health_and_metadata(address: str, service: FakeService) -> None:
    client = triton.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("tiny", "3")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.get_model_metadata("tiny", "3")["outputs"] == [
        {"name": "logits", "datatype": "FP32", "shape": [-1, 4]}
    ]
    service.ready = False
    assert client.is_server_live() and not client.is_server_ready() and not client.is_model_ready("tiny")


@pytest.mark.parametrize("sent_binary", [False, True])
@pytest.mark.parametrize("told_binary", [None, False, True])
def test_triton_s_client_is_answered(
    address: str, service: FakeService, sent_binary: bool, told_binary: bool | None
) -> None:
    client = triton.InferenceServerClient(address)
    images = triton.InferInput("images", list(IMAGES.shape), "FP32")
    images.set_data_from_numpy(IMAGES, binary_data=sent_binary)
    outputs = None if told_binary is None else [triton.InferRequestedOutput("logits", binary_data=told_binary)]
    wishes = {"deadline_ms": 5000, "stitch": "0:0-3"}
    answer = client.infer("tiny", [images], "3", outputs, "7", priority=2, parameters=wishes)
    np.testing.assert_array_equal(answer.as_numpy("logits"), logits_of(IMAGES), strict=True)
    told = answer.get_response()
    assert (told["id"], told["model_version"], told["parameters"]["stitch"]) == ("7", "3", "0:0-3")
    (asked,) = service.asked
    np.testing.assert_array_equal(asked.images, IMAGES)
    assert (asked.id, asked.stitch, asked.priority) == ("7", "0:0-3", 2)


def test_triton_s_client_reads_errors(address: str, service: FakeService) -> None:
    client = triton.InferenceServerClient(address)
    images = triton.InferInput("images", list(IMAGES.shape), "FP32")
    images.set_data_from_numpy(IMAGES)
    service.error = BudgetError("There is no stitch '9:9'.")
    with pytest.raises(triton.InferenceServerException, match="There is no stitch '9:9'") as caught:
        client.infer("tiny", [images])
    assert caught.value.status() == "400"
    with pytest.raises(triton.InferenceServerException, match="no model 'large' here"):
        client.infer("large", [images])


def test_a_body_that_is_too_long_is_refused_and_the_server_goes_on(address: str, service: FakeService) -> None:
    with httpx.Client(base_url=f"http://{address}") as client:
        for sent in (bytes(100_001), (bytes(1000) for _ in range(2000))):
            with suppress(httpx.WriteError):  # the server may close while more is being written
                assert client.post(PATH, content=sent).status_code == 413
        body, headers = binary()
        assert client.post(PATH, content=body, headers=headers).status_code == 200
        assert client.post("/classify", files={"image": png(9, 7)}).status_code == 200


@pytest.mark.parametrize("path", [PATH, "/classify"])
def test_who_hangs_up_is_no_longer_answered(path: str) -> None:
    service = Unanswering()
    body, headers = binary() if path == PATH else (png(9, 7), {})
    with served(service) as address:
        callers = [HTTPConnection(address) for _ in range(5)]
        for one in callers:
            one.request("POST", path, body, headers)
        assert eventually(lambda: len(service.asked) == 5)
        for one in callers[:3]:
            one.close()
        assert eventually(lambda: service.cancelled == 3)
        assert 'snnet_requests_total{outcome="cancelled"} 3.0' in httpx.get(f"http://{address}/metrics").text
        for one in callers[3:]:
            one.close()
        assert eventually(lambda: service.cancelled == 5)


def check(case: Any) -> None:
    """Refuse an answer whose status, content or form is not as the documentation says, and any failure of ours."""
    # One check would refuse 503 and 504; and no schema says that numbers are as many as a shape needs.
    without = [schemathesis.checks.not_a_server_error, schemathesis.checks.positive_data_acceptance]
    answer = case.call_and_validate(excluded_checks=without)
    assert answer.status_code in (503, 504) or answer.status_code < 500


SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", build_app(FakeService()))
CHECKS = list(HealthCheck)


@SCHEMA.parametrize()
@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=CHECKS)
def test_the_documentation_is_true(case: Any) -> None:
    check(case)


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(max_examples=300, deadline=None, suppress_health_check=CHECKS)
def test_the_documentation_is_true_of_many_requests(case: Any) -> None:
    check(case)
