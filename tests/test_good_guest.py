"""A call of the library leaves the process as it found it."""

import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

import snnet
from snnet.cli import main
from snnet.evaluation import evaluate_some
from snnet.export.bundle import write_bundle
from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.training import RunSettings
from tests.bundles import build_small_net
from tests.conftest import build_tiny_anchor
from tests.training.killable import TinyBatches

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM)
Call = Callable[[SNNet, Path], object]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.linspace(-1, 1, 8 * 28 * 28).reshape(8, 1, 28, 28), torch.arange(8) % 10


def train(net: SNNet, path: Path) -> None:
    settings = RunSettings(steps=2, ema_decay=0.5, trackers=("tensorboard",), device="cpu")
    snnet.Trainer(net, TinyBatches(), run=settings, directory=path / "run").fit()


def run(net: SNNet, path: Path) -> None:
    count_costs(net)
    with snnet.Runtime(net, cost="macs", prefer="params") as runtime:
        runtime.wait_ready(60)
        snnet.Governor(runtime, 1e12, column="macs")(data()[0][:1])


def save_and_load(net: SNNet, path: Path) -> None:
    net.save_pretrained(path / "saved")
    snnet.load(path / "saved")


def report(net: SNNet, path: Path) -> None:
    snnet.evaluate(net, data())
    assert count_costs(net) is not None and net.table is not None
    snnet.write_report(net.table, path / "report")


def command(*words: str) -> Call:
    def call(net: SNNet, path: Path) -> None:
        net.save_pretrained(path / "net")
        given = [str(path / word[1:]) if word.startswith("@") else word for word in words]
        assert main(given) == 0

    return call


CALLS: dict[str, Call] = {
    "stitch": lambda net, path: snnet.stitch(*(build_tiny_anchor(width) for width in (16, 32))),
    "initialize": lambda net, path: snnet.initialize(net, data()[0]),
    "recalibrate": lambda net, path: snnet.recalibrate(net, data()[0]),
    "evaluate": lambda net, path: snnet.evaluate(net, data(), output=path / "table.jsonl"),
    "evaluate_some": lambda net, path: (count_costs(net), evaluate_some(net, data(), at_most=4)),
    "profile": lambda net, path: snnet.profile(net),
    "fit": train,
    "save_pretrained and load": save_and_load,
    "Runtime and Governor": run,
    "write_report": report,
    "export_stitch": lambda net, path: snnet.export_stitch(net, 1, path / "stitch.onnx"),
    "write_bundle": lambda net, path: write_bundle(net, path / "bundle", [0]),
    "snnet space": command("space", "vit_fm_tiny", "vit_fm_small"),
    "snnet evaluate": command("evaluate", "@net", "--stitches", "anchors", "--batch-size", "500"),
    "snnet train": command("train", "@net", "--output", "@out", *["--run.steps", "2", "--evaluation.stitches", "none"]),
}
DRAWS = {"stitch"}
"""Calls that make layers, whose weights are drawn from torch's random state."""


def state() -> dict[str, Any]:
    """Return what a call could change for whoever called it."""
    kinds = (PartialState, AcceleratorState, GradientState)
    settings = (torch.get_num_threads, torch.is_grad_enabled, torch.is_inference_mode_enabled, torch.get_default_dtype)
    more = (torch.are_deterministic_algorithms_enabled, torch.get_float32_matmul_precision, torch.get_default_device)
    # To read the backend would choose one.
    style = [name for name in matplotlib.rcParams if name != "backend"]
    cudnn, mkldnn = torch.backends.cudnn, torch.backends.mkldnn
    return {
        "signals": {number: signal.getsignal(number) for number in SIGNALS},
        "group": torch.distributed.is_initialized(),
        "accelerate": [dict(kind._shared_state) for kind in kinds],
        "loggers": configured_loggers(),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "torch": {call.__name__: call() for call in (*settings, *more)},
        "backends": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, mkldnn.enabled),
        "folder": Path.cwd(),
        "hooks": (sys.excepthook, threading.excepthook, sys.stdout, sys.stderr, locale.setlocale(locale.LC_ALL)),
        "matplotlib": (matplotlib.get_backend(auto_select=False), {k: matplotlib.rcParams[k] for k in style}),
        "threads": {thread.name for thread in threading.enumerate()} - {"tqdm_monitor"},  # a package's own, for good
        "files": open_files(),
    }


def configured_loggers() -> dict[str, Any]:
    """Return the settings of the root logger and of ours, without those that nobody has touched."""
    named = [logger for logger in logging.Logger.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    found = {
        logger.name: (logger.level, list(logger.handlers), logger.propagate, logger.disabled)
        for logger in (logging.getLogger(), *named)
        if logger.name == "root" or logger.name.startswith("snnet")
    }
    return {name: settings for name, settings in found.items() if settings != (logging.NOTSET, [], True, False)}


def random_state() -> dict[str, Any]:
    return {"torch": torch.get_rng_state().tolist(), "numpy": str(np.random.get_state()), "random": random.getstate()}


def open_files() -> list[str]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return []
    targets = [str(path.readlink()) for path in folder.iterdir() if path.is_symlink()]
    # Libraries keep files of their own open once they are loaded, such as fonts.
    return sorted(target for target in targets if target.startswith(str(Path.cwd())))


@pytest.mark.parametrize("name", CALLS)
def test_the_process_is_left_as_it_was(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("onnxruntime" if name in ("export_stitch", "write_bundle") else "torch")
    monkeypatch.chdir(tmp_path)
    net = build_small_net()
    net.classes = net.table = None
    handler = logging.NullHandler()
    mine = PartialState(cpu=True)
    logging.getLogger("snnet").addHandler(handler)
    try:
        before, drawn = state(), random_state()
        CALLS[name](net, tmp_path)
        after = state()
        for part, found in before.items():
            assert after[part] == found, part
        if name not in DRAWS:
            assert random_state() == drawn
        assert mine.device == torch.device("cpu")
    finally:
        logging.getLogger("snnet").removeHandler(handler)
        PartialState._reset_state()
