"""The facts of a table as they were written before, in the words of today."""

from collections.abc import Mapping
from typing import Any

from snnet.utils import precision_of

_RENAMED = {"dtype": "precision", "network_dtype": "network_precision"}


def current_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a file with precisions called `fp32`, where they may be the `dtype` `float32`."""
    facts = dict(meta)
    if profile := facts.get("profile"):
        facts["profile"] = {_RENAMED.get(name, name): _current(name, fact) for name, fact in profile.items()}
    if evaluation := facts.get("evaluation"):
        facts["evaluation"] = {name: _current(name, fact) for name, fact in evaluation.items()}
    return facts


def _current(name: str, fact: Any) -> Any:
    """Return a fact, each word of a precision (`float32 with bf16`) by its present name."""
    named = name in ("precision", *_RENAMED) and isinstance(fact, str)
    return " ".join(map(precision_of, fact.split())) if named else fact
