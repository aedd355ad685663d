"""Two forecasts of the same series and periods: clusters in two ways, from the drain to a look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.forecast_simulation import World as Made
from benchmarks.forecast_simulation import play
from numpy.typing import NDArray
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.events.frames import OutcomeFrame, PredictionFrame, ShadowAnswer
from timonel.experiments.counting.cells import ExperimentCells
from timonel.experiments.counting.losses import with_stock
from timonel.experiments.counting.sums import PairSums
from timonel.experiments.design import Design, Mode
from timonel.experiments.errors import InvalidDesign
from timonel.experiments.judging.evidence import Evidence
from timonel.experiments.judging.look import Look, Rule, Unsaid, Verdict
from timonel.experiments.judging.pairs import clustered, paired_difference
from timonel.experiments.reporting.markdown import markdown
from timonel.experiments.service import Experiments
from timonel.experiments.wishes import Wish, design_of
from timonel.registry.registry import Registry
from timonel.stats.moments import quantise
from timonel.store.control import ensure_project, read_generation
from timonel.store.engine import make_engine
from timonel.testing.builders import PROJECT, make_manifest, register_version
from timonel.testing.events import Bench, Events

DAY_S = 86_400.0
SKUS, DAYS = 24, 26
COSTS = {"holding": 1.0, "shortage": 4.0}
PAIRED = {"model": "demand", "task": "regression", "depends_on_action": False}


def paired(**changes: Any) -> Design:
    wish = {"name": "demand", "template": "demand-forecast", "mode": "shadow", "period_h": 24.0}
    versions = {"control": "1.0.0", "treatment": "1.1.0"}
    return design_of(Wish(**(wish | versions | changes)), **PAIRED)  # type: ignore[arg-type]


# --- arithmetic


def sums_by(groups: NDArray[np.int64], values: NDArray[np.float64]) -> PairSums:
    total = PairSums()
    for group in np.unique(groups):
        mine = [quantise(value) for value in values[groups == group]]
        total += PairSums.pair(sum(mine), len(mine))
    return total


def test_the_error_is_that_of_statsmodels_clustered_in_two_ways() -> None:
    rng = np.random.default_rng(4)
    n = 900
    sku, week = rng.integers(0, 40, n), rng.integers(0, 25, n)  # some weeks lack some series
    values = rng.normal(0.1, 1.0, n) + rng.normal(0, 0.5, 25)[week] + rng.normal(0, 0.4, 40)[sku]
    values = np.round(values, 6)
    fitted = OLS(values, np.ones(n)).fit()
    # without its correction (n - 1) / (n - 1) of one parameter it is the same: g / (g - 1) each
    _, by_sku, by_week = cov_cluster_2groups(fitted, sku, week, use_correction=True)
    evidence = Evidence(
        at=0,
        difference=sums_by(sku, values),
        periods=sums_by(week, values),
        each=sum((PairSums.of(quantise(value)) for value in values), PairSums()),
    )
    for sums, expected in ((evidence.difference, by_sku), (evidence.periods, by_week)):
        found = clustered(sums)
        assert found is not None
        assert found == pytest.approx((fitted.params[0], float(expected[0, 0]) ** 0.5), rel=1e-9)
    compared = paired_difference(paired(), evidence)
    assert compared is not None
    alone = float(np.var(values, ddof=1)) / n
    both = float(by_sku[0, 0] + by_week[0, 0]) - alone
    assert compared == pytest.approx((fitted.params[0], both**0.5, 25.0), rel=1e-9)
    assert clustered(PairSums()) is None
    assert clustered(PairSums.pair(5, 3)) is None  # one cluster says nothing of others


def test_what_shares_neither_week_nor_series_is_never_surer_than_one_way() -> None:
    # differences that cancel within each week: by two ways the estimate would be negative
    steps = np.tile([1.0, -1.0], (20, 12)).ravel()
    rows = np.repeat(np.arange(20), 24)
    columns = np.tile(np.arange(24), 20)
    evidence = Evidence(
        at=0,
        difference=sums_by(rows, steps),
        periods=sums_by(columns, steps),
        each=sum((PairSums.of(quantise(value)) for value in steps), PairSums()),
    )
    compared, by_week = paired_difference(paired(), evidence), clustered(evidence.periods)
    assert compared is not None
    assert by_week is not None
    assert compared[1] == by_week[1] > 0.0


@pytest.mark.slow
def test_without_a_difference_few_runs_decide_though_weeks_and_series_are_shared() -> None:
    runs, rng = 200, np.random.default_rng(9)
    world = Made("both", by_week=0.5, by_series=0.3)
    wrong = sum(play(world, rng).verdict is not Verdict.CONTINUE for _ in range(runs))
    assert wrong <= 0.05 * runs + 3 * (0.05 * 0.95 * runs) ** 0.5


# --- the design


def test_a_template_with_two_versions_is_paired_and_needs_no_list() -> None:
    design = paired(period_h=None)
    assert (design.mode, design.unit, design.period_s) == (Mode.SHADOW, "unit", 7 * 86_400)
    assert (design.metric, design.higher_is_better) == ("absolute_error", False)
    assert not design.needs_list


def test_costs_make_the_goal_and_stockouts_stand_beside_it() -> None:
    design = paired(**COSTS)
    assert design.paired == ("cost", "stockout")
    assert not design.higher_is_better
    assert paired(**COSTS, metric="absolute_error").paired[1:] == ("cost", "stockout")
    assert paired().paired == ("absolute_error", "stockout")


@pytest.mark.parametrize(
    ("forecast", "demand", "stockout", "cost"),
    [
        (10.0, 7.0, 0.0, 3.0),  # three are left
        (10.0, 12.5, 1.0, 10.0),
        (10.0, 10.0, 0.0, 0.0),
        (-3.0, 2.0, 1.0, 8.0),  # nothing is stocked, never less
        (-3.0, 0.0, 0.0, 0.0),
        (-3.0, -1.0, 0.0, 1.0),  # one was brought back
    ],
)
def test_what_it_costs_to_have_stocked_a_forecast(
    forecast: float, demand: float, stockout: float, cost: float
) -> None:
    scores = {"error": forecast - demand}
    found = with_stock(paired(**COSTS), scores, demand)
    assert found == scores | {"stockout": stockout, "cost": cost}
    assert with_stock(paired(also=["squared_error"]), scores, demand) == scores
    assert with_stock(paired(**COSTS), {}, "none") == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"period_h": 36.0}, "period is 36 h, expected whole days"),
        ({"period_h": 1.0}, "period is 1 h"),
        ({"unit": "request"}, "unit is request"),
        ({"template": "", "mode": "split"}, "mode is split, expected shadow"),
        ({"template": "churn-alert"}, "mode is shadow, expected outside"),
        ({"metric": "cost"}, "costs is -, expected what a piece costs"),
        ({"holding": 1.0}, "shortage is -"),
        ({"holding": 1.0, "shortage": 0.0}, "shortage is 0, expected more than 0"),
        ({"holding": 1.0, "shortage": float("inf")}, "shortage is inf"),
        (
            {**COSTS, "metric": "stockout", "also": ["squared_error"]},
            "costs is 1, 4, expected none",
        ),
        ({"also": ["revenue"]}, "also is revenue, expected absolute_error, squared_error"),
        ({"also": ["absolute_error"]}, "expected each metric once"),
        ({"template": "", "metric": "stockout", "unit": "unit", "period_h": None}, "period is -"),
        ({"template": "", "also": ["stockout"], "period_h": None}, "expected mode outside, or a p"),
        ({**COSTS, "template": "", "mode": "split", "period_h": None}, "costs is 1, 4"),
    ],
)
def test_a_period_that_could_not_be_honoured_is_refused(
    office: "Office", changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidDesign, match=field):
        office.experiments.create(paired(**changes), who="ana")


# --- from the drain to a look


class Office:
    """Two forecasters of daily sales, the second heard by nobody."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine = make_engine(url)
        ensure_project(self.engine, PROJECT, "America/Santiago")
        self.bench = Bench(self.engine, folder)
        registry = Registry(self.engine, PROJECT, self.bench.clock)
        manifest = make_manifest(
            "demand", task="regression", classes=None, positive=None, predictor="linear"
        )
        registry.declare(manifest)
        for training in ("1", "2"):
            made = register_version(
                registry, training, model="demand", recipe=training, manifest=manifest
            )
            if training == "1":
                registry.promote("demand", made.version, who="ana", reason="first")
            self.newest = made.version
        self.experiments = Experiments(
            self.engine, PROJECT, self.bench.clock, registry, lambda signal: None
        )
        self.events = Events(3, "demand")
        self.sold = np.zeros((SKUS, 0))
        self.forecasts = np.zeros((2, SKUS, 0))

    def begin(self, **changes: Any) -> None:
        self.experiments.create(paired(treatment=self.newest, **changes), who="ana")
        self.experiments.start("demand", who="ana")
        # a period begins at midnight UTC
        self.bench.clock.advance(DAY_S - self.bench.clock.now_us() / 1e6 % DAY_S)

    def day(self, rng: np.random.Generator, gain: float) -> None:
        """Forecast every series in the morning; the truth comes the next day."""
        frames: list[PredictionFrame] = []
        truths: list[OutcomeFrame] = []
        sold = np.round(rng.uniform(50, 100, SKUS), 2)
        weather = rng.normal(0, 1, (2, 1))  # of each forecast its own, for all series alike
        error = np.round(rng.normal(0, 3, (2, SKUS)) + weather, 2)
        error[1] = np.round(error[1] * gain, 2)
        at = self.bench.clock.now_us()
        for sku in range(SKUS):
            heard, unheard = (round(float(sold[sku] + error[one, sku]), 2) for one in (0, 1))
            shadow = ShadowAnswer("demand:treatment", self.newest, unheard, None, 9)
            frames.append(
                self.events.prediction(
                    at=at,
                    model="demand",
                    version="1.0.0",
                    variant="demand:control",
                    unit=f"sku-{sku}",
                    generation=read_generation(self.engine, PROJECT),
                    prediction=heard,
                    score=None,
                    probabilities=None,
                    shadow=shadow,
                )
            )
        self.bench.clock.advance(DAY_S)
        later = self.bench.clock.now_us() - 1
        for frame, truth in zip(frames, sold, strict=True):
            truths.append(self.events.outcome(float(truth), prediction=frame.id, at=later))
        rng.shuffle(truths)
        self.bench.write(*frames, *truths)
        self.sold = np.column_stack([self.sold, sold])
        self.forecasts = np.concatenate([self.forecasts, (sold + error)[:, :, None]], axis=2)

    def losses(self, metric: str, n_days: int) -> NDArray[np.float64]:
        """Give what both lost, by the forecasts themselves; (2, SKUS, n_days)."""
        apart = np.round(self.forecasts - self.sold, 2)[:, :, :n_days]
        found: NDArray[np.float64] = {
            "absolute_error": np.abs(apart),
            "stockout": (apart < 0).astype(np.float64),
            "cost": np.where(apart < 0, -4.0 * apart, apart),
        }[metric]
        return found

    def look(self) -> Look:
        drainer = Drainer(
            self.engine,
            project=PROJECT,
            folders=[self.bench.slot("slot-0")],
            drainer_id="drainer-0",
            accumulators=[
                *default_accumulators(self.engine, PROJECT),
                ExperimentCells(PROJECT),
            ],
            clock=self.bench.clock,
        )
        drainer.drain_once()
        return self.experiments.look("demand")


@pytest.fixture
def office(sqlite_database: str, tmp_path: Path) -> Iterator[Office]:
    office = Office(sqlite_database, tmp_path / "spool")
    yield office
    office.engine.dispose()


def test_a_better_forecast_is_found_by_days_and_every_sum_is_counted_again(
    office: Office,
) -> None:
    office.begin(**COSTS)
    rng = np.random.default_rng(5)
    for _ in range(10):
        office.day(rng, 0.4)
    few = office.look()
    assert (few.verdict, few.rule) == (Verdict.CONTINUE, Rule.TOO_FEW_PERIODS)
    assert [one.reason for one in few.compared] == [Unsaid.FEW_PERIODS] * 2
    assert [one.p_value for one in few.goals] == [1.0]
    for _ in range(DAYS - 10):
        office.day(rng, 0.4)
    look = office.look()
    goal = look.goal
    assert goal is not None
    n_days = int(goal.information)
    assert 20 <= n_days < DAYS  # the last days are not mature yet
    assert goal.metric == "cost"
    for one in look.compared:
        heard, unheard = office.losses(one.metric, n_days).mean(axis=(1, 2))
        assert one.reason is None
        assert (one.control, one.treatment, one.effect) == pytest.approx(
            (heard, unheard, unheard - heard), abs=1e-9
        )
        assert one.n_control == SKUS * n_days
        assert one.p_value is not None
        assert one.adjusted_p is not None
        assert one.p_value <= one.adjusted_p <= 1.0
    assert [one.metric for one in look.compared] == ["cost", "stockout"]
    assert look.compared[0].effect == goal.effect
    assert (look.verdict, look.rule) == (Verdict.PROMOTE, Rule.LOSS_SMALLER)
    replayed = office.experiments.replay("demand")
    assert replayed.all_same, (replayed.differences, replayed.log)
    page = markdown(office.experiments.report("demand"), lang="es", zone="America/Santiago")
    assert f"Períodos completos: {n_days}." in page
    assert f"el tratamiento tuvo mejor suma en {look.pairs['control']}" in page
    assert "| costos de una pieza | 1,0000 si sobra, 4,0000 si falta;" in page
    assert "| `stockout` | secundaria | treatment |" in page
