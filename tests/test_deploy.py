"""What `deploy/` says of the service, compared with the service: its routes, its flags, its ports, its drain."""

import json
import re
from inspect import BoundArguments
from pathlib import Path
from typing import Any

import pytest
import yaml

from snnet.cli.app import build_app as command_line
from snnet.serving import USUAL_ADDRESSES, Addresses, ServiceSettings, build_app
from snnet.serving.dispatcher import _PATIENCE
from snnet.serving.listening import GRACE
from tests.serving.front.service import FakeService

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def documents(name: str) -> dict[str, Any]:
    """Return the documents of a file by their kinds."""
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / name).read_text())}


def instruction(name: str) -> list[str]:
    [arguments] = re.findall(rf"^{name} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    found: list[str] = json.loads(arguments)
    return found


def parsed(arguments: list[str]) -> BoundArguments:
    command, *rest = [*instruction("ENTRYPOINT"), *arguments]
    assert command == "snnet"
    _, bound, _ = command_line().parse_args(rest, exit_on_error=False, print_error=False)
    return bound


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    return documents("kubernetes.yaml")["Deployment"]["spec"]["template"]


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    [found] = pod["spec"]["containers"]
    return found


def test_both_start_the_command_with_flags_that_it_has(container: dict[str, Any]) -> None:
    for arguments in (instruction("CMD"), container["args"]):
        bound = parsed(arguments)
        addresses: Addresses = bound.arguments["addresses"]
        assert bound.args[0] == "/model" and addresses.host == "0.0.0.0"
        assert addresses.port == USUAL_ADDRESSES.port and addresses.grpc_port == 8001
    settings: ServiceSettings = bound.arguments["settings"]
    assert settings.workers * settings.threads == int(container["resources"]["limits"]["cpu"])


def test_ports_are_those_that_it_listens_at(pod: dict[str, Any], container: dict[str, Any]) -> None:
    addresses: Addresses = parsed(container["args"]).arguments["addresses"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": addresses.port, "grpc": addresses.grpc_port}
    [exposed] = re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)
    assert [int(port) for port in exposed.split()] == [*ports.values()]
    service = documents("kubernetes.yaml")["Service"]["spec"]
    assert {port["targetPort"] for port in service["ports"]} == {*ports}
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(addresses.port)


def test_paths_are_routes_of_the_application(pod: dict[str, Any], container: dict[str, Any]) -> None:
    pytest.importorskip("fastapi")
    routes = {route.path for route in build_app(FakeService()).routes}  # type: ignore[attr-defined]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert probes["readiness"]["path"] == "/v2/health/ready" and probes["liveness"]["path"] == "/v2/health/live"
    named = {probe["path"] for probe in probes.values()} | {pod["metadata"]["annotations"]["prometheus.io/path"]}
    assert named <= routes and {probe["port"] for probe in probes.values()} == {"http"}


def test_it_is_given_the_time_that_a_drain_takes(pod: dict[str, Any], container: dict[str, Any]) -> None:
    settings: ServiceSettings = parsed(container["args"]).arguments["settings"]
    [*_, before] = container["lifecycle"]["preStop"]["exec"]["command"]
    longest = float(before) + settings.slo_ms / 1e3 + _PATIENCE + 2 * GRACE
    assert pod["spec"]["terminationGracePeriodSeconds"] >= longest
    [stop] = re.findall(r"--stop-timeout (\d+)", DOCKERFILE)
    assert int(stop) >= longest - float(before)


def test_copies_follow_a_metric_that_there_is() -> None:
    pytest.importorskip("prometheus_client")
    from snnet.serving import Metrics

    scaler = documents("autoscaling.yaml")["HorizontalPodAutoscaler"]["spec"]
    [metric] = scaler["metrics"]
    assert f"\n{metric['pods']['metric']['name']} " in Metrics().text()[0].decode()
    deployment = documents("kubernetes.yaml")["Deployment"]
    target = scaler["scaleTargetRef"]
    assert [target["apiVersion"], target["kind"], target["name"]] == [
        *(deployment["apiVersion"], deployment["kind"], deployment["metadata"]["name"])
    ]
    assert scaler["minReplicas"] == deployment["spec"]["replicas"] < scaler["maxReplicas"]


def test_what_the_image_is_made_of_is_there() -> None:
    places = [place for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for place in line.split()]
    assert places and all((DEPLOY.parent / place).exists() for place in places)
    project = (DEPLOY.parent / "pyproject.toml").read_text()
    [extras] = re.findall(r"'\.\[(.*)\]'", DOCKERFILE)
    assert all(f"\n{extra} = [" in project for extra in extras.split(","))
