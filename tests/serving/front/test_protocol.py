import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.errors import SNNetError
from snnet.serving import FailedError
from snnet.serving.front.asking import Answered, Asked
from snnet.serving.front.faults import InvalidError, TooLargeError, UnknownModelError, message_of, status_of
from snnet.serving.front.protocol import (
    InferRequest,
    check_model,
    model_metadata,
    read_request,
    server_metadata,
    write_answer,
)
from tests.serving.front.service import IMAGES, LENGTH, SIZE, FakeService, binary, request, tensor

ANSWERED = Answered(IMAGES.reshape(2, -1)[:, :4], "0:0-3", 0.75, 8, 1.5, 2.5)


def read(content: Any, header_length: str | None = None) -> InferRequest:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_request(body, header_length, FakeService(), 200_000)


@pytest.mark.parametrize("data", [IMAGES.ravel().tolist(), IMAGES.tolist()], ids=["flat", "nested"])
def test_numbers_become_images(data: Any) -> None:
    wanted = read(request(id="7", inputs=[tensor(data=data)]))
    assert wanted.asked.images.dtype == np.float32
    np.testing.assert_array_equal(wanted.asked.images, IMAGES)
    assert wanted.asked.id == "7" and not wanted.binary


@pytest.mark.parametrize("pad", range(4))
def test_bytes_become_images_wherever_they_begin(pad: int) -> None:
    body, headers = binary(id="x" * pad)
    images = read(body, headers[LENGTH]).asked.images
    np.testing.assert_array_equal(images, IMAGES)
    assert images.flags.aligned and images.flags.writeable and images.flags.c_contiguous


def test_whole_numbers_are_numbers() -> None:
    assert read(request(inputs=[tensor(data=[1] * 120)])).asked.images.max() == 1


def test_wishes_are_read() -> None:
    parameters = {"deadline_ms": 12.5, "stitch": "0:0-3", "macs": 2e9, "latency_ms": "7", "priority": 2}
    asked = read(request(parameters=parameters)).asked
    assert (asked.deadline_ms, asked.stitch, asked.priority) == (12.5, "0:0-3", 2)
    assert asked.limits == (("macs", 2e9), ("latency_ms", 7.0))
    assert read(request(parameters={"macs": "2G", "params": "1.5M"})).asked.limits == (("macs", 2e9), ("params", 1.5e6))
    without = read(request()).asked
    assert (without.deadline_ms, without.stitch, without.limits, without.priority, without.id) == (None, "", (), 0, "")


@pytest.mark.parametrize(
    ("parameters", "outputs", "expected"),
    [
        ({}, None, False),
        ({"binary_data_output": True}, None, True),
        ({"binary_data_output": True}, [], True),
        ({}, [{"name": "logits"}], False),
        ({}, [{"name": "logits", "parameters": {"binary_data": True}}], True),
        ({"binary_data_output": True}, [{"name": "logits", "parameters": {"binary_data": False}}], False),
        ({"binary_data_output": True}, [{"name": "logits"}], True),
    ],
)
def test_the_output_says_whether_it_is_bytes_before_the_request_does(
    parameters: dict[str, Any], outputs: Any, expected: bool
) -> None:
    assert read(request(parameters=parameters, outputs=outputs)).binary is expected


BAD_WISHES = [
    ({"deadline_ms": 0}, "greater than 0, got 0"),
    ({"deadline_ms": -3}, "got -3"),
    ({"deadline_ms": True}, "yes and no are no value here"),
    ({"deadline_ms": "soon"}, "'soon'"),
    ({"deadline_ms": 1e12}, "less than or equal to 86400000"),
    ({"deadline_ms": [1]}, r"\[1\]"),
    ({"deadlin_ms": 3}, "Did you mean 'deadline_ms'"),
    ({"macs": "2X"}, "'2X' is not a number; write it as 3e9 or 3G"),
    ({"macs": "inf"}, "finite"),
    ({"macs": "nan"}, "not a number"),
    ({"priority": 1.5}, "priority: should be a valid integer"),
    ({"priority": 10**30}, "priority"),
    ({"deadline_ms": 10**400}, "deadline_ms"),
    ({"macs": -(10**400)}, "macs"),
    ({"stitch": ["0:0-3"]}, "stitch: should be a valid string"),
    ({"binary_data_output": 1}, "binary_data_output is 1; give true or false"),
    ([], r"parameters \[\]; give an object"),
    ({f"deadline_{n}": 1 for n in range(3000)}, "has 3,000 parameters; known are deadline_ms, stitch"),
    ({"x" * 5000: 1}, "'xxxxxxxxxxxx...xxxxxxxxxxxxx' of 5,000 characters; accepted are 1,000"),
    ({"macs": "1" * 5000}, "of 5,000 characters"),
]


@pytest.mark.parametrize(("parameters", "message"), BAD_WISHES)
def test_wrong_wishes_are_told(parameters: Any, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        read(request(parameters=parameters))


def test_all_wrong_wishes_are_told_at_once() -> None:
    with pytest.raises(InvalidError, match="has 2 faults") as caught:
        read(request(parameters={"deadline_ms": 0, "priority": "high"}))
    assert "deadline_ms" in str(caught.value) and "priority" in str(caught.value)


RAGGED = IMAGES.tolist()
RAGGED[1][2][3] = RAGGED[1][2][3][:-1]
BAD_REQUESTS = [
    ([], "The request is \\[\\]; give an object"),
    ({}, "The inputs are \\[\\]; give one, named 'images'"),
    (request(id=7), "id of the request is 7; give text"),
    (request(id="x" * 1001), "id of the request has 1,001 characters; accepted are 1,000"),
    (request(**{"x" * 9999: 1}), "unknown 'xxxxxxxxxxxx...xxxxxxxxxxxxx'. Known"),
    (request(inputs={}), "inputs of the request are {}; give a list"),
    (request(inputs=[3]), "An input is 3; give an object"),
    (request(inputs=[tensor(), tensor()]), "The inputs are \\['images', 'images'\\]"),
    (request(inputs=[tensor(name="x")]), "The inputs are \\['x'\\]"),
    (request(inputs=[tensor(name=None)]), "The inputs are \\[None\\]"),
    (request(inputs=[tensor(datatype="FP16")]), "datatype 'FP16'; give 'FP32'"),
    (request(inputs=[tensor(datatype="UINT8")]), "datatype 'UINT8'; give 'FP32'"),
    (request(inputs=[tensor(shape=None)]), "shape None; accepted: \\[N, 3, 4, 5\\] with N from 1 to 4"),
    (request(inputs=[tensor(shape=[2, 3, 5, 4])]), "shape \\[2, 3, 5, 4\\]; accepted"),
    (request(inputs=[tensor(shape=[2, 60])]), "shape \\[2, 60\\]"),
    (request(inputs=[tensor(shape=[2.0, 3, 4, 5])]), "shape \\[2.0, 3, 4, 5\\]"),
    (request(inputs=[tensor(shape=[True, 3, 4, 5])]), "shape \\[True, 3, 4, 5\\]"),
    (request(inputs=[tensor(shape="2345")]), "shape '2345'"),
    (request(inputs=[tensor(shape=[0, 3, 4, 5], data=[])]), "0 images; accepted"),
    (request(inputs=[tensor(shape=[-1, 3, 4, 5])]), "-1 images; accepted"),
    (request(inputs=[tensor(shape=[5, 3, 4, 5])]), "5 images; accepted.*N from 1 to 4"),
    (request(inputs=[tensor(shape=[2**62, 3, 4, 5])]), "images; accepted"),
    (request(inputs=[tensor(data=None)]), "either data or the parameter binary_data_size"),
    (request(inputs=[tensor(data=[1.0])]), "a list of 1 in its data where its shape asks for a list of 120"),
    (request(inputs=[tensor(data=7)]), "has 7 in its data"),
    (request(inputs=[tensor(data=RAGGED)]), "a list of 4 in its data where its shape asks for a list of 5"),
    (request(inputs=[tensor(data=[*[0.5] * 119, True])]), "has bool in its data where its shape asks for numbers"),
    (request(inputs=[tensor(data=[*[0.5] * 119, "1"])]), "has str in its data"),
    (request(inputs=[tensor(data=[*[0.5] * 119, None])]), "has NoneType in its data"),
    (request(inputs=[tensor(data=[*[0.5] * 119, [1]])]), "has list in its data"),
    (request(inputs=[tensor(data=[*[0.5] * 119, 1e300])]), "not finite in FP32"),
    (request(inputs=[tensor(data=[*[0.5] * 119, 10**400])]), "beyond FP32"),
    (request(inputs=[tensor(content=1)]), "An input has an unknown 'content'"),
    (request(inputs=[tensor(parameters={"shared_memory_region": "x"})]), "unknown 'shared_memory_region'"),
    (request(parametres={}), "unknown 'parametres'. Did you mean 'parameters'"),
    (request(outputs=[{"name": "scores"}]), "outputs asked for are \\['scores'\\]; there is one, 'logits'"),
    (request(outputs=[{"name": "logits"}] * 2), "there is one, 'logits'"),
    (request(outputs=["logits"]), "An output is 'logits'; give an object"),
    (request(outputs=[{"name": "logits", "parameters": {"classification": 3}}]), "unknown 'classification'"),
    (request(outputs=[{"name": "logits", "parameters": {"binary_data": "yes"}}]), "binary_data is 'yes'"),
    (b"", "not JSON"),
    (b"\xff\x00", "not JSON"),
    (b'{"inputs": [NaN]}', "not JSON.*NaN and Infinity are no JSON"),
    (b"[" * 100_000 + b"]" * 100_000, "not JSON.*recursion"),
    (b'{"id": ' + b"1" * 5000 + b"}", "not JSON"),
    (b'{"id": "\\ud800"}', "not JSON"),
]


@pytest.mark.parametrize(("content", "message"), BAD_REQUESTS)
def test_wrong_requests_are_told(content: Any, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        read(content)


def test_no_more_json_is_taken_than_may_be_sent() -> None:
    text = json.dumps(request(id="x" * 500)).encode()
    with pytest.raises(TooLargeError, match="accepted are 400; send images as binary data"):
        read_request(text, None, FakeService(), 400)
    body, headers = binary()
    assert read_request(body, headers[LENGTH], FakeService(), 400).asked.images.size == 120 and len(body) > 400


@pytest.mark.parametrize("length", ["", "0", "-1", "x", "1.5", "99999", "9" * 5000, "²"])
def test_a_wrong_length_of_the_header_is_told(length: str) -> None:
    with pytest.raises(InvalidError, match=f"{LENGTH} says"):
        read(binary()[0], length)


@pytest.mark.parametrize(
    ("size", "cut", "message"),
    [
        (480, 1, "binary_data_size 480, and 479 bytes follow"),
        (484, 0, "binary_data_size 484, and 480 bytes follow"),
        (-480, 0, "binary_data_size -480"),
        (True, 479, "binary_data_size True"),
        ("480", 0, "binary_data_size '480'"),
        (479, 1, "has 479 bytes; shape \\[2, 3, 4, 5\\] of FP32 needs 480"),
    ],
)
def test_a_wrong_length_of_bytes_is_told(size: Any, cut: int, message: str) -> None:
    text = json.dumps(request(inputs=[tensor(data=None, parameters={"binary_data_size": size})])).encode()
    data = IMAGES.tobytes()
    with pytest.raises(InvalidError, match=message):
        read(text + data[: len(data) - cut], str(len(text)))


def test_bytes_that_nothing_asks_for_are_told() -> None:
    text = json.dumps(request()).encode()
    with pytest.raises(InvalidError, match="1 bytes follow the JSON"):
        read(text + b"x", str(len(text)))
    with pytest.raises(InvalidError, match=f"the header {LENGTH} says where JSON ends"):
        read(binary()[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bytes_that_are_no_finite_numbers_are_told(value: float) -> None:
    images = IMAGES.copy()
    images[1, 2, 3, 4] = value
    body, headers = binary(images)
    with pytest.raises(InvalidError, match="not finite"):
        read(body, headers[LENGTH])


def test_an_answer_is_json_or_json_and_bytes() -> None:
    asked = Asked(IMAGES, "7")
    body, headers = write_answer(FakeService(), asked, ANSWERED, False)
    told = json.loads(body)
    assert headers == {"Content-Type": "application/json"}
    assert (told["model_name"], told["model_version"], told["id"]) == ("tiny", "3", "7")
    assert told["parameters"] == {"stitch": "0:0-3", "batch": 8, "queue_ms": 1.5, "compute_ms": 2.5, "score": 0.75}
    (output,) = told["outputs"]
    assert np.array_equal(np.float32(output.pop("data")).reshape(2, 4), ANSWERED.logits)
    assert output == {"name": "logits", "datatype": "FP32", "shape": [2, 4]}
    body, headers = write_answer(FakeService(), asked, ANSWERED, True)
    length = int(headers[LENGTH])
    with_bytes = json.loads(body[:length])
    assert with_bytes["outputs"] == [{**output, "parameters": {"binary_data_size": 32}}]
    assert np.array_equal(np.frombuffer(body[length:], "<f4").reshape(2, 4), ANSWERED.logits)
    assert {**with_bytes, "outputs": 0} == {**told, "outputs": 0}


def test_an_answer_leaves_out_what_is_not_known() -> None:
    answered = Answered(ANSWERED.logits, "0:0-3", np.nan, 8, 1.5, 2.5)
    told = json.loads(write_answer(FakeService(), Asked(IMAGES), answered, False)[0])
    assert "id" not in told and "score" not in told["parameters"]


@pytest.mark.parametrize("binary_answer", [False, True])
def test_logits_that_are_not_finite_are_a_failure(binary_answer: bool) -> None:
    answered = Answered(np.float32([[1, np.nan]]), "0:0-3", 0.5, 8, 1.5, 2.5)
    with pytest.raises(FailedError, match="0:0-3 gave logits that are not finite"):
        write_answer(FakeService(), Asked(IMAGES), answered, binary_answer)


def test_metadata_say_what_the_model_takes() -> None:
    told = model_metadata(FakeService())
    assert told["inputs"] == [{"name": "images", "datatype": "FP32", "shape": [-1, *SIZE]}]
    assert told["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 4]}]
    assert (told["name"], told["versions"]) == ("tiny", ["3"])
    assert server_metadata()["extensions"] == ["binary_tensor_data"]


def test_another_model_or_version_is_refused() -> None:
    check_model(FakeService(), "tiny", "")
    check_model(FakeService(), "tiny", "3")
    with pytest.raises(UnknownModelError, match="no model 'large' here; served is 'tiny'"):
        check_model(FakeService(), "large", "")
    with pytest.raises(UnknownModelError, match="no version '4' of 'tiny' here; served is '3'"):
        check_model(FakeService(), "tiny", "4")


def test_what_is_not_meant_for_callers_is_not_told() -> None:
    assert (status_of(KeyError("secret")).http, status_of(KeyError()).outcome) == (500, "failed")
    assert "secret" not in message_of(KeyError("secret"))
    assert len(message_of(FailedError("x" * 9999))) < 2100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def changed_requests(draw: st.DrawFn) -> bytes:
    """Right requests with something in them exchanged, left out or added."""
    parameters = {"deadline_ms": 5000, "stitch": "", "macs": 1e9, "priority": 1, "binary_data_output": False}
    outputs = [{"name": "logits", "parameters": {"binary_data": True}}]
    content: Any = request(id="a", parameters=parameters, outputs=outputs)
    for _ in range(draw(st.integers(1, 3))):
        place = content
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or draw(st.booleans()):
                place[key] = draw(JSON)
                break
            place = place[key]
    return json.dumps(content).encode()


BODIES = st.binary(max_size=200) | changed_requests() | JSON.map(lambda value: json.dumps(value).encode())
LENGTHS = st.none() | st.integers(-2, 300).map(str) | st.text(max_size=4)


@settings(max_examples=200, deadline=None)
@given(BODIES, LENGTHS)
def test_no_body_is_misunderstood_in_any_other_way(body: bytes, length: str | None) -> None:
    try:
        wanted = read_request(body, length, FakeService(), 2**20)
    except SNNetError as error:
        assert status_of(error).http == 400
    else:
        assert wanted.asked.images.shape[1:] == SIZE and np.isfinite(wanted.asked.images).all()
