"""The read-only view of a project for notebooks: every question gives a polars DataFrame."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from sqlalchemy import Select, select

from timonel.app import App, open_app
from timonel.store.engine import reading
from timonel.store.tables import minute_windows, outcomes, predictions, truths


class View:
    """What a project has done so far; reads only.

    Examples
    --------
    >>> view = timonel.open(".")  # doctest: +SKIP
    >>> view.predictions("churn").join(view.outcomes("churn"), on="prediction_id")  # doctest: +SKIP
    """

    def __init__(self, app: App) -> None:
        self._app = app

    def __repr__(self) -> str:
        return f"<timonel project {self._app.name!r}: models {', '.join(self.models()) or 'none'}>"

    def models(self) -> list[str]:
        """Give the names of the declared models."""
        return self._app.registry.models()

    def versions(self, model: str | None = None) -> pl.DataFrame:
        """Give one row a version: stage, measured metrics, parent, when and by whom."""
        rows = [
            {
                "model": v.model,
                "version": v.version,
                "stage": v.stage,
                "parent": v.parent,
                **_figures(v.metrics),
                "created_at": _moment(v.created_at),
                "created_by": v.created_by,
            }
            for v in self._app.registry.versions(model)
        ]
        return pl.DataFrame(rows)

    def predictions(
        self, model: str, *, since: datetime | None = None, limit: int = 100_000
    ) -> pl.DataFrame:
        """Give the newest logged predictions, one row each, their features as ``feature.<name>``.

        Parameters
        ----------
        model : str
        since : datetime or None
            Only those answered at or after this moment (naive: UTC).
        limit : int
            Most rows.
        """
        query = (
            select(predictions)
            .where(predictions.c.project == self._app.name, predictions.c.model == model)
            .order_by(predictions.c.at.desc())
            .limit(limit)
        )
        if since is not None:
            moment = since if since.tzinfo else since.replace(tzinfo=UTC)
            query = query.where(predictions.c.at >= round(moment.timestamp() * 1e6))
        return _frame([_prediction(row) for row in self._rows(query)])

    def outcomes(self, model: str) -> pl.DataFrame:
        """Give the latest truth of every prediction that has one."""
        query = select(truths).where(truths.c.project == self._app.name, truths.c.model == model)
        return _frame(
            [
                {
                    "prediction_id": str(row["prediction_id"]),
                    "outcome": msgspec.json.decode(row["value"]),
                    "revision": row["revision"],
                    "arrived_at": _moment(row["arrived_at"]),
                }
                for row in self._rows(query)
            ]
        )

    def outcome_log(self, model: str) -> pl.DataFrame:
        """Give every outcome that ever arrived, also parked, repeated and unusable ones."""
        query = select(outcomes).where(
            outcomes.c.project == self._app.name, outcomes.c.model == model
        )
        return _frame(
            [
                {
                    "outcome_id": str(row["outcome_id"]),
                    "prediction_id": str(row["prediction_id"]) if row["prediction_id"] else None,
                    "key": row["key"],
                    "outcome": msgspec.json.decode(row["value"]),
                    "state": row["state"],
                    "origin": row["origin"],
                    "revision": row["revision"],
                    "arrived_at": _moment(row["arrived_at"]),
                }
                for row in self._rows(query)
            ]
        )

    def traffic(self, model: str) -> pl.DataFrame:
        """Give predictions a minute by version, source and reason, with their mean latency."""
        query = select(minute_windows).where(
            minute_windows.c.project == self._app.name, minute_windows.c.model == model
        )
        names = ("version", "source", "reason", "n", "latency_sum_us")
        rows = [
            {"minute": _moment(row["minute"] * 60_000_000), **{name: row[name] for name in names}}
            for row in self._rows(query)
        ]
        if not rows:
            return pl.DataFrame()
        return (
            pl.DataFrame(rows)
            .group_by("minute", "version", "source", "reason")
            .agg(pl.col("n").sum(), pl.col("latency_sum_us").sum())
            .with_columns((pl.col("latency_sum_us") / pl.col("n") / 1000).alias("latency_ms"))
            .drop("latency_sum_us")
            .sort("minute")
        )

    def _rows(self, query: Select[Any]) -> list[Any]:
        with reading(self._app.engine) as connection:
            return list(connection.execute(query).mappings())


def open_project(folder: str | Path = ".") -> View:
    """Open a project for reading (``timonel.open``).

    Raises
    ------
    ProjectFault
        If there is no project in the folder.
    StoreUnavailable
        If its database cannot be reached or has another schema.
    """
    app = open_app(Path(folder))
    app.require_prepared()
    return View(app)


def _figures(metrics: dict[str, Any]) -> dict[str, Any]:
    main = metrics.get("main", {})
    return {main["name"]: main.get("value")} if "name" in main else {}


def _prediction(row: Any) -> dict[str, Any]:
    names = ("model", "version", "variant", "source", "reason", "key", "unit_id", "score")
    features = msgspec.json.decode(row["features"])
    return {
        "prediction_id": str(row["prediction_id"]),
        "at": _moment(row["at"]),
        **{name: row[name] for name in names},
        "prediction": msgspec.json.decode(row["prediction"]),
        "latency_ms": row["latency_us"] / 1000,
        **{f"feature.{name}": value for name, value in features.items()},
    }


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)
