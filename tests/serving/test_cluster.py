import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from snnet.cli import main
from snnet.errors import BudgetError, CheckpointError, EngineError, ExtraError, SNNetError
from snnet.network import SNNet
from snnet.serving import (
    USUAL_ADDRESSES,
    Addresses,
    ClusterSettings,
    FrontSettings,
    ServiceSettings,
    check_addresses,
    cluster_application,
    run_on_cluster,
)
from snnet.serving.cluster import app
from snnet.serving.replica import REPLICA_HEADER, Replica

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "serving_cluster.py"
LENIENT = ServiceSettings(slo_ms=2000, max_batch=2)


class FakeRay:
    """Ray as far as an application and a replica ask it, so that neither waits for a cluster."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.serve = SimpleNamespace(
            ingress=lambda: lambda kind: kind,
            deployment=self._deployment,
            get_replica_context=lambda: SimpleNamespace(replica_id=SimpleNamespace(unique_id="abc")),
        )

    def _deployment(self, kind: type, **options: Any) -> Any:
        self.options = options
        return SimpleNamespace(bind=lambda *given: (kind, *given))

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "node1")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "ray.serve", fake.serve)
    return fake


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ray", "ray.serve"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def network(small_net: SNNet, tmp_path: Path) -> Path:
    small_net.save_pretrained(tmp_path / "net")
    return tmp_path / "net"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"replica": "2"}, r"replica: unknown key\. Did you mean 'replicas'"),
        ({"replicas": "3", "max_replicas": "2"}, "max_replicas is 2, below replicas, which is 3"),
        ({"slo_ms": "soon", "queue": "0"}, r"has 2 faults(.|\n)*slo_ms(.|\n)*queue"),
        ({"policy": "elastik"}, "elastic"),
        ({"cores": "0,1"}, r"cores are \(0, 1\), and all replicas would use the same"),
        ({"processes": "true"}, "Processes run a bundle"),
    ],
)
@pytest.mark.usefixtures("no_ray")
def test_settings_that_cannot_be_are_refused_before_ray_is_needed(
    network: Path, arguments: dict[str, str], words: str
) -> None:
    with pytest.raises(SNNetError, match=words):
        app({"source": str(network), **arguments})


@pytest.mark.usefixtures("no_ray")
def test_a_source_that_cannot_be_served_is_refused_before_ray_is_needed(network: Path, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="source: missing"):
        app({})
    with pytest.raises(CheckpointError, match="nowhere"):
        app({"source": str(tmp_path / "nowhere")})
    (network / "table.jsonl").unlink()
    with pytest.raises(BudgetError, match="does not say how good its stitches are"):
        app({"source": str(network)})


@pytest.mark.usefixtures("no_ray")
def test_without_ray_it_says_how_to_install_it(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExtraError, match=r"needs ray.*snnet\[ray\]"):
        app({"source": str(network)})
    assert main(["serve", str(network), "--ray"]) == 2
    assert "snnet[ray]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--replicas", "2"), "replicas: given, and only a cluster has replicas; add --ray"),
        (("--ray", "--replicas", "2", "--max-replicas", "1"), "max_replicas is 1, below replicas"),
        (("--ray", "--grpc-port", "8001"), "grpc_port is 8001, and Ray's proxies"),
        (("--ray", "--port", "0"), "port is 0"),
    ],
)
@pytest.mark.usefixtures("no_ray")
def test_the_command_refuses_what_a_cluster_does_not_have(
    network: Path, options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(network), *options]) in (2, 3)
    assert words in capsys.readouterr().err.replace("\n", " ")


def test_each_address_that_ray_does_not_have_is_refused() -> None:
    check_addresses(Addresses(host="0.0.0.0", port=9000))
    for given in ({"admin_port": 9001}, {"connections": 10}, {"header_seconds": 1.0}):
        with pytest.raises(EngineError, match=f"{next(iter(given))} is "):
            check_addresses(Addresses(**given))


def test_a_cluster_that_is_not_there_is_told_at_once(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    ray.init = lambda *_, **__: pytest.fail("was started")  # type: ignore[attr-defined]
    ray.shutdown = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match=r"RAY_ADDRESS is 127\.0\.0\.1:\d+, and nothing answers there"):
        run_on_cluster(None, "net", USUAL_ADDRESSES)  # type: ignore[arg-type]


def test_our_queue_refuses_before_that_of_ray(network: Path, ray: FakeRay) -> None:
    settings = ServiceSettings(queue=50, workers=2, threads=3, max_batch=4, slo_ms=5000)
    kind, *given = cluster_application(network, settings, FrontSettings(), ClusterSettings(replicas=2))
    assert kind is Replica and given == [str(network.resolve()), settings, FrontSettings()]
    # All that our queue holds, that runs, and that is decoded, may be at a replica at once.
    assert ray.options["max_ongoing_requests"] > 50 + 2 * 4 + FrontSettings().decoding_waiting
    assert ray.options["ray_actor_options"] == {"num_cpus": 6, "num_gpus": 0}
    assert ray.options["graceful_shutdown_timeout_s"] > 5 + 10
    assert ray.options["num_replicas"] == 2 and "autoscaling_config" not in ray.options
    app({"source": str(network), "max_replicas": "3", "replica_requests": "7", "downscale_seconds": "60"})
    config = ray.options["autoscaling_config"]
    assert (config["min_replicas"], config["max_replicas"], config["target_ongoing_requests"]) == (1, 3, 7.0)
    assert config["downscale_delay_s"] == 60 and ray.options["num_replicas"] is None


@pytest.mark.usefixtures("ray")
def test_a_replica_is_the_same_application_and_answers_what_waits_before_it_ends(network: Path) -> None:
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    replica = Replica(str(network), LENIENT, FrontSettings())
    with TestClient(replica.__serve_build_asgi_app__()) as client:
        answer = client.get("/v2/health/ready")
        assert answer.status_code == 200 and answer.headers[REPLICA_HEADER] == "node1/abc"
        tensor = {"name": "images", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": [0.5] * 784}
        assert client.post("/v2/models/net/infer", json={"inputs": [tensor]}).status_code == 200
        assert 'snnet_requests_total{outcome="in_time"} 1.0' in client.get("/metrics").text
        assert replica.service.ready
    assert not replica.service.ready


def test_a_replica_is_ill_when_its_workers_are_stuck() -> None:
    import asyncio

    replica = Replica.__new__(Replica)
    replica.service = SimpleNamespace(dispatcher=SimpleNamespace(stuck=False))  # type: ignore[assignment]
    asyncio.run(replica.check_health())
    replica.service.dispatcher.stuck = True  # type: ignore[misc]
    with pytest.raises(EngineError, match="All workers of this replica hang"):
        asyncio.run(replica.check_health())


def environment() -> dict[str, str]:
    return {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.mark.slow
def test_the_command_serves_on_a_cluster_and_answers_what_waits(written: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the package ray is not installed")
    port = free_port()
    options = ("--processes", "--workers", "1", "--slo-ms", "5000", "--max-batch", "2", "--port", str(port))
    (tmp_path / "bundle").symlink_to(written)
    command = [sys.executable, "-m", "snnet", "serve", str(tmp_path / "bundle"), "--ray", *options]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert running.stdout is not None
        said = "".join(iter(lambda: running.stdout.readline(), "Ctrl-C ends it.\n"))  # type: ignore[union-attr]
        assert f"http: http://127.0.0.1:{port}" in said
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/v2/health/ready")
        answer = connection.getresponse()
        assert answer.status == 200 and re.fullmatch(r"\w+/\w+", answer.headers[REPLICA_HEADER])
        assert json.loads(answer.read()) == {"ready": True}
        tensor = {"name": "images", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": [0.5] * 784}
        connection.request("POST", f"/v2/models/{written.name}/infer", json.dumps({"inputs": [tensor]}))
        time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        assert connection.getresponse().status == 200
        assert running.wait(60) == 0
    finally:
        if running.poll() is None:
            running.kill()


@pytest.mark.slow
def test_replicas_follow_the_load_and_a_node_that_dies_takes_little_with_it(network: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the package ray is not installed")
    output = tmp_path / "found.json"
    options = ("--port", str(free_port()), "--rate", "10", "--callers", "10", "--before", "5", "--after", "15")
    command = [sys.executable, str(BENCHMARK), str(network), *options, "--slo-ms", "5000", "--output", str(output)]
    subprocess.run(command, check=True, env=environment(), timeout=500)
    found = json.loads(output.read_text())
    scaling, loss = found["scaling"], found["loss"]
    assert scaling["one"] and scaling["seconds_up"] is not None and scaling["seconds_down"] is not None
    assert len(scaling["by_node"]) == 2 and set(scaling["told"]) <= {"answered", "refused", "expired"}
    assert len(loss["by_node_before"]) == 2 and set(loss["before"]) == {"answered"}
    # The last ten seconds lose nothing any more.
    assert loss["after"]["answered"] > 50 and loss["seconds_to_the_last"]["lost"] < 5
