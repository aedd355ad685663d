"""The past of a simulated city as a table to train on."""

from datetime import UTC, datetime

import numpy as np
import polars as pl

from timonel.simulate.city import INPUTS, NO_DRIFT, City, CitySettings, Drift

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def history(
    n: int,
    *,
    seed: int = 42,
    start: datetime = START,
    drift: Drift = NO_DRIFT,
    settings: CitySettings | None = None,
) -> pl.DataFrame:
    """Live through ``n`` calls of a city and write down what was known, and what came of it.

    Parameters
    ----------
    n : int
        Rows; 20,000 are about five and a half weeks.
    seed : int
        The same seed gives the same rows.
    start : datetime
        When the first call may come; aware.
    drift : Drift
        How the city has changed; by default not at all.

    Returns
    -------
    polars.DataFrame
        ``dispatch_id``, ``requested_at`` (UTC), the thirteen inputs of ``city.INPUTS``,
        ``was_optimal`` (0 or 1), oldest first.
    """
    city = City(
        np.random.default_rng(seed),
        round(start.timestamp() * 1e6),
        settings=settings,
        drift=drift,
        prefix=f"h{seed}",
    )
    ids: list[str] = []
    times: list[int] = []
    rows: list[tuple[float, ...]] = []
    truths: list[int] = []
    for _ in range(n):
        call = city.next_call()
        truth = city.carry_out(call, city.decide(call))
        ids.append(call.dispatch_id)
        times.append(call.at_us)
        rows.append(tuple(call.inputs.values()))
        truths.append(truth.was_optimal)
    columns = list(zip(*rows, strict=True)) or [()] * len(INPUTS)
    return pl.DataFrame(
        {
            "dispatch_id": pl.Series(ids, dtype=pl.String),
            "requested_at": pl.Series(times, dtype=pl.Datetime("us", "UTC")),
            **dict(zip(INPUTS, columns, strict=True)),
            "was_optimal": pl.Series(truths, dtype=pl.Int64),
        }
    )
