"""What is known of stitches, and the choice among a few, worked out beforehand for every set of limits."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from snnet.errors import BudgetError, TableError
from snnet.export.bundle import Bundle
from snnet.network import SNNet
from snnet.space import Stitch
from snnet.table import (
    COST,
    LATENCY,
    PROFILE,
    Budget,
    Ranking,
    StitchTable,
    at_batch,
    check_profile,
    column,
    in_precision,
    measured,
    precisions_of,
    warn_of_doubts,
    with_precisions,
    without_profile,
    without_scores,
)


class Menu:
    """The stitches among which a runtime chooses: what `snnet.select` finds, sorted once for each set of limits.

    Args:
        table: Rows of these stitches.
        prefer: Column to be best in; the score that the table is chosen by if None.
        precision: What the stitches run in, such as `bf16`; the network's own if None.
        engine: What the stitches run on, such as `onnxruntime`; any if None.
        any_machine: Take what was measured on another machine or engine, or in another precision, as it is.

    Raises:
        BudgetError: If the table lacks the column, or has no row with a value in it.
        TableError: If the column was measured on another machine or engine, or in another precision.
    """

    def __init__(
        self,
        table: StitchTable,
        prefer: str | None = None,
        *,
        precision: str | None = None,
        engine: str | None = None,
        any_machine: bool = False,
    ) -> None:
        preferred = prefer or table.score

        @cache
        def ranking(names: tuple[str, ...], batch: int) -> Ranking:
            columns = [at_batch(name, batch) for name in names]
            warn_of_doubts(table, (preferred, *columns), {row.stitch for row in table}, level=2)
            return Ranking(table, preferred, columns, precision=precision, engine=engine, any_machine=any_machine)

        self._ranking = ranking
        scored = {row.stitch for row in self._ranking((), 1).rows}
        self.table = table.where(lambda row: row.stitch in scored)
        if not scored:
            self.best({})
        self._rows = {row.route: row for row in self.table}

    def best(
        self, limits: Mapping[str, float], batch: int = 1, among: Callable[[Stitch], bool] | None = None
    ) -> Stitch:
        """Return the best stitch within all limits.

        Args:
            limits: Column -> limit, as `snnet.select` takes them.
            batch: Images per batch: latencies are limited as measured for so many.
            among: Tells which stitches may be chosen; all if None.

        Raises:
            BudgetError: If a limit is not a number, a column does not exist, or nothing fits.
            TableError: If a column was measured on another machine or engine, or in another precision.
        """
        ranking = self._ranking(tuple(limits), batch)
        budget = Budget(dict(zip(ranking.columns, limits.values(), strict=True)))
        return ranking.best(budget, None if among is None else lambda row: among(row.route)).route

    def cheapest(self, name: str, batch: int = 1) -> Stitch:
        """Return the stitch that is best in a column; among equals the one that `best` would take.

        Raises:
            BudgetError: If no stitch has a value in it.
        """
        found = self._ranking((name,), batch).cheapest()
        if found is None:
            command = column(name).command or "snnet profile"
            raise BudgetError(f"No stitch has a finite {at_batch(name, batch)!r}; `{command}` measures it.")
        return found.route

    def value(self, stitch: Stitch, name: str, batch: int = 1) -> float:
        """Return what the table says of a stitch."""
        return self._rows[stitch].values[at_batch(name, batch)]


def spread(stitches: Iterable[Stitch]) -> list[Stitch]:
    """Return sorted stitches in an order whose every beginning covers them evenly: the ends, the middle, quarters."""
    given = list(stitches)
    order, spans = dict.fromkeys((*given[:1], *given[-1:])), [(0, len(given) - 1)]
    while spans:
        low, high = spans.pop(0)
        middle = (low + high) // 2
        if low < middle:
            order[given[middle]] = None
            spans += [(low, middle), (middle, high)]
    return list(order)


def known_table(net: SNNet | Bundle, profile: StitchTable | None) -> StitchTable:
    """Return what is known of a network's or bundle's stitches, with a profile laid over it, in each precision.

    Raises:
        BudgetError: If nothing is.
    """
    known, table = net.table, net.table if profile is None else profile
    if table is None:
        raise BudgetError(
            "This network has no table to choose from; snnet.profile(net) measures costs and snnet.evaluate(net, data) "
            "scores."
        )
    # Scores belong to the network and latencies to a machine: a profile alone need not have the first.
    if known is None or profile is None:
        return table
    if isinstance(net, Bundle):
        exported = {row.stitch for row in known}
        # Scores of a bundle are its own: those of the network are not for weights of 8 bits.
        profile = without_scores(profile.where(lambda row: row.stitch in exported))
    layers = {name: in_precision(profile, name) for name in {*precisions_of(known), *precisions_of(profile)}}
    laid = {name: _laid(in_precision(known, name), over) for name, over in layers.items()}
    return with_precisions(laid.pop(""), laid)


def _laid(known: StitchTable, profile: StitchTable) -> StitchTable:
    """Return what is known in one precision with a profile laid over it."""
    if not known:
        return profile
    # Of two machines' numbers only the profile's may stay, for it says which machine the table is of.
    return (without_profile(known) if PROFILE in profile.meta else known).merge(profile)


def usual_cost(table: StitchTable, kind: dict[str, str] | None, *, refusing: bool) -> str:
    """Return `latency_ms` where every stitch has one that holds here, else `macs`.

    Raises:
        TableError: If `refusing`, and they were measured here with another engine.
    """
    timed = [name for name in table.columns if column(name).kind == LATENCY]
    if kind is not None and timed:
        try:
            check_profile(table.meta, timed, kind["precision"])
        except TableError:
            return COST
        try:
            check_profile(table.meta, timed, **kind)
        except TableError as error:
            if refusing:
                raise TableError(f"{error} With cost={COST!r} the runtime keeps limits on what is counted.") from None
            return COST
    return LATENCY if all(measured(row, LATENCY) for row in table) else COST
