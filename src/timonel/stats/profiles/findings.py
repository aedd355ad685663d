"""What the comparison of a window with its reference comes to: by test, by column, as a whole."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NoReturn

from timonel.stats.profiles.units import UnitChange


class DriftState(StrEnum):
    """What can be said of a column."""

    OK = "ok"
    DRIFTED = "drifted"
    NOT_ENOUGH_DATA = "not_enough_data"


class Rule(StrEnum):
    """By what a column is judged; the others than the default are in ``rules``."""

    DEFAULT = "default"
    KS = "ks"
    PSI = "psi"
    MEAN_SHIFT = "mean_shift"
    CONFIDENCE = "confidence"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"rule {value!r}, expected one of {', '.join(cls)}")


@dataclass(frozen=True, slots=True)
class WordShift:
    """A word that more, or fewer, documents hold than in the reference."""

    word: str
    share_reference: float
    share: float


@dataclass(frozen=True, slots=True)
class TextShift:
    """What moved within texts, for a person to read.

    Parameters
    ----------
    unknown_reference, unknown : float or None
        Mean share of a document's words that the reference's vocabulary does not know.
    words : tuple of WordShift
        Of the vocabulary's named words those that moved, the farthest first.
    """

    unknown_reference: float | None
    unknown: float | None
    words: tuple[WordShift, ...] = ()


@dataclass(frozen=True, slots=True)
class DriftTest:
    """One test of one column.

    Parameters
    ----------
    kind : str
        "ks", "chi2", "missing" or "unseen"; of texts also "vocabulary_ks", "vocabulary" and
        "words" (``timonel.stats.texts.shifts``); or the name of another rule.
    statistic, p_value, effect : float
        The p-value as tested against the column's ``threshold``: calibrated, and of the better of
        KS and chi-square doubled. It is 1 for a rule that knows none.
    floor : float
        The least effect that counts.
    drifted : bool
    """

    kind: str
    statistic: float
    p_value: float
    effect: float
    floor: float
    drifted: bool


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """What the rule says of one column, and the figures beside it.

    Parameters
    ----------
    name, kind : str
    state : DriftState
    n, n_reference : int
        Rows of the window and of the reference.
    test : str or None
        The test that ``statistic``, ``p_value`` and ``effect`` belong to: the one that found
        drift, or came closest. None where there was nothing to test, and ``reason`` says why.
    psi, jensen_shannon : float or None
        Of the values, in the cells of the chi-square.
    wasserstein : float or None
        Of numbers, in their unit.
    threshold : float or None
        What a p-value had to be under: A / K, see ``DriftReport``; A by the column's own rows.
    tests : tuple of DriftTest
        All of them.
    phi : float
        What the chi-square was divided by (``timonel.stats.profiles.seasons``); 1: nothing.
    dispersion : float or None
        The chi-square by degree of freedom before that: about 1 where only chance is at work.
    effects : dict of str to float
        By test; what later windows of the same slot are calibrated on.
    unit_change : UnitChange or None
        Of numbers that drifted: the conversion that explains it, if one does.
    text : TextShift or None
        Of texts: how much in them is new, and which words moved.
    """

    name: str
    kind: str
    state: DriftState
    n: int
    n_reference: int
    test: str | None = None
    statistic: float | None = None
    p_value: float | None = None
    effect: float | None = None
    reason: str | None = None
    psi: float | None = None
    wasserstein: float | None = None
    jensen_shannon: float | None = None
    threshold: float | None = None
    tests: tuple[DriftTest, ...] = ()
    phi: float = 1.0
    dispersion: float | None = None
    effects: dict[str, float] = field(default_factory=dict)
    unit_change: UnitChange | None = None
    text: TextShift | None = None

    @property
    def drifted(self) -> bool:
        """Whether drift was found."""
        return self.state is DriftState.DRIFTED

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {**asdict(self), "state": str(self.state), "tests": [asdict(t) for t in self.tests]}


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What the rule says of a window.

    Parameters
    ----------
    columns : dict of str to ColumnDrift
    n, n_reference : int
        Rows of the window and of the reference.
    n_tests : int
        K, all tests of the window.
    level : float
        A, the chance of any false finding: .05, or .01 if the window is more than a fifth of
        the reference.
    """

    columns: dict[str, ColumnDrift]
    n: int
    n_reference: int
    n_tests: int
    level: float

    @property
    def threshold(self) -> float:
        """What a p-value must be under, in a column of as many rows as the profile: A / K."""
        return self.level / max(1, self.n_tests)

    @property
    def drifted(self) -> bool:
        """Whether any column drifted."""
        return any(column.drifted for column in self.columns.values())

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """The columns that drifted, by name in the profile's order."""
        return tuple(name for name, column in self.columns.items() if column.drifted)

    @property
    def state(self) -> DriftState:
        """What can be said of the window."""
        if self.drifted:
            return DriftState.DRIFTED
        states = {column.state for column in self.columns.values()}
        return DriftState.OK if DriftState.OK in states else DriftState.NOT_ENOUGH_DATA

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {
            "state": str(self.state),
            "n": self.n,
            "n_reference": self.n_reference,
            "n_tests": self.n_tests,
            "level": self.level,
            "threshold": self.threshold,
            "columns": {name: column.document() for name, column in self.columns.items()},
        }
