"""A gate says PASS, FAIL or UNDECIDED, and what would decide."""

import numpy as np
import pytest

from timonel.stats.gates import (
    GateResult,
    Verdict,
    alpha_for_look,
    paired_gate_accuracy,
    paired_gate_loss,
)
from timonel.stats.paired import relative_gain, tango


def correct(only_candidate: int, only_champion: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    candidate, champion = np.ones(n, bool), np.ones(n, bool)
    champion[:only_candidate] = False
    candidate[only_candidate : only_candidate + only_champion] = False
    return candidate, champion


def judge(only_candidate: int, only_champion: int, n: int, *, margin: float = 0.02) -> GateResult:
    return paired_gate_accuracy(*correct(only_candidate, only_champion, n), margin=margin)


def test_a_better_candidate_passes_and_is_called_better() -> None:
    found = judge(60, 20, 1000)
    assert found.verdict is Verdict.PASS
    assert found.better
    assert found.difference == pytest.approx(0.04)
    assert found.lower is not None
    assert found.lower > 0


def test_an_equal_candidate_passes_without_being_better() -> None:
    found = judge(30, 30, 1000)
    assert found.verdict is Verdict.PASS
    assert not found.better
    assert found.n_to_decide is None


def test_the_same_model_passes() -> None:
    assert judge(0, 0, 200).verdict is Verdict.PASS


def test_a_worse_candidate_fails() -> None:
    found = judge(10, 90, 1000)
    assert found.verdict is Verdict.FAIL
    assert "worse" in found.reason


def test_too_few_units_decide_nothing_and_say_how_many_would() -> None:
    few = judge(6, 6, 199)
    assert few.verdict is Verdict.UNDECIDED
    assert "199 units" in few.reason
    unclear = judge(6, 6, 200)
    assert unclear.verdict is Verdict.UNDECIDED
    # the figure of an equal candidate that disagrees on 6 % of the units
    assert unclear.n_to_decide == 928
    assert "928" in unclear.reason
    none = paired_gate_accuracy([], [])
    assert none.verdict is Verdict.UNDECIDED
    assert none.difference is None


def test_what_would_decide_is_always_more_than_there_is() -> None:
    found = judge(5, 60, 2000)
    assert found.verdict is Verdict.FAIL
    unclear = judge(180, 200, 1000, margin=0.01)
    assert unclear.n_to_decide is not None
    assert unclear.n_to_decide > 1000


def test_units_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="3 and for 2"):
        paired_gate_accuracy([True] * 3, [True] * 2)
    with pytest.raises(ValueError, match="units"):
        paired_gate_loss([1.0] * 3, [1.0] * 2, metric="mae")
    with pytest.raises(ValueError, match="discordant"):
        tango(3, 3, 5)


def test_losses() -> None:
    rng = np.random.default_rng(0)
    champion = rng.exponential(size=1000)
    for metric in ("mae", "rmse"):
        better = paired_gate_loss(champion * 0.9, champion, metric=metric)
        assert better.verdict is Verdict.PASS
        assert better.better
        worse = paired_gate_loss(champion * 1.1, champion, metric=metric)
        assert worse.verdict is Verdict.FAIL
        unclear = paired_gate_loss(champion[250::-1], champion[:251], metric=metric)
        assert unclear.verdict is Verdict.UNDECIDED
        assert (unclear.n_to_decide or 0) > 251


def test_a_perfect_champion_leaves_no_ratio() -> None:
    found = paired_gate_loss(np.ones(300), np.zeros(300), metric="mae")
    assert found.verdict is Verdict.UNDECIDED
    assert "ratio" in found.reason
    assert relative_gain(np.ones(3), np.ones(3)).reason == "only 3 units, at least 20 are needed"


def test_the_levels_of_all_looks_sum_to_alpha() -> None:
    spent = sum(alpha_for_look(j) for j in range(1, 100_000))
    assert spent == pytest.approx(0.05, abs=1e-6)
    assert spent < 0.05
    with pytest.raises(ValueError, match="look 0"):
        alpha_for_look(0)


def pass_rate(n: int, worse_by: float, alpha: float, n_draws: int, seed: int) -> float:
    """Candidates that disagree with the champion on 6 % of the units."""
    shares = [0.03 - worse_by / 2, 0.03 + worse_by / 2, 0.94]
    draws = np.random.default_rng(seed).multinomial(n, shares, size=n_draws)
    bounds = [tango(int(b), int(c), n, alpha=alpha).lower or -1.0 for b, c, _ in draws]
    return float(np.mean(np.array(bounds) > -0.02))


def test_an_equal_model_passes_as_often_as_promised() -> None:
    assert pass_rate(200, 0.0, 0.05, 1500, 1) == pytest.approx(0.28, abs=0.04)
    assert pass_rate(928, 0.0, 0.05, 1500, 2) == pytest.approx(0.80, abs=0.04)


def test_a_worse_model_hardly_passes_in_thirty_nights() -> None:
    """Each night judges a new candidate, two points worse, on 400 new units."""
    nights = [pass_rate(400, 0.02, alpha_for_look(j), 300, j) for j in range(1, 31)]
    naive = [pass_rate(400, 0.02, 0.05, 50, j) for j in range(1, 31)]
    assert 1 - np.prod(1 - np.array(nights)) <= 0.06
    assert 1 - np.prod(1 - np.array(naive)) > 0.6


def test_the_document_is_plain() -> None:
    document = judge(6, 6, 200).document()
    assert document["verdict"] == "UNDECIDED"
    assert type(document["verdict"]) is str
    assert document["better"] is False
