"""The import contracts see what is planted against them."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLANTED = {
    "utils/amounts.py": "from snnet.space import Stitch\n",
    "report/view.py": "from snnet.table.budget import select\n",
    "space/steps.py": "from snnet.space import Stitch as Again\n",
    "space/stitch.py": "from snnet.space.steps import Step\n",
    "table/frontier.py": "import numpy\n",
    "attic/__init__.py": "",
}


def test_what_is_planted_against_the_contracts_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src" / "snnet", tmp_path / "snnet", ignore=shutil.ignore_patterns("*.npz", "*.safetensors"))
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line in PLANTED.items():
        path = tmp_path / "snnet" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + line)
    # An editable install is found before the working directory would be.
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import importlinter.cli as c; c.lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    said = " ".join(run.stdout.split())
    assert run.returncode == 1, run.stderr
    assert "snnet.attic" in said
    assert "snnet.utils is not allowed to import snnet.space" in said
    assert "snnet.report.view imports snnet.table.budget: import from snnet.table." in said
    assert "snnet.space.steps imports snnet.space: lies in it; import the file." in said
    assert "No cycles are allowed in snnet.space" in said
    assert "snnet.table is not allowed to import numpy" in said
    assert "Contracts: 0 kept, 4 broken" in said
