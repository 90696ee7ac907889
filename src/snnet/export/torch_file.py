# Tested in tests/export/test_export.py.
"""A stitch as a program of `torch.export`, for PyTorch without this library."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from snnet.export.formats import EXPORTS, ExportFormat, OpenedFile
from snnet.export.program import export_program, quiet

FACTS = "snnet.json"
"""Name of the extra file in the archive that holds the facts."""


@EXPORTS.register("torch")
class TorchFile(ExportFormat):
    """`.pt2`, read by `torch.export.load`."""

    suffix = ".pt2"

    def write(self, module: nn.Module, images: Tensor, path: Path, facts: Mapping[str, str]) -> None:
        """Write the program, its weights and the facts into one archive."""
        with quiet():
            torch.export.save(export_program(module, images), path, extra_files={FACTS: json.dumps(dict(facts))})

    def read(self, path: Path) -> OpenedFile:
        """Read the program and the facts."""
        extra = {FACTS: ""}
        with quiet():
            module = torch.export.load(path, extra_files=extra).module()

        @torch.no_grad()
        def run(images: Tensor) -> Tensor:
            logits: Tensor = module(images)
            return logits

        return OpenedFile(run, json.loads(extra[FACTS]))
