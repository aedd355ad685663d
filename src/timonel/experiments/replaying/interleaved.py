"""The sums of interleaved rankings, counted again: drafted anew, clicks credited anew."""

from itertools import groupby

from sqlalchemy import Connection, select

from timonel.experiments.counting.sums import DIFFERENCE, EXPOSED, HOUR_US, CellKey, PairSums
from timonel.experiments.counting.units import UnitKey, cells_of_unit
from timonel.experiments.design import Design
from timonel.experiments.rankings.draft import credit
from timonel.experiments.rankings.service import PHASE, clicks_of, closes_at, read_shown
from timonel.stats.moments import PER_UNIT
from timonel.store.tables_experiments import experiment_interleavings

Cells = dict[CellKey, PairSums]
_i = experiment_interleavings.c


def count_interleaved(
    connection: Connection, project: str, design: Design
) -> tuple[Cells, int, int]:
    """Count an experiment's lists again.

    Returns
    -------
    tuple of cells, int and int
        The sums, how many lists there are, and how many clicks.
    """
    query = (
        select(_i.unit_id, _i.request_id, _i.at, _i.document, _i.clicks)
        .where(_i.project == project, _i.experiment == design.name)
        .order_by(_i.unit_id, _i.at, _i.request_id)
    )
    rows = connection.execution_options(yield_per=1000).execute(query)
    cells: Cells = {}
    n_lists = n_clicks = 0
    for unit, group in groupby(rows, key=lambda row: row.unit_id):
        slot: int | None = None
        n = total = 0
        for row in group:
            slot = row.at // HOUR_US if slot is None else slot
            teams = read_shown(row.document).draft_again(design.salt, unit, row.request_id).teams
            clicks = clicks_of(row)
            n_lists, n_clicks = n_lists + 1, n_clicks + len(clicks)
            counted = [place for place, at in clicks if at < closes_at(design, slot)]
            n += sum(credit(teams, [place]) != 0 for place in counted)
            total += credit(teams, counted)
        arm = design.names[0]
        known = {EXPOSED: (arm, slot or 0, 1, 0)}
        if n:
            known[DIFFERENCE] = (arm, slot or 0, n, total * PER_UNIT)
        for key, sums in cells_of_unit(
            UnitKey(design.name, unit, PHASE), known, by_hour=True
        ).items():
            cells[key] = cells.get(key, PairSums()) + sums
    return {key: sums for key, sums in cells.items() if sums}, n_lists, n_clicks
