"""The program of docs/guides/export.md that needs nothing but onnxruntime runs as it stands there."""

import re
from pathlib import Path

import pytest

from snnet.export import export_stitch
from tests.conftest import build_tiny_net


def test_the_program_for_plain_onnxruntime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    text = (Path(__file__).parents[2] / "docs" / "guides" / "export.md").read_text(encoding="utf-8")
    program = next(part for part in re.findall(r"```python\n(.*?)```", text, re.S) if "onnxruntime" in part)
    assert "snnet" not in re.sub(r'"snnet\.\w+"', "", program)
    net = build_tiny_net()
    net.classes = tuple(f"class {number}" for number in range(10))
    export_stitch(net, 5, tmp_path / "stitch.onnx")
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "docs/guides/export.md", "exec"), {})
    assert capsys.readouterr().out.strip() in net.classes
