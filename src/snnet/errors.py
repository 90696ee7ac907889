# Tested in tests/cli/test_errors.py.
"""Errors a user can meet. Every message gives the value, what is accepted, and the fix."""

from collections.abc import Iterable
from difflib import get_close_matches


class SNNetError(Exception):
    """Base of all errors that this library raises on purpose."""


class SpaceError(SNNetError, ValueError):
    """A space, a stitch or a setting of a space that cannot exist."""


class AnchorError(SNNetError, ValueError):
    """An anchor that cannot be found, read, or joined with the others."""


class HeadError(SNNetError, ValueError):
    """A dense head that cannot be built, or that does not fit the maps which it is to read."""


class DataError(SNNetError, ValueError):
    """Images or labels that are missing, unreadable, or do not fit the network."""


class RecipeError(SNNetError, ValueError):
    """A recipe or a setting with faults; the message lists all of them."""


class BudgetError(SNNetError, ValueError):
    """A budget that nothing fits, or that asks for a column that was not measured."""


class TableError(SNNetError, ValueError):
    """A stitch table that cannot be read or does not belong to the network."""


class CheckpointError(SNNetError, RuntimeError):
    """A file of weights or of training state that cannot be read or written."""


class TrainingError(SNNetError, RuntimeError):
    """A training run that cannot go on."""


class EngineError(SNNetError, RuntimeError):
    """A stitch that an engine cannot make ready or run as asked."""


class WorkerLostError(EngineError):
    """What ran a batch has died; the batch can be run again elsewhere.

    Args:
        message: Which one, and how it ended.
        began: Whether it may have begun with the batch; False if it was dead before.
    """

    def __init__(self, message: str, began: bool = True) -> None:
        super().__init__(message)
        self.began = began


class ExportError(SNNetError, RuntimeError):
    """An export that does not compute what the network does, or files of one that are missing or damaged."""


class ExtraError(SNNetError, ImportError):
    """A package that only some uses need is not installed; the message names the extra that brings it."""


class ProcessLostError(TrainingError):
    """One of the processes that worked together has ended, and the others cannot go on without it."""


class MeasurementWarning(UserWarning):
    """A choice by latencies that were measured while the machine had other work, and are worth little."""


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x' or 'y'?` for the names nearest to `value`, or an empty string."""
    near = get_close_matches(value, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
