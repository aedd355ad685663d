import subprocess
import sys
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timonel.experiments.assignment import assign, by_range, fnv1a_share

UNITS = [f"customer-{i}" for i in range(20_000)]


def shares_of(weights: list[float], **how: str) -> np.ndarray:
    found = [assign("share", unit, weights, **how) for unit in UNITS]  # type: ignore[arg-type]
    return np.bincount(found, minlength=len(weights)) / len(UNITS)


@pytest.mark.parametrize("hash", ["blake2b", "fnv1a"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_shares_come_out_as_asked(share: float, hash: str) -> None:
    found = shares_of([1 - share, share], hash=hash)[1]
    assert found == pytest.approx(share, abs=0.015 if 0 < share < 1 else 0.0)


@pytest.mark.parametrize(
    "weights",
    [[0.0, 0.3, 0.7], [0.4, 0.6, 0.0], [0.1] * 10, [0.0, *[0.1] * 10], [0.05, 0.8, 0.05, 0.1]],
)
def test_shares_of_several_variants(weights: list[float]) -> None:
    found = shares_of(weights)
    assert found == pytest.approx(weights, abs=0.015)
    assert np.all(found[np.array(weights) == 0.0] == 0.0)


def test_fixed_vectors() -> None:
    # the bucket of 2^64, computed apart from the function; two variants lie side by side
    for salt, unit, bucket in [
        ("churn-2", "u1", 14426315840194350656),
        ("churn-2", "u2", 4155179810775315801),
        ("prices", "ñandú-7", 12961632732007073004),
        ("", "", 16476032584258269876),
    ]:
        digest = blake2b((salt + unit).encode("utf-8"), digest_size=8).digest()
        assert int.from_bytes(digest, "big") == bucket
        share = bucket / 2**64
        assert assign(salt, unit, [share - 0.001, 1.001 - share]) == 1
        assert assign(salt, unit, [share + 0.001, 0.999 - share]) == 0


@pytest.mark.parametrize(
    ("seed", "value", "expected"),
    # the public cases of GrowthBook's SDKs, hash version 2
    [
        ("seed", "a", 0.0505),
        ("seed", "b", 0.2696),
        ("foo", "ab", 0.2575),
        ("foo", "def", 0.2019),
        ("89123klj", "8952klfjas09ujkasdf", 0.124),
        ("90850943850283058242805", "123", 0.7516),
        ("()**(%$##$%#$#", '___)((*":&', 0.0128),
    ],
)
def test_growthbook_version_2(seed: str, value: str, expected: float) -> None:
    assert fnv1a_share(seed, value) == expected
    at = int(expected * 10_000)
    below, above = at / 10_000, (at + 1) / 10_000
    assert assign(seed, value, [below, 1 - below], hash="fnv1a") == 1
    assert assign(seed, value, [above, 1 - above], hash="fnv1a") == 0


def test_fnv1a_reads_code_units() -> None:
    def reference(text: str) -> int:
        # FNV-1a of 32 bits over what charCodeAt gives
        found = 2166136261
        for unit in memoryview(text.encode("utf-16-le")).cast("H"):
            found = ((found ^ unit) * 16777619) % 2**32
        return found

    for text in ("ñandú", "漢字", "🦤", ""):
        assert fnv1a_share("s", text) == reference(str(reference("s" + text))) % 10_000 / 10_000
    # a published value of FNV-1a: that of "foobar" is 0xbf9cf968
    assert reference("foobar") == 0xBF9CF968


@pytest.mark.parametrize("n_treatments", [1, 2, 3, 5])
def test_growing_shares_never_take_a_treatment_away(n_treatments: int) -> None:
    rng = np.random.default_rng(n_treatments)
    # any steps within zones of equal width; for up to two treatments, any steps at all
    most = 1.0 if n_treatments <= 2 else 1.0 / n_treatments
    units = UNITS[:3000]
    for _ in range(6):
        final = rng.dirichlet(np.ones(n_treatments + 1))[1:]
        final = np.minimum(final, most)
        parts = np.sort(rng.uniform(size=(4, n_treatments)), axis=0)
        steps = [(final * part).tolist() for part in parts]
        seen = [[assign("ramp", u, [1 - sum(step), *step]) for u in units] for step in steps]
        for before, after in pairwise(seen):
            assert all(new == old for old, new in zip(before, after, strict=True) if old)


def test_a_ramp_of_large_shares_in_proportion_never_brings_a_unit_back() -> None:
    weights = [[1 - 10 * s, 7 * s, 2 * s, s] for s in (0.01, 0.05, 0.0999)]
    seen = [[assign("ramp", unit, w) for unit in UNITS[:5000]] for w in weights]
    for before, after in pairwise(seen):
        assert all(new for old, new in zip(before, after, strict=True) if old)


@settings(max_examples=50)
@given(st.text(max_size=20), st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
def test_any_id_gets_a_variant_with_a_share(unit: str, parts: list[int]) -> None:
    weights = [part / sum(parts) for part in parts]
    for how in ("blake2b", "fnv1a"):
        found = assign("any", unit, weights, hash=how)
        assert found == assign("any", unit, tuple(weights), hash=how)
        assert weights[found] > 0.0


def test_two_experiments_are_independent() -> None:
    both = [(assign("one", unit, [0.5, 0.5]), assign("two", unit, [0.5, 0.5])) for unit in UNITS]
    cells = np.bincount([2 * a + b for a, b in both]) / len(both)
    assert cells == pytest.approx([0.25] * 4, abs=0.015)


def test_another_process_says_the_same() -> None:
    code = (
        "from timonel.experiments.assignment import assign\n"
        "print([assign('p', str(i), [.5, .25, .25]) for i in range(200)])\n"
        "import sys; assert 'numpy' not in sys.modules and 'scipy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([assign("p", str(i), [0.5, 0.25, 0.25]) for i in range(200)])


@pytest.mark.parametrize(
    "weights", [[], [0.5, 0.6], [0.5], [-0.1, 1.1], [float("nan"), 1.0], [50.0, 50.0]]
)
@pytest.mark.parametrize("hash", ["blake2b", "fnv1a"])
def test_weights_that_are_no_shares(weights: list[float], hash: str) -> None:
    with pytest.raises(ValueError, match="weights"):
        assign("w", "u", weights, hash=hash)  # type: ignore[arg-type]


def test_an_unknown_hash() -> None:
    with pytest.raises(ValueError, match="expected blake2b or fnv1a"):
        assign("w", "u", [1.0], hash="md5")  # type: ignore[arg-type]


@given(
    salt=st.text(st.characters(codec="utf-8"), max_size=8),
    unit=st.text(st.characters(codec="utf-8"), max_size=8),
    share=st.floats(0.0, 1.0),
)
def test_a_place_is_read_as_a_number(salt: str, unit: str, share: float) -> None:
    digest = blake2b((salt + unit).encode(), digest_size=8).digest()
    taken = int(share * 2**64)  # the treatment's, from the top
    expected = int(int.from_bytes(digest, "big") >= 2**64 - taken)
    if share < 1.0:
        assert assign(salt, unit, [1.0 - share, share]) == expected
    assert (
        by_range(salt, [1.0 - share, share], "ab")(unit)
        == "ab"[assign(salt, unit, [1.0 - share, share])]
    )
