"""The real command under faults and load: its workers are killed, its version changes, and it is told to end."""

import json
import os
import re
import shutil
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("tritonclient.grpc")
from snnet.export.bundle import Bundle
from tests.cli.test_serve import Server, asked
from tests.serving.callers import IMAGES, Callers, Told
from tests.serving.front.service import eventually, png, png_that_says

pytestmark = pytest.mark.slow
OPTIONS = ("--processes", "--workers", "2", "--slo-ms", "60000", "--max-batch", "8")
ADDRESSES = ("--grpc-port", "0", "--admin-port", "0")


@pytest.fixture
def place(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "net"))


@pytest.fixture
def server(place: Path) -> Iterator[Server]:
    running = Server(str(place), *OPTIONS, *ADDRESSES)
    yield running
    running.end(signal.SIGKILL)


def workers(server: Server) -> list[psutil.Process]:
    """The processes that run batches, copies of a child of the server, with those that end just now."""
    children = psutil.Process(server.process.pid).children()
    found = []
    for child in children:
        try:
            if any("spawn_main" in part for part in child.cmdline()):
                found += child.children()
        except psutil.NoSuchProcess:
            continue
    return found


def shared_memory(server: Server) -> set[Path]:
    """The segments of shared memory that the server maps."""
    text = Path(f"/proc/{server.process.pid}/maps").read_text()
    return {Path(found) for found in re.findall(r"/dev/shm/psm_\S+", text)}


def check_answers(told: list[Told], bundle: Path) -> None:
    """Each answer is that to its own request, by the stitch that it names, and no request was sent twice."""
    assert len({one.id for one in told}) == len(told)
    opened, expected = Bundle.open(bundle), dict[str, np.ndarray]()
    for one in told:
        if one.status != "200":
            continue
        assert one.answer_id == one.id
        if one.stitch not in expected:
            session = opened.session(one.stitch)
            (found,) = session.run(None, {session.get_inputs()[0].name: IMAGES[:, 0]})
            expected[one.stitch] = found
        np.testing.assert_allclose(one.logits, expected[one.stitch][one.image], rtol=1e-4, atol=1e-5)


def check_counts(told: list[Told], server: Server) -> None:
    """The server has counted as many requests as were sent, as what they were told to be."""
    text = asked(server.addresses["http"], "GET", "/metrics")[1]
    counted = {name: float(value) for name, value in re.findall(r'snnet_requests_total\{outcome="(\w+)"\} (\S+)', text)}
    found = Counter(one.status for one in told)
    print("\nsent and told:", dict(found), "counted:", {name: value for name, value in counted.items() if value})
    assert sum(counted.values()) == len(told)
    assert counted["in_time"] + counted["late"] == found["200"]
    assert counted["failed"] == found["500"] + found["INTERNAL"]
    assert counted["expired"] == found["504"] + found["DEADLINE_EXCEEDED"]


def test_workers_are_killed_fifty_times(server: Server, place: Path) -> None:
    segments = shared_memory(server)
    files = psutil.Process(server.process.pid).num_fds()
    http, grpc = Callers("http", server.addresses["http"]), Callers("grpc", server.addresses["grpc"], count=4)
    killed, draw = set[int](), np.random.default_rng(0)
    while len(killed) < 50:
        alive = eventually(lambda: [one for one in workers(server) if one.pid not in killed])
        # Now and then both at once, and now and then one that only just starts.
        for one in alive if draw.random() < 0.2 else alive[:1]:
            one.send_signal(signal.SIGKILL)
            killed.add(one.pid)
        time.sleep(draw.uniform(0.1, 2.0))
    assert eventually(lambda: len([one for one in workers(server) if one.pid not in killed]) == 2)
    time.sleep(2)
    begin = time.monotonic()
    time.sleep(2)
    told = http.end() + grpc.end()
    check_answers(told, place)
    check_counts(told, server)
    # A request that meets two deaths is told so; all others are answered, for there is time.
    assert {one.status for one in told} <= {"200", "500", "INTERNAL"}
    afterwards = [one for one in told if one.sent > begin]
    assert len(afterwards) > 100 and {one.status for one in afterwards} == {"200"}
    assert len(workers(server)) == 2 and all(one.status() != psutil.STATUS_ZOMBIE for one in workers(server))
    assert shared_memory(server) == segments and psutil.Process(server.process.pid).num_fds() <= files + 20
    code, _ = server.end()
    assert code == 0 and not any(one.exists() for one in segments)


def footprint(server: Server) -> tuple[float, int, int]:
    """Megabytes of the server and its workers, its open files, and its threads."""
    process = psutil.Process(server.process.pid)
    family = [process, *workers(server)]
    return sum(one.memory_full_info().pss for one in family) / 2**20, process.num_fds(), process.num_threads()


def test_the_version_changes_twenty_times(server: Server, place: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(place, tmp_path / "other"))
    admin, prints, segments = server.addresses["admin"], list[tuple[float, int, int]](), set[Path]()
    http, grpc = (Callers(way, server.addresses[way], count=3) for way in ("http", "grpc"))
    for number in range(2, 22):
        old, before = {one.pid for one in workers(server)}, shared_memory(server)
        if number % 2:
            server.process.send_signal(signal.SIGHUP)
        else:
            source = json.dumps({"source": str(place if number % 4 else other)}).encode()
            told = asked(admin, "POST", "/version", source, content_type="application/json")
            assert told == (200, {"version": str(number)})
        assert eventually(lambda number=number: asked(admin, "GET", "/status")[1]["version"] == str(number))
        assert eventually(lambda old=old: not old & {one.pid for one in workers(server)})
        assert eventually(lambda before=before: not any(one.exists() for one in before))
        assert len(workers(server)) == 2
        segments |= before
        prints.append(footprint(server))
    answers = http.end() + grpc.end()
    check_answers(answers, place)
    check_counts(answers, server)
    assert {one.status for one in answers} == {"200"} and len(answers) > 1000
    assert {one.version for one in answers} == {str(number) for number in range(1, 22)}
    for caller in {one.id.rpartition("-")[0] for one in answers}:
        versions = [int(one.version) for one in answers if one.id.rpartition("-")[0] == caller]
        assert versions == sorted(versions)
    print("\nPSS in MiB, open files, threads:", [(round(memory), *others) for memory, *others in prints[::4]])
    early, late = np.array(prints[4:9]), np.array(prints[-5:])
    assert np.median(late[:, 0]) < 1.1 * np.median(early[:, 0])
    assert (np.median(late[:, 1:], axis=0) <= np.median(early[:, 1:], axis=0) + 5).all()
    segments |= shared_memory(server)
    assert server.end()[0] == 0 and not any(one.exists() for one in segments)


def check_latencies(name: str, told: list[Told], begin: float) -> None:
    """Print what callers waited before and since a time; all of them were answered."""
    assert {one.status for one in told} == {"200"}
    for words, since in (("before", False), ("during", True)):
        milliseconds = [1e3 * (one.over - one.sent) for one in told if (one.sent > begin) == since]
        assert len(milliseconds) > 100
        middle, high = np.quantile(milliseconds, (0.5, 0.99))
        print(f"{name}, {words}: {len(milliseconds)} answers, median {middle:.1f} ms, p99 {high:.1f} ms")


def test_a_thousand_who_send_nothing_harm_nobody(place: Path) -> None:
    server = Server(str(place), *OPTIONS, "--header-seconds", "15", "--connections", "1100")
    host, port = server.addresses["http"].removeprefix("http://").split(":")
    process = psutil.Process(server.process.pid)
    callers = Callers("http", server.addresses["http"])
    time.sleep(4)
    memory, files, begin = process.memory_info().rss, process.num_fds(), time.monotonic()
    silent = [socket.create_connection((host, int(port))) for _ in range(1000)]
    for one in silent[::4]:
        one.sendall(b"POST /v2/models/net/infer HTTP/1.1\r\nHost: here\r\nX-Slow: ")
    assert eventually(lambda: process.num_fds() >= files + 1000), "all of them are let in"
    # One line of a header after the other does not help them.
    while time.monotonic() < begin + 4:
        for one in silent[::4]:
            one.sendall(b"a\r\nX-Slow: ")
        time.sleep(0.5)
    more, most = process.memory_info().rss, process.num_fds()
    # Those that are beyond the bound are told so, while callers that were there before go on.
    beyond = [socket.create_connection((host, int(port))) for _ in range(200)]
    first = [one.recv(12) for one in beyond[-20:]]
    assert first == [b"HTTP/1.1 503"] * 20
    assert eventually(lambda: process.num_fds() <= files + 120, 20), "who sends no headers is let go"
    for one in silent:
        one.settimeout(20)
        with suppress(ConnectionResetError):
            assert one.recv(1) == b""
    for one in silent + beyond:
        one.close()
    told = callers.end()
    check_answers(told, place)
    check_latencies("1,000 idle connections", told, begin)
    print(f"memory: {(more - memory) / 2**20:.1f} MiB more, {most - files} files more")
    assert more - memory < 100 * 2**20
    assert server.end()[0] == 0


def test_pictures_that_are_bombs_harm_nobody(server: Server, place: Path) -> None:
    http, process = server.addresses["http"], psutil.Process(server.process.pid)
    callers = Callers("http", http)
    time.sleep(4)
    memory, begin = process.memory_info().rss, time.monotonic()
    # Small files that say that they are large, that are large, and that are none.
    bombs = [png_that_says(60_000, 60_000), png(7000, 7000), png(70_000, 1), b"\xff\xd8" + b"\xff\xda" * 100_000]
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda number: asked(http, "POST", "/classify", bombs[number % 4])[0], range(80))]
        highest = process.memory_info().rss
    print("\nbombs:", Counter((number % 4, status) for number, status in enumerate(found)))
    assert {status for number, status in enumerate(found) if number % 4 != 1} <= {400, 413}
    assert {status for number, status in enumerate(found) if number % 4 == 1} <= {200, 503}
    told = callers.end()
    check_answers(told, place)
    check_latencies("picture bombs", told, begin)
    print(f"memory: {(highest - memory) / 2**20:.1f} MiB more")
    assert highest - memory < 1000 * 2**20
    assert asked(http, "POST", "/classify", png(28, 28))[0] == 200


def test_told_to_end_under_load_it_answers_what_it_took(place: Path) -> None:
    # As a supervisor does that signals all processes of a service.
    server = Server(str(place), *OPTIONS, *ADDRESSES, start_new_session=True)
    segments, children = shared_memory(server), workers(server)
    http, grpc = Callers("http", server.addresses["http"], count=24), Callers("grpc", server.addresses["grpc"])
    time.sleep(5)
    signalled = time.monotonic()
    os.killpg(server.process.pid, signal.SIGTERM)
    code, said = server.end()
    ended = time.monotonic()
    told = http.end() + grpc.end()
    check_answers(told, place)
    before = [one for one in told if one.sent < signalled]
    print("\nbefore:", Counter(one.status for one in before), "seconds:", ended - signalled)
    print("after:", Counter(one.status for one in told if one.sent >= signalled))
    assert code == 0 and "All that waited was answered." in said and ended - signalled < 20
    # What was under way when the signal came was taken, unless it came to the server after it: then it was refused.
    assert {one.status for one in before} <= {"200", "503", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
    assert len(before) > 500
    assert {one.status for one in before if one.over < signalled or one.sent < signalled - 0.5} == {"200"}
    closed = {"ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected", "BrokenPipeError"}
    # gRPC itself says CANCELLED to a call that came while it stopped, and that nobody has begun with.
    refused = {"503", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "CANCELLED"}
    assert {one.status for one in told if one.sent >= signalled} <= {"200"} | closed | refused
    assert not any(one.is_running() for one in children) and not any(one.exists() for one in segments)
