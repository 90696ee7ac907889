import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from snnet.errors import BudgetError, DataError
from snnet.serving import ExpiredError, FailedError, FrontSettings, Metrics, RefusedError, start_grpc
from tests.serving.front.service import IMAGES, FakeService, Unanswering, eventually, logits_of

grpc = pytest.importorskip("grpc", reason="the package grpcio is not installed")
client = pytest.importorskip("tritonclient.grpc", reason="the package tritonclient is not installed")
from tritonclient.grpc import service_pb2 as messages  # noqa: E402
from tritonclient.grpc import service_pb2_grpc  # noqa: E402


@contextmanager
def served(service: FakeService, metrics: Metrics | None = None, loop: Any = None, **front: Any) -> Iterator[str]:
    """A server on a loop in a thread of its own; yields its address."""
    loop = loop or asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def wait(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    server, port = wait(start_grpc(service, "127.0.0.1", 0, FrontSettings(**front), metrics))
    yield f"127.0.0.1:{port}"
    wait(server.stop(0))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def calls(address: str) -> Any:
    return service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))


@pytest.fixture(scope="module")
def address(lasting: FakeService) -> Iterator[str]:
    with served(lasting, body_bytes=100_000) as found:
        yield found


def request(images: np.ndarray | None = IMAGES, **changed: Any) -> Any:
    given = {"name": "images", "datatype": "FP32", "shape": IMAGES.shape}
    fields = {name: changed.pop(name) for name in list(changed) if name in ("id", "model_name", "model_version")}
    found = messages.ModelInferRequest(**{"model_name": "tiny", **fields})
    found.inputs.add(**{**given, **changed})
    if images is not None:
        found.raw_input_contents.append(images.tobytes())
    return found


def fails(address: str, sent: Any, **call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        calls(address).ModelInfer(sent, timeout=20, **call)
    return caught.value.code().name, caught.value.details()


def test_triton_s_client_is_answered(address: str, service: FakeService) -> None:
    triton = client.InferenceServerClient(address)
    assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready("tiny", "3")
    assert triton.get_server_metadata().extensions == ["binary_tensor_data"]
    told = triton.get_model_metadata("tiny")
    assert (told.inputs[0].name, list(told.inputs[0].shape)) == ("images", [-1, 3, 4, 5])
    assert (told.outputs[0].datatype, list(told.outputs[0].shape)) == ("FP32", [-1, 4])
    images = client.InferInput("images", list(IMAGES.shape), "FP32")
    images.set_data_from_numpy(IMAGES)
    output = client.InferRequestedOutput("logits")
    wishes = {"deadline_ms": "5000.5", "stitch": "0:0-3", "macs": 2_000_000_000}
    answer = triton.infer("tiny", [images], "3", [output], "7", priority=2, parameters=wishes)
    np.testing.assert_array_equal(answer.as_numpy("logits"), logits_of(IMAGES), strict=True)
    (asked,) = service.asked
    np.testing.assert_array_equal(asked.images, IMAGES)
    assert (asked.id, asked.stitch, asked.priority, asked.limits) == ("7", "0:0-3", 2, (("macs", 2e9),))
    assert 4000 < asked.deadline_ms < 5000.5
    parameters = answer.get_response().parameters
    assert answer.get_response().id == "7" and parameters["stitch"].string_param == "0:0-3"
    assert (parameters["queue_ms"].double_param, parameters["score"].double_param) == (1.5, 0.75)
    assert parameters["batch"].int64_param == 8


def test_numbers_are_taken_as_bytes_are(address: str, service: FakeService) -> None:
    contents = messages.InferTensorContents(fp32_contents=IMAGES.ravel())
    answer = calls(address).ModelInfer(request(None, contents=contents))
    assert answer.raw_output_contents[0] == logits_of(IMAGES).tobytes() and answer.id == ""


def test_health_is_that_of_the_service(address: str, service: FakeService) -> None:
    triton = client.InferenceServerClient(address)
    service.ready = False
    assert triton.is_server_live() and not triton.is_server_ready() and not triton.is_model_ready("tiny")


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({"datatype": "FP16"}, "INVALID_ARGUMENT", "datatype 'FP16'; give 'FP32'"),
        ({"name": "x"}, "INVALID_ARGUMENT", "The inputs are ['x']"),
        ({"shape": [2, 3, 5, 4]}, "INVALID_ARGUMENT", "accepted: [N, 3, 4, 5] with N from 1 to 4"),
        ({"shape": [2**62, 3, 4, 5]}, "INVALID_ARGUMENT", "accepted: [N, 3, 4, 5] with N from 1 to 4"),
        ({"images": IMAGES[:1]}, "INVALID_ARGUMENT", "has 240 bytes"),
        ({"images": None}, "INVALID_ARGUMENT", "0 raw_input_contents and 0 fp32_contents"),
        ({"images": IMAGES * np.nan}, "INVALID_ARGUMENT", "not finite"),
        (
            {"images": None, "contents": messages.InferTensorContents(fp32_contents=[1.0])},
            "INVALID_ARGUMENT",
            "has 1 number; shape [2, 3, 4, 5] needs 120",
        ),
        (
            {"contents": messages.InferTensorContents(fp32_contents=[1.0])},
            "INVALID_ARGUMENT",
            "1 raw_input_contents and 1 fp32_contents",
        ),
        ({"model_name": "large"}, "NOT_FOUND", "no model 'large'"),
        ({"model_version": "4"}, "NOT_FOUND", "no version '4'"),
    ],
)
def test_wrong_requests_are_told(
    address: str, service: FakeService, changed: dict[str, Any], code: str, message: str
) -> None:
    found, details = fails(address, request(**changed))
    assert found == code and message in details
    assert service.asked == []


def test_wrong_parameters_and_outputs_are_told(address: str, service: FakeService) -> None:
    sent = request()
    sent.parameters["deadlin_ms"].double_param = 3
    assert "Did you mean 'deadline_ms'" in fails(address, sent)[1]
    sent = request()
    sent.parameters["priority"].bool_param = True
    assert "yes and no are no value here" in fails(address, sent)[1]
    sent = request()
    sent.parameters["stitch"].SetInParent()
    assert "'stitch' of the request has no value" in fails(address, sent)[1]
    sent = request()
    for number in range(3000):
        sent.parameters[f"deadline_{number}"].int64_param = number
    assert fails(address, sent)[1].startswith("The request has 3,000 parameters")
    sent = request(id="x" * 2000)
    assert "id of the request has 2,000 characters" in fails(address, sent)[1]
    sent = request()
    sent.outputs.add(name="scores")
    assert "there is one, 'logits'" in fails(address, sent)[1]
    assert "The inputs are []" in fails(address, messages.ModelInferRequest(model_name="tiny"))[1]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RefusedError("full", 2.5), "RESOURCE_EXHAUSTED", "full"),
        (ExpiredError("too late"), "DEADLINE_EXCEEDED", "too late"),
        (FailedError("broken"), "INTERNAL", "broken"),
        (BudgetError("no such stitch"), "INVALID_ARGUMENT", "no such stitch"),
        (DataError("odd"), "INVALID_ARGUMENT", "odd"),
        (KeyError("secret"), "INTERNAL", "The service failed; its log says why."),
    ],
)
def test_errors_of_the_service_are_told(
    address: str, service: FakeService, error: Exception, code: str, message: str
) -> None:
    service.error = error
    assert fails(address, request()) == (code, message)
    if code == "RESOURCE_EXHAUSTED":
        with pytest.raises(grpc.RpcError) as caught:
            calls(address).ModelInfer(request())
        assert dict(caught.value.trailing_metadata())["retry-after"] == "2.5"


def test_a_message_may_not_be_too_long(address: str, service: FakeService) -> None:
    assert fails(address, request(np.zeros(30_000, np.float32)))[0] == "RESOURCE_EXHAUSTED"
    assert service.asked == []


def test_the_loop_of_a_web_server_runs_it_too(service: FakeService) -> None:
    uvloop = pytest.importorskip("uvloop", reason="the package uvloop is not installed")
    with served(service, loop=uvloop.new_event_loop()) as address:
        assert calls(address).ModelInfer(request()).raw_output_contents[0] == logits_of(IMAGES).tobytes()


def test_what_the_protocol_has_and_we_do_not_is_told(address: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        calls(address).ModelConfig(messages.ModelConfigRequest(name="tiny"))
    assert caught.value.code().name == "UNIMPLEMENTED"


def test_a_token_is_asked_for_and_calls_are_counted() -> None:
    service, metrics = FakeService(), Metrics()
    with served(service, metrics, token="sesame") as address:
        assert calls(address).ServerLive(messages.ServerLiveRequest()).live
        for metadata in ((), (("authorization", "Bearer sesam"),)):
            assert fails(address, request(), metadata=metadata)[0] == "UNAUTHENTICATED"
            with pytest.raises(grpc.RpcError, match="asks for a token"):
                calls(address).ModelMetadata(messages.ModelMetadataRequest(name="tiny"), metadata=metadata)
        calls(address).ModelInfer(request(), metadata=(("authorization", "Bearer sesame"),))
    counted = {
        outcome: metrics.registry.get_sample_value("snnet_requests_total", {"outcome": outcome})
        for outcome in ("invalid", "in_time")
    }
    assert counted == {"invalid": 2, "in_time": 1}


def test_a_call_that_is_cancelled_is_no_longer_answered() -> None:
    service, metrics = Unanswering(), Metrics()
    with served(service, metrics) as address:
        stub = calls(address)
        under_way = [stub.ModelInfer.future(request()) for _ in range(3)]
        assert eventually(lambda: len(service.asked) == 3)
        for one in under_way:
            one.cancel()
        assert eventually(lambda: service.cancelled == 3)
        counted = lambda: metrics.registry.get_sample_value("snnet_requests_total", {"outcome": "cancelled"})  # noqa: E731
        assert eventually(lambda: counted() == 3)


def test_a_port_that_is_taken_is_told(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(FailedError, match="give another port"):
        asyncio.run(start_grpc(FakeService(), "127.0.0.1", port))
