"""The facts of a table: in the words of today, and in a line for people."""

from collections.abc import Mapping
from typing import Any

from snnet.utils import Machine, precision_of

PROFILE = "profile"
"""The fact of a table that says under what its latencies, throughputs, memory and energy were measured."""

_RENAMED = {"dtype": "precision", "network_dtype": "network_precision"}


def current_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a file with precisions called `fp32`, where they may be the `dtype` `float32`."""
    facts = dict(meta)
    if profile := facts.get(PROFILE):
        facts[PROFILE] = {_RENAMED.get(name, name): _current(name, fact) for name, fact in profile.items()}
    if evaluation := facts.get("evaluation"):
        facts["evaluation"] = {name: _current(name, fact) for name, fact in evaluation.items()}
    return facts


def _current(name: str, fact: Any) -> Any:
    """Return a fact, each word of a precision (`float32 with bf16`) by its present name."""
    named = name in ("precision", *_RENAMED) and isinstance(fact, str)
    return " ".join(map(precision_of, fact.split())) if named else fact


def describe_profile(meta: Mapping[str, Any]) -> str | None:
    """Return in one line where and how the measured columns of a table came about; None where nothing says so."""
    facts = meta.get(PROFILE)
    if not facts:
        return None
    threads = f"{facts.get('threads')} thread{'' if facts.get('threads') == 1 else 's'}"
    how = f"{facts.get('engine')} on {facts.get('device')}, {facts.get('precision')}, {threads}"
    return f"measured on {Machine.of(facts.get('machine') or {})}: {how}, {str(facts.get('date'))[:10]}"
