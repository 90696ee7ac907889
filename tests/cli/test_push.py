from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi

from tests.cli.conftest import Run


def test_a_network_is_uploaded_and_its_commit_said(run: Run, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}

    def create(self: HfApi, **options: Any) -> Any:
        sent.update(options)
        return SimpleNamespace(repo_id=options["repo_id"])

    def upload(self: HfApi, *, folder_path: Any, **_: Any) -> str:
        sent["files"] = sorted(path.name for path in Path(folder_path).iterdir())
        return "https://hub/commit/1"

    monkeypatch.setattr(HfApi, "create_repo", create)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    outcome = run("push", saved, "org/net", "--private")
    assert (outcome.code, outcome.out.strip()) == (0, "Uploaded: https://hub/commit/1")
    assert (sent["repo_id"], sent["private"]) == ("org/net", True)
    assert sent["files"] == ["README.md", "config.json", "model.safetensors", "table.jsonl"]


def test_the_card_alone_is_written_without_the_hub(run: Run, saved: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("run:\n  seed: 7\n")
    assert run("push", saved, "org/net", "--card-only", "--recipe", recipe).code == 0
    text = (saved / "README.md").read_text()
    assert 'snnet.load("org/net")' in text and "seed: 7" in text


def test_a_missing_network_is_named(run: Run, tmp_path: Path) -> None:
    outcome = run("push", tmp_path / "none", "org/net")
    assert outcome.code == 2 and "none" in outcome.err
