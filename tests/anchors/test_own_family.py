"""The guide to an anchor class of one's own, run as it stands there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snnet.anchors import ANCHORS, Anchor, anchor_from_modules, load_anchor
from snnet.errors import AnchorError
from tests.anchors.checks import check_parameters, check_segments
from tests.profiling.test_macs import counted_by_a_whole_forward
from tests.profiling.test_params import elements_with_gradient

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "own-models.md"


@pytest.fixture(scope="module")
def code() -> Iterator[dict[str, Any]]:
    """What the guide's section on writing a class defines, run as it stands there."""
    section = GUIDE.read_text().split("## Writing an `Anchor` class")[1].split("\n## ")[0]
    defined: dict[str, Any] = {}
    ANCHORS.names()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ANCHORS, "_entries", dict(ANCHORS._entries))
        for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            exec(block, defined)
        yield defined


def test_the_guides_class_is_a_full_member(code: dict[str, Any]) -> None:
    model = code["BiasedViT"](32, depth=3)
    for training in (False, True):
        anchor = check_segments(model, training=training)
        assert type(anchor) is code["BiasedViTAnchor"]
    check_parameters(anchor)


def test_the_guides_network_costs_what_its_routes_use(code: dict[str, Any]) -> None:
    net, table = code["net"], code["table"]
    assert len(table) == len(net.space) > 2
    for row in table:
        assert row.macs == counted_by_a_whole_forward(net, row.stitch)
        assert row.params == elements_with_gradient(net, row.stitch)


def test_the_guides_check_finds_a_parameter_left_out(code: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    anchor = load_anchor(code["BiasedViT"](32, depth=2))
    code["check"](anchor.model)
    monkeypatch.delattr(code["BiasedViTAnchor"], "block_parameters")
    with pytest.raises(AssertionError, match="block 0"):
        code["check"](anchor.model)


def test_the_guides_model_needs_the_class(code: dict[str, Any]) -> None:
    parts = {"stem": ["patches"], "stages": ["blocks"], "head": ["norm", lambda x: x.mean(1), "head"]}
    with pytest.raises(AnchorError, match="receives more than one tensor of features"):
        anchor_from_modules(code["BiasedViT"](32, depth=2), **parts, input=(1, 28, 28), layout="tokens")


def test_the_guide_names_what_a_class_must_write() -> None:
    table = GUIDE.read_text().split("### What to write")[1].split("The rest has defaults")[0]
    assert Anchor.__abstractmethods__ <= set(re.findall(r"`(\w+)", table))
