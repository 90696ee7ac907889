"""Under what a table was measured: in the words of today, in a line for people, and whether it holds here."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from snnet.errors import SNNetError, TableError
from snnet.table.columns import column
from snnet.utils import Machine, Record, checked_record, counted, precision_of

PROFILE = "profile"
"""The fact of a table that says under what its latencies, throughputs, memory and energy were measured."""
PRECISIONS = "precisions"
"""The fact of a table of several precisions that holds, for each but the network's own, the facts of its rows."""

_RENAMED = {"dtype": "precision", "network_dtype": "network_precision"}


class _Machine(Record):
    cpu: str | None = None
    cores: int | None = Field(None, ge=0)
    gpus: list[str] | None = None


class _Profile(Record):
    machine: _Machine | None = None
    engine: str | None = None
    device: str | None = None
    precision: str | None = None
    dtype: str | None = None
    network_precision: str | None = None
    network_dtype: str | None = None
    threads: int | None = Field(None, ge=1)
    date: str | None = None


class _Evaluation(Record):
    network: str | None = None
    precision: str | None = None
    dtype: str | None = None
    data: dict[str, Any] | None = None


class _Facts(Record):
    """Those facts of a table that are read, in the words of today and of version 0.1.0."""

    anchors: list[str] | None = None
    depths: list[list[int]] | None = None
    date: str | None = None
    images: int | None = None
    nonfinite: dict[str, int] | None = None
    profile: _Profile | None = None
    evaluation: _Evaluation | None = None


def read_facts(origin: str, meta: Any, error: type[SNNetError] = TableError) -> dict[str, Any]:
    """Return the facts of a file, checked, with precisions called `fp32`, where they may be the `dtype` `float32`.

    Raises:
        SNNetError: Of the kind `error`, if one is no such fact; the message names the file, the fact and its value.
    """
    checked_record(_Facts, meta, origin, error, "write it anew.")
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


def facts_of(
    engine: str,
    conditions: Mapping[str, Any],
    network_precision: str,
    versions: Mapping[str, str],
    gpus: Iterable[str] = (),
) -> dict[str, Any]:
    """Return what every table of measurements says: machine, engine, conditions, versions, and when.

    Args:
        engine: What runs the stitches; if it is a package it bears its name.
        conditions: Device, precision and threads.
        network_precision: Type of the network's own weights.
        versions: Of the packages that take part, by name.
        gpus: Those that the measurement uses.
    """
    return {
        "machine": Machine.here().on(*gpus).to_dict(),
        "engine": engine,
        **conditions,
        "network_precision": network_precision,
        "versions": {name: one for name, one in versions.items() if name == "snnet" or one != "not installed"},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe_profile(meta: Mapping[str, Any]) -> str | None:
    """Return in one line where and how the measured columns of a table came about; None where nothing says so."""
    facts = meta.get(PROFILE)
    if not facts:
        return None
    threads = counted(facts.get("threads"), "thread")
    how = f"{facts.get('engine')} on {facts.get('device')}, {facts.get('precision')}, {threads}"
    return f"measured on {Machine.of(facts.get('machine') or {})}: {how}, {str(facts.get('date'))[:10]}"


def check_profile(
    meta: Mapping[str, Any], columns: Collection[str], precision: str | None = None, engine: str | None = None
) -> None:
    """Refuse columns that were measured on another machine or engine, or in another precision than will run.

    Columns that are the same everywhere (MACs, scores) are never refused, and neither is a table that says nothing
    of a machine: such a table was made by hand.

    Args:
        meta: The facts of the table.
        columns: Those that a choice depends on.
        precision: What the network will run in, such as `bf16`; its own if None.
        engine: What it will run on, such as `onnxruntime`; that of the measurement if None.

    Raises:
        TableError: If they do not hold here; the message names both sides.
    """
    for other, its_facts in (meta.get(PRECISIONS) or {}).items():
        check_profile(its_facts, columns, other, engine)
    facts: Mapping[str, Any] = meta.get(PROFILE) or {}
    used = [name for name in columns if column(name).per_batch]
    if not facts or not used:
        return
    listed = " and ".join(dict.fromkeys(name.partition("@")[0] for name in used))
    there, here = Machine.of(facts.get("machine") or {}), Machine.here()
    if not here.can_stand_for(there):
        raise TableError(
            f"{listed} was measured on another machine ({there}) than this one ({here}); measure here with "
            "`snnet profile`, or take the numbers as they are with any_machine=True (--any-machine)."
        )
    wanted, found = precision or facts.get("network_precision"), facts.get("precision")
    if wanted != found:
        raise TableError(
            f"{listed} was measured in {found}, and the network runs in {wanted}; say that it will run in {found} "
            f"with precision={found!r}, measure anew with `snnet profile`, or take the numbers as they are with "
            "any_machine=True (--any-machine)."
        )
    if engine is not None and facts.get("engine") not in (None, engine):
        raise TableError(
            f"{listed} was measured with the engine {facts.get('engine')}, and stitches run on {engine}; measure anew "
            f"with `snnet profile --engine {engine}`, or take the numbers as they are with any_machine=True."
        )
