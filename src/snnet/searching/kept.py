# Tested in tests/searching/test_finding.py.
"""Scores of routes that a search keeps in a file, so that it goes on after an interruption."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snnet.errors import CheckpointError
from snnet.searching.scoring import Score
from snnet.space import Stitch
from snnet.training import content_digest
from snnet.utils import Record, read_record, sealed, write_json

_FORMAT, _VERSION = "snnet-search-scores", 1


class _KeptScore(Record):
    divergence: float
    own: float
    agreement: float
    loss: float
    images: int


class _Kept(Record):
    search: str
    scores: dict[str, list[_KeptScore]]


class KeptScores:
    """Scores that an earlier call of the same search has found.

    Args:
        path: The file; None keeps nothing. One that is damaged, or of another search, is written anew.
        facts: What the scores depend on: tensors and plain values, in mappings and sequences.
    """

    def __init__(self, path: Path | None, facts: Mapping[str, Any]) -> None:
        self._path, self._scores = path, dict[tuple[str, int], Score]()
        if path is None:
            return
        self._search = content_digest(facts)
        with suppress(CheckpointError):
            kept = read_record(path, _Kept, what="search", format=_FORMAT, version=_VERSION, error=CheckpointError)
            if kept.search == self._search:
                found = [
                    (route, Score(**score.model_dump())) for route, scores in kept.scores.items() for score in scores
                ]
                self._scores = {(route, score.images): score for route, score in found}

    def of(self, routes: Sequence[Stitch], images: int) -> dict[Stitch, Score] | None:
        """Return what routes scored on so many images, if that is known of all of them."""
        known = [self._scores.get((route.id, images)) for route in routes]
        found = {route: score for route, score in zip(routes, known, strict=True) if score is not None}
        return found if len(found) == len(routes) else None

    def add(self, scores: Mapping[Stitch, Score]) -> None:
        """Keep scores."""
        if self._path is None:
            return
        self._scores |= {(route.id, score.images): score for route, score in scores.items()}
        every: dict[str, list[dict[str, Any]]] = {}
        for (route, _), score in self._scores.items():
            every.setdefault(route, []).append(asdict(score))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            self._path, sealed({"format": _FORMAT, "version": _VERSION, "search": self._search, "scores": every})
        )
