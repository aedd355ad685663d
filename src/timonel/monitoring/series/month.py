"""What the checks of one run read of a model's last weeks, each thing once for all of them."""

from sqlalchemy import Connection, Engine

from timonel.events.outcomes import complete_until
from timonel.monitoring.windows import DAY_H, HOUR_US, WEEK_H
from timonel.store.engine import reading
from timonel.store.reads_series import (
    LabelledHours,
    VersionHours,
    read_counted_hours,
    read_label_hours,
)

LOOK_BACK_H = 35 * 24
_CENTURY_H = 876_000  # since 1970; no event is younger than 2069


class Month:
    """The last weeks of a model as one run of its checks sees them.

    What lands while they run is seen by the next run. Nothing is kept from one to the other, so
    that what a check says follows from the database alone, whoever asks and whenever it began.
    """

    def __init__(self, engine: Engine, project: str, model: str) -> None:
        self._engine = engine
        self._project = project
        self._model = model
        self._closed: list[int | None] = []
        self._counted: VersionHours | None = None
        self._labels: dict[tuple[str, str, bool], LabelledHours] = {}

    def closed_hour(self) -> int | None:
        """Give the epoch hour that the watermark is in; None while no drainer lives."""
        if not self._closed:
            with reading(self._engine) as connection:
                self._closed.append(closed_hour(connection, self._project))
        return self._closed[0]

    def counted(self, since_h: int) -> VersionHours:
        """Count rows by hour, profile and version, from an hour of the last weeks on."""
        if self._counted is None:
            earliest = (self.closed_hour() or since_h) - LOOK_BACK_H - WEEK_H - DAY_H
            with reading(self._engine) as connection:
                self._counted = read_counted_hours(connection, self._project, self._model, earliest)
        return self._counted.since(since_h)

    def labels(self, version: str, metric: str, *, by_arrival: bool = False) -> LabelledHours:
        """Give a version's own labels of the last weeks by hour of prediction or of arrival."""
        key = (version, metric, by_arrival)
        if key not in self._labels:
            since_h = first_hour(self.closed_hour() or 0)
            with reading(self._engine) as connection:
                self._labels[key] = read_label_hours(
                    connection,
                    self._project,
                    self._model,
                    version,
                    metric,
                    since_h,
                    by_arrival=by_arrival,
                )
        return self._labels[key]


def closed_hour(connection: Connection, project: str) -> int | None:
    """Give the epoch hour that the watermark is in; None while no drainer lives."""
    until = complete_until(connection, project) // HOUR_US
    return until if until < _CENTURY_H else None


def first_hour(closed_h: int) -> int:
    """Give the hour from which windows are looked at: whole weeks, so that none is cut."""
    since = closed_h - LOOK_BACK_H
    return since - since % WEEK_H
