import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnet.errors import BudgetError, DataError, RecipeError
from snnet.serving import ExpiredError, FailedError, FrontSettings, RefusedError, build_app
from tests.serving.front.service import IMAGES, LENGTH, PATH, FakeService, Unanswering, binary, logits_of, png, request
from tests.serving.front.test_protocol import BODIES, LENGTHS

pytest.importorskip("fastapi", reason="the package fastapi is not installed")
from starlette.applications import Starlette
from starlette.testclient import TestClient


def client_of(service: FakeService, **front: Any) -> TestClient:
    return TestClient(build_app(service, FrontSettings(**front)), raise_server_exceptions=False)


@pytest.fixture
def client(service: FakeService) -> TestClient:
    return client_of(service)


def counts(client: TestClient) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("snnet_requests_total{")]
    found = {line.split('"')[1]: float(line.split()[-1]) for line in lines}
    return {outcome: count for outcome, count in found.items() if count}


def test_health_is_that_of_the_service(client: TestClient, service: FakeService) -> None:
    places = {"/v2/health/ready": {"ready": True}, "/v2/models/tiny/ready": {"name": "tiny", "ready": True}}
    for place, told in places.items():
        assert (client.get(place).status_code, client.get(place).json()) == (200, told)
    service.ready = False
    for place, told in places.items():
        assert (client.get(place).status_code, client.get(place).json()) == (503, {**told, "ready": False})
    assert client.get("/v2/health/live").json() == {"live": True}


@pytest.mark.parametrize("version", ["", "/versions/3"])
def test_the_model_is_described_and_answers(client: TestClient, version: str) -> None:
    place = f"/v2/models/tiny{version}"
    assert client.get(place).json()["inputs"][0]["shape"] == [-1, 3, 4, 5]
    assert client.get(f"{place}/ready").json()["ready"] is True
    answer = client.post(f"{place}/infer", json=request(id="7"))
    assert (answer.status_code, answer.json()["id"]) == (200, "7")
    np.testing.assert_array_equal(
        np.float32(answer.json()["outputs"][0]["data"]).reshape(2, 4), logits_of(IMAGES), strict=True
    )
    for place in ("/v2", "/v2/"):
        told = client.get(place, follow_redirects=False)
        assert told.status_code == 200 and told.json()["name"] == "snnet"


def test_bytes_are_answered_with_bytes(client: TestClient, service: FakeService) -> None:
    body, headers = binary(parameters={"binary_data_output": True, "deadline_ms": 5000, "priority": 3})
    answer = client.post(PATH, content=body, headers=headers)
    length = int(answer.headers[LENGTH])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert json.loads(answer.content[:length])["parameters"]["stitch"] == "0:0-3"
    assert answer.content[length:] == logits_of(IMAGES).tobytes()
    (asked,) = service.asked
    assert asked.priority == 3 and 4000 < asked.deadline_ms < 5000  # what passed since it arrived is off


@pytest.mark.parametrize("path", ["/v2/models/x", "/v2/models/tiny/versions/4", "/v2/models/tiny/versions/4/ready"])
def test_another_model_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and "served is" in answer.json()["error"]
    assert client.post("/v2/models/x/infer", json=request()).status_code == 404


def test_what_is_no_route_is_told_as_json(client: TestClient) -> None:
    assert client.get("/v3").status_code == 404 and "/openapi.json" in client.get("/v3").json()["error"]
    assert client.get(PATH).status_code == 405 and "Method Not Allowed" in client.get(PATH).json()["error"]


ERRORS = [
    (RefusedError("full", retry_after=2.1), 503, "full", "refused"),
    (ExpiredError("too late"), 504, "too late", "expired"),
    (FailedError("broken"), 500, "broken", "failed"),
    (BudgetError("no such stitch"), 400, "no such stitch", "invalid"),
    (DataError("odd images"), 400, "odd images", "invalid"),
    (RecipeError("of ours"), 500, "of ours", "failed"),
    (KeyError("secret"), 500, "The service failed; its log says why.", "failed"),
]


@pytest.mark.parametrize(("error", "status", "message", "outcome"), ERRORS, ids=[type(e[0]).__name__ for e in ERRORS])
def test_errors_of_the_service_are_told_and_counted(
    client: TestClient, service: FakeService, error: Exception, status: int, message: str, outcome: str
) -> None:
    service.error = error
    answers = [client.post(PATH, json=request()), client.post("/classify", content=png(9, 9))]
    for answer in answers:
        assert (answer.status_code, answer.json()) == (status, {"error": message})
        assert answer.headers.get("Retry-After") == ("3" if status == 503 else None)
    assert counts(client) == {outcome: 2}


def test_what_is_wrong_is_told_and_counted(client: TestClient, service: FakeService) -> None:
    answer = client.post(PATH, json=request(parameters={"deadlin_ms": 3}))
    assert answer.status_code == 400 and "Did you mean 'deadline_ms'" in answer.json()["error"]
    body, headers = binary()
    assert client.post(PATH, content=body[:-1], headers=headers).status_code == 400
    gzipped = client.post(PATH, content=b"...", headers={"Content-Encoding": "gzip"})
    assert gzipped.status_code == 400 and "without Content-Encoding" in gzipped.json()["error"]
    assert counts(client) == {"invalid": 3} and service.asked == []


def test_a_deadline_that_passes_while_the_request_is_read_expires(client: TestClient, service: FakeService) -> None:
    answer = client.post(PATH, json=request(parameters={"deadline_ms": 1e-6}))
    assert answer.status_code == 504 and "give a later one" in answer.json()["error"]
    assert counts(client) == {"expired": 1} and service.asked == []


SCOPE = {"type": "http", "method": "POST", "query_string": b"", "scheme": "http", "asgi": {"version": "3.0"}}


def send(
    app: Any,
    parts: Iterator[dict[str, Any]],
    path: str = PATH,
    headers: dict[str, bytes] | None = None,
    wait: float = 0,
) -> tuple[dict[str, Any], bytes]:
    """Post parts of a body straight to the application; return how its answer starts, and its body."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(wait)
        return next(parts, None) or await asyncio.Event().wait()  # type: ignore[return-value]

    async def answer(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.encode(), value) for name, value in (headers or {}).items()]
    asyncio.run(app({**SCOPE, "path": path, "raw_path": path.encode(), "headers": raw}, receive, answer))
    return sent[0], sent[1]["body"]


def body_of(data: bytes) -> Iterator[dict[str, Any]]:
    return iter([{"type": "http.request", "body": data, "more_body": False}])


class Endless:
    """Parts of a body, of 1000 bytes each; how many were taken."""

    taken = 0

    def __iter__(self) -> "Endless":
        return self

    def __next__(self) -> dict[str, Any]:
        self.taken += 1
        return {"type": "http.request", "body": bytes(1000), "more_body": True}


def test_no_more_is_read_than_a_body_may_have(service: FakeService) -> None:
    app = build_app(service, FrontSettings(body_bytes=10_000, picture_bytes=2000))
    for length, taken in ((None, 11), (b"10001", 0), (b"9" * 30, 0), (b"1", 11)):
        parts = Endless()
        start, _ = send(app, parts, headers={} if length is None else {"content-length": length})
        assert (start["status"], parts.taken) == (413, taken)
        assert (b"connection", b"close") in start["headers"]  # the rest is not waited for
    answer = TestClient(app).post("/classify", content=bytes(2001))
    assert answer.status_code == 413 and "longer than 2,000 bytes" in answer.json()["error"]
    answer = client_of(service, json_bytes=1024).post(PATH, json=request())
    assert answer.status_code == 413 and "accepted are 1,024; send images as binary data" in answer.json()["error"]


def test_no_more_arrives_at_once_than_there_is_room_for(service: FakeService) -> None:
    app = build_app(service, FrontSettings(bodies_bytes=30_000))

    async def several() -> list[int]:
        async def status(parts: int) -> int:
            sent: list[dict[str, Any]] = []
            left = [{"type": "http.request", "body": bytes(1000), "more_body": n > 0} for n in range(parts)]

            async def receive() -> dict[str, Any]:
                await asyncio.sleep(0)  # so that they arrive side by side
                return left.pop()

            async def answer(message: dict[str, Any]) -> None:
                sent.append(message)

            await app({**SCOPE, "path": PATH, "raw_path": PATH.encode(), "headers": []}, receive, answer)
            return sent[0]["status"]

        return await asyncio.gather(*(status(parts) for parts in (5, 20, 20)))

    assert sorted(asyncio.run(several())) == [400, 400, 503]
    assert send(app, body_of(bytes(29_000)))[0]["status"] == 400  # all of it is free again


def test_a_body_must_arrive_in_time(service: FakeService) -> None:
    app = build_app(service, FrontSettings(body_seconds=0.05))
    assert send(app, Endless(), wait=0.02)[0]["status"] == 408


def test_a_caller_that_goes_away_is_no_failure(service: FakeService) -> None:
    app = build_app(service)
    send(app, iter([{"type": "http.disconnect"}]))
    assert counts(TestClient(app)) == {"cancelled": 1} and service.asked == []


@pytest.mark.parametrize("path", [PATH, "/classify"])
def test_what_is_asked_is_cancelled_when_its_caller_goes_away(path: str) -> None:
    service = Unanswering()
    app = build_app(service)
    body = json.dumps(request()).encode() if path == PATH else png(9, 7)

    def parts() -> Iterator[dict[str, Any]]:
        yield from body_of(body)
        yield {"type": "http.disconnect"}

    assert send(app, parts(), path, wait=0.1)[0]["status"] == 499
    assert service.cancelled == len(service.asked) == 1
    assert counts(TestClient(app)) == {"cancelled": 1}


def test_who_cancels_the_handling_of_a_request_is_heard() -> None:
    async def main() -> None:
        handling = asyncio.ensure_future(
            build_app(service)({**SCOPE, "path": PATH, "raw_path": PATH.encode(), "headers": []}, receive, print)
        )
        while not service.asked:
            await asyncio.sleep(0)
        handling.cancel()
        await handling

    async def receive() -> dict[str, Any]:
        return next(parts, None) or await asyncio.Event().wait()  # type: ignore[return-value]

    service, parts = Unanswering(), body_of(json.dumps(request()).encode())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert service.cancelled == 1


def probabilities(client: TestClient, service: FakeService) -> np.ndarray:
    powers = np.exp(logits_of(service.asked[-1].images)[0].astype(np.float64))
    return powers / powers.sum()


@pytest.mark.parametrize("form", [False, True])
def test_a_picture_is_classified(client: TestClient, service: FakeService, form: bool) -> None:
    sent: Any = {"files": {"image": ("a.png", png(9, 7))}} if form else {"content": png(9, 7)}
    answer = client.post("/classify", params={"top": 2, "macs": "2G", "stitch": "0:0-3"}, **sent)
    assert answer.status_code == 200
    told = answer.json()
    expected = np.sort(probabilities(client, service))[::-1]
    assert [label["label"] for label in told["labels"]] == ["ant", "bee"]
    np.testing.assert_allclose([label["probability"] for label in told["labels"]], expected[:2])
    assert {name: told[name] for name in ("stitch", "batch", "queue_ms", "compute_ms", "score")} == {
        "stitch": "0:0-3",
        "batch": 8,
        "queue_ms": 1.5,
        "compute_ms": 2.5,
        "score": 0.75,
    }
    (asked,) = service.asked
    assert (asked.stitch, asked.limits, asked.images.shape) == ("0:0-3", (("macs", 2e9),), (1, 3, 4, 5))


def test_classes_without_names_are_numbers(client: TestClient, service: FakeService) -> None:
    service.classes = None
    labels = client.post("/classify", params={"top": 99}, content=png(9, 7)).json()["labels"]
    assert [label["label"] for label in labels] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("query", "message"),
    [({"top": 0}, "top: should be greater"), ({"tops": 1}, "Did you mean 'top'"), ({"deadline_ms": "x"}, "'x'")],
)
def test_a_wrong_query_is_told(client: TestClient, query: dict[str, Any], message: str) -> None:
    answer = client.post("/classify", params=query, content=png(9, 7))
    assert answer.status_code == 400 and message in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", "image/png", "not JPEG or PNG"),
        (b"x", "multipart/form-data", "Missing boundary"),
        (b"x", "multipart/form-data; boundary=a", "malformed"),
        (
            b"--a--\r\n",
            "multipart/form-data; boundary=a",
            "has fields []; give one, the picture as a file in 'image'",
        ),
        (
            b'--a\r\nContent-Disposition: form-data; name="image"\r\n\r\ntext\r\n--a--\r\n',
            "multipart/form-data; boundary=a",
            "has fields ['image']; give one, the picture as a file",
        ),
    ],
)
def test_a_wrong_form_is_told(client: TestClient, content: bytes, kind: str, message: str) -> None:
    answer = client.post("/classify", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400 and message in answer.json()["error"]


def test_a_form_has_no_parameters(client: TestClient, service: FakeService) -> None:
    """They would be of no effect, for the query has them."""
    answer = client.post("/classify", files={"image": png(9, 7)}, data={"deadline_ms": "5"})
    assert answer.status_code == 400 and "All else belongs into the query" in answer.json()["error"]
    assert service.asked == []


def test_a_token_is_asked_for(service: FakeService) -> None:
    client = client_of(service, token="sesame")
    assert client.get("/v2/health/live").status_code == client.get("/v2/health/ready").status_code == 200
    wrong = [{}, *({"Authorization": value} for value in ("Bearer sesam", "sesame", "Basic sesame", "Bearer", "é"))]
    for headers in wrong:
        for path in ("/v2", "/metrics", "/openapi.json", "/live", "/nowhere"):
            answer = client.get(path, headers={name: value.encode() for name, value in headers.items()})
            assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
    right = {"Authorization": "bearer sesame"}
    assert client.post(PATH, json=request()).status_code == client.post("/classify", content=b"x").status_code == 401
    told = client.get("/metrics", headers=right).text
    assert 'snnet_requests_total{outcome="invalid"} 2.0' in told and service.asked == []
    assert client.post(PATH, json=request(), headers=right).status_code == 200
    told = client.get("/openapi.json", headers=right).json()
    assert told["paths"]["/classify"]["post"]["security"] == [{"token": []}]
    assert told["paths"]["/v2/health/live"]["get"]["security"] == []
    assert "sesame" not in repr(FrontSettings(token="sesame"))


def test_health_is_open_below_another_path_too(service: FakeService) -> None:
    outer = Starlette()
    outer.mount("/tiny", build_app(service, FrontSettings(token="sesame")))
    client = TestClient(outer)
    assert client.get("/tiny/v2/health/live").status_code == 200
    assert client.get("/tiny/v2").status_code == client.get("/tiny/metrics").status_code == 401


def test_the_documentation_names_all_that_a_route_takes(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    infer = told["paths"]["/v2/models/{name}/versions/{version}/infer"]["post"]
    assert [parameter["name"] for parameter in infer["parameters"]] == ["name", "version"]
    schema = infer["requestBody"]["content"]["application/json"]["schema"]
    wishes = schema["properties"]["parameters"]["properties"]
    assert {"deadline_ms", "stitch", "macs", "binary_data_output"} <= wishes.keys()
    assert "422" not in infer["responses"] and {"400", "503", "504"} <= infer["responses"].keys()
    classify = told["paths"]["/classify"]["post"]
    assert {"top", "deadline_ms", "stitch", "macs", "priority"} <= {one["name"] for one in classify["parameters"]}
    assert classify["requestBody"]["content"].keys() == {"image/jpeg", "image/png", "multipart/form-data"}
    assert client.get("/docs").status_code == 404


WITHOUT_PACKAGES = """
import asyncio, sys
sys.modules.update(dict.fromkeys(["fastapi", "starlette", "prometheus_client", "grpc", "tritonclient", "uvicorn"]))
import snnet.serving as serving
from snnet.errors import ExtraError
for name in serving.__all__:
    getattr(serving, name)
settings = serving.FrontSettings()
for use in (lambda: serving.build_app(None), serving.Metrics, lambda: asyncio.run(serving.start_grpc(None, "", 0))):
    try:
        use()
    except ExtraError as error:
        assert "pip install 'snnet[serve]'" in str(error), error
    else:
        raise AssertionError(use)
"""


def test_without_its_packages_the_room_is_whole_and_the_extra_named() -> None:
    ended = subprocess.run([sys.executable, "-c", WITHOUT_PACKAGES], capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr


APP = build_app(FakeService(), FrontSettings(picture_bytes=2000))
PICTURES = st.binary(max_size=200) | st.tuples(st.binary(max_size=80), st.integers(0, 80)).map(
    lambda change: png(9, 7)[: change[1]] + change[0]
)


def check_no_body_is_a_failure(body: bytes, length: str | None, picture: bytes) -> None:
    form = {"content-type": b"multipart/form-data; boundary=a"}
    header = {} if length is None else {LENGTH.lower(): length.encode("latin-1", "replace")}
    sent = ((PATH, body, header), ("/classify", picture, {}), ("/classify", picture, form))
    for path, data, headers in sent:
        start, answer = send(APP, body_of(data), path, headers)
        assert start["status"] in (200, 400, 504), answer  # a deadline may be short, and the machine busy
        assert start["status"] == 200 or json.loads(answer).keys() == {"error"}


HEALTH = [HealthCheck.too_slow]


@settings(max_examples=200, deadline=None, suppress_health_check=HEALTH)
@given(BODIES, LENGTHS, PICTURES)
def test_no_body_is_a_failure(body: bytes, length: str | None, picture: bytes) -> None:
    check_no_body_is_a_failure(body, length, picture)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=HEALTH)
@given(BODIES, LENGTHS, PICTURES)
def test_no_body_of_many_is_a_failure(body: bytes, length: str | None, picture: bytes) -> None:
    check_no_body_is_a_failure(body, length, picture)
