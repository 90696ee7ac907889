"""What a column of a table is: its unit, which way is better, how it is printed, which command measures it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from snnet.errors import BudgetError
from snnet.utils import Registry, human

COST = "macs"
"""The column of costs that is meant where none is named."""
SCORE = "top1"
"""The column of scores that is meant where none is named."""
LATENCY = "latency_ms"
"""The column of a machine's measurements that is meant where none is named."""
DIVERGENCE = "divergence"
"""How far a route of a search answers from the largest anchor."""
EXPECTED = "expected_divergence"
"""The same of a route that was not run."""
AGREEMENT = "agreement"
"""How often it has the largest anchor's first guess."""
ENERGY = "energy_mj"
MEMORY = "memory_mb"
THROUGHPUT = "throughput"
HALVES = 2
"""Fixed parts of the images, of each of which a score is known that is no mean over images, such as mIoU."""
ERROR = "_error"
"""Ends the name of the column that holds the standard deviation of a prediction, in the unit of what is predicted."""

Role = Literal["cost", "score", "other"]

_TOP_K = re.compile(r"top(\d+)")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Register a kind of your own, such as a score that some task has: `COLUMNS.register("miou")(Column("miou", "mIoU",
    "%", role="score", higher_is_better=True, form=".2f"))`. Columns that nobody registered work too: they are printed
    plainly, and less is better.

    Attributes:
        name: As tables, limits and axes know it.
        label: What axes call it, `Latency`.
        unit: What follows a number on axes, `ms`.
        short: What headings of tables call it, with its unit; label and unit if empty.
        about: What a limit on it limits, `multiply-adds of one image`.
        role: Whether it is a cost, which belongs to a route and a machine, or a score, which belongs to the weights.
        higher_is_better: Whether more of it is better.
        per_batch: Whether it is measured on a machine, for a number of images at once.
        form: How `format` prints a number of it; if empty, with three digits and k, M or G.
        parts: Further columns that are shown beside it, such as `p95` for `latency_ms_p95`.
        kind: The column that this is a part of, or taken at some batch size; itself otherwise.
        part: Which part it is, `p95`.
        batch: Images at once, where its name says so.
        is_error: Whether it holds the error bars of another column.
    """

    name: str
    label: str
    unit: str = ""
    short: str = ""
    about: str = ""
    role: Role = "other"
    higher_is_better: bool = False
    per_batch: bool = False
    form: str = ".3f"
    parts: tuple[str, ...] = ()
    kind: str = ""
    part: str = ""
    batch: int | None = None
    is_error: bool = False

    @property
    def is_half(self) -> bool:
        """Whether it holds a score on one half of the images."""
        return self.part in [f"half{half}" for half in range(HALVES)]

    @property
    def is_counted(self) -> bool:
        """Whether it is the same for any weights and any machine, as MACs and parameters are."""
        return self.role == "cost" and not self.per_batch

    @property
    def is_budget(self) -> bool:
        """Whether people set budgets on it: a cost of which less is better."""
        return self.role == "cost" and not self.higher_is_better and not self.is_error

    @property
    def shown(self) -> tuple[str, ...]:
        """Its name and those of its parts."""
        return (self.name, *(f"{self.name}_{part}" for part in self.parts))

    @property
    def command(self) -> str | None:
        """The command that measures it; None if nothing of ours does."""
        return {"cost": "snnet profile", "score": "snnet evaluate", "other": None}[self.role]

    @property
    def heading(self) -> str:
        """What stands over it in a table, with its unit: `top-1 %`, `ms p95@8`."""
        short = self.short or f"{self.label} {self.unit}".rstrip()
        named = f"{short}{self.part and ' ' + self.part}{f'@{self.batch}' if self.batch else ''}"
        return f"± {named}" if self.is_error else named

    @property
    def title(self) -> str:
        """What an axis calls it, without the unit: `Latency p95, batch 8`."""
        return f"{self.label}{self.part and ' ' + self.part}{f', batch {self.batch}' if self.batch else ''}"

    def text(self, value: float | None) -> str:
        """Return one number as it stands under the heading; `-` where there is none."""
        if value is None:
            return "-"
        return format(value, self.form) if self.form else human(value)

    def badness(self, value: float) -> float:
        """Return a number that is smaller the better `value` is."""
        return -value if self.higher_is_better else value


COLUMNS: Registry[Column] = Registry("column", modules=("snnet.table.kinds",))
"""Kinds of columns that something is known of, in the order in which tables show them."""


def column(name: str) -> Column:
    """Return what is known of a column, from its name: `macs`, `latency_ms_p95@8`, `top1_error`, or anything else."""
    # A kind that is registered later makes earlier answers stale.
    return _column(name, len(COLUMNS))


@lru_cache(4096)
def _column(name: str, kinds_known: int) -> Column:  # noqa: ARG001
    bare = name.removesuffix(ERROR)
    stem, _, batch = bare.partition("@")
    known = {kind.name: kind for kind in COLUMNS.values()}
    if match := _TOP_K.match(stem):
        label, short = f"Top-{match[1]}", f"top-{match[1]} %"
        known.setdefault(match[0], replace(known["top1"], label=label, short=short, role="other"))
    found = [kind for kind in known if stem == kind or stem.startswith(f"{kind}_")]
    if not found:
        return Column(name, bare, kind=stem, is_error=bare != name)
    kind = max(found, key=len)
    return replace(
        known[kind],
        name=name,
        kind=kind,
        part=stem[len(kind) + 1 :].replace("_", " "),
        batch=int(batch) if batch.isdecimal() else None,
        is_error=bare != name,
        higher_is_better=known[kind].higher_is_better and bare == name,
    )


def half_of(name: str, half: int) -> str:
    """Return the column of a score on one half of the images, 0 or 1: `miou_half0`."""
    return f"{name}_half{half}"


def chosen_by(score: str) -> dict[str, str]:
    """Return the fact of a table that says by which score its stitches are chosen, where that is not the usual one."""
    return {} if score == SCORE else {"score": score}


def at_batch(name: str, batch: int | None) -> str:
    """Return the name of a column at a batch size: `latency_ms@8`; at batch 1, and of MACs and scores, as it is.

    Raises:
        BudgetError: If the batch size is none.
    """
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise BudgetError(f"batch={batch!r} is not a number of images; write it as in batch=8.")
    plain = batch in (None, 1) or "@" in name or not column(name).per_batch
    return name if plain else f"{name}@{batch}"


def kinds_of(role: Role, *, per_batch: bool = False) -> tuple[Column, ...]:
    """Return the registered kinds with a role: of those measured on a machine, or of the others."""
    return tuple(kind for kind in COLUMNS.values() if kind.role == role and kind.per_batch == per_batch)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of columns, the standard ones first."""
    found = dict.fromkeys(names)
    return tuple(dict.fromkeys([name for kind in COLUMNS.values() for name in kind.shown if name in found] + [*found]))
