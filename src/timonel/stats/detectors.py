"""Has a stream of numbers changed? Detectors that see one value at a time.

Each has ``update(x) -> bool``: whether a change is signalled at this value. They are for streams of
errors (0 right, 1 wrong, or losses), where only a rise is a degradation: pass ``direction="up"``.
``Adwin`` is the one to use. The others raise more false alarms on a stream where nothing changes,
and are here because people ask for them by name; each says how many, and what it does not see.
"""

from collections.abc import Iterable
from math import inf, isfinite, log, sqrt
from typing import Any

from timonel.stats.streams.named import Eddm, Hddm, Kswin
from timonel.stats.streams.values import Detector, Direction, checked_direction, error_of, finite

__all__ = ["Adwin", "Ddm", "Detector", "Direction", "Eddm", "Hddm", "Kswin", "PageHinkley"]


_Bucket = tuple[int, float, float]
"""As the fields of ``Moments``, which costs more to make than a value takes otherwise."""


def _together(buckets: Iterable[_Bucket]) -> _Bucket:
    """Add buckets one after the other, as ``Moments`` are added, to the bit."""
    n, mean, m2 = 0, 0.0, 0.0
    for n_other, mean_other, m2_other in buckets:
        n_both = n + n_other
        apart = mean - mean_other
        mean = (n * mean + n_other * mean_other) / n_both
        m2 = m2 + m2_other + apart * apart * (n * n_other / n_both)
        n = n_both
    return n, mean, m2


class Adwin:
    """Adaptive windowing: forget the oldest values while two parts of the window differ.

    Parameters
    ----------
    delta : float
        Bounds the chance of a false cut at each check; smaller is more careful.
    direction : {"both", "up", "down"}
        Which changes of the mean are signalled; the window forgets after either.
    clock : int
        Check at each so many values.

    Notes
    -----
    The bound assumes values in [0, 1]. The window is kept in at most five buckets of each power of
    two, so cuts lie between buckets. On 20,000 errors of one rate of .2 it raised a false alarm in
    1 of 600 streams; a rise from .1 to .2 is found after 300 values in the median, one to .15
    after 1,200. Source: A. Bifet, R. Gavalda, 2007, SIAM Data Mining, 443-448.

    Examples
    --------
    >>> detector = Adwin()
    >>> found = [i for i in range(2000) if detector.update(float(i >= 1000))]
    >>> found[0] - 1000 < 32
    True
    """

    MOST_OF_A_SIZE = 5
    SHORTEST_PART = 5
    SHORTEST_WINDOW = 10

    def __init__(
        self, delta: float = 0.002, *, direction: Direction = "both", clock: int = 32
    ) -> None:
        if not 0.0 < delta < 1.0 or clock < 1:
            message = f"delta {delta}, clock {clock}"
            raise ValueError(message)
        self.delta = delta
        self.direction = checked_direction(direction)
        self.clock = clock
        self._ticks = 0
        # row i holds buckets of 2^i values, the newest first
        self._rows: list[list[_Bucket]] = [[]]

    @property
    def width(self) -> int:
        """The number of values in the window."""
        return sum(len(row) << i for i, row in enumerate(self._rows))

    @property
    def mean(self) -> float | None:
        """The mean of the window; None before the first value."""
        n, mean, _ = _together(self._oldest_first())
        return mean if n else None

    def update(self, x: float) -> bool:
        """Take the next value; say whether the stream has changed."""
        newest = self._rows[0]
        newest.insert(0, (1, finite(x), 0.0))
        if len(newest) > self.MOST_OF_A_SIZE:
            self._compress()
        self._ticks += 1
        if self._ticks % self.clock:
            return False
        signalled = False
        while (rise := self._cut()) is not None:
            signalled |= self.direction == "both" or rise == (self.direction == "up")
        return signalled

    def state(self) -> list[Any]:
        """Give what it remembers."""
        return [self._ticks, [[[*bucket] for bucket in row] for row in self._rows]]

    def restore(self, state: list[Any]) -> None:
        """Go on from what another one remembered."""
        self._ticks, rows = state
        self._rows = [[(n, mean, m2) for n, mean, m2 in row] for row in rows]

    def _compress(self) -> None:
        size = 0
        while len(self._rows[size]) > self.MOST_OF_A_SIZE:
            if size + 1 == len(self._rows):
                self._rows.append([])
            oldest, next_oldest = self._rows[size].pop(), self._rows[size].pop()
            size += 1
            self._rows[size].insert(0, _together((oldest, next_oldest)))

    def _oldest_first(self) -> list[_Bucket]:
        return [bucket for row in reversed(self._rows) for bucket in reversed(row)]

    def _cut(self) -> bool | None:
        """Forget the oldest bucket if a cut is found; say whether the mean rose there."""
        buckets = self._oldest_first()
        n, mean, m2 = _together(buckets)
        if n <= self.SHORTEST_WINDOW:
            return None
        n_old, total_old, total = 0, 0.0, n * mean
        variance, confidence = m2 / n, log(2.0 * log(n) / self.delta)
        for n_bucket, mean_bucket, _ in buckets[:-1]:
            n_old += n_bucket
            total_old += n_bucket * mean_bucket
            n_new = n - n_old
            if n_old < self.SHORTEST_PART or n_new < self.SHORTEST_PART:
                continue
            apart = (total - total_old) / n_new - total_old / n_old
            rate = (1.0 / n_old + 1.0 / n_new) * confidence
            if abs(apart) > sqrt(2.0 * variance * rate) + 2.0 / 3.0 * rate:
                self._forget()
                return apart > 0.0
        return None

    def _forget(self) -> None:
        self._rows[-1].pop()
        while len(self._rows) > 1 and not self._rows[-1]:
            self._rows.pop()


class PageHinkley:
    """Page's cumulative sum of deviations from the running mean.

    Parameters
    ----------
    delta : float
        The deviation that does not count.
    threshold : float
        Signal when the sum is this far from its extreme.
    forgetting : float
        Factor of the sum at each value.
    fewest : int
        Values before the first signal.
    direction : {"both", "up", "down"}
        Which changes of the mean are signalled.

    Notes
    -----
    The defaults suit a stream of rare errors, 0 or 1: threshold and delta are in the unit of the
    values. On 20,000 errors of one rate, upwards alone, it raised a false alarm in 0, 16, 52 and
    83 % of streams at rates of .05, .1, .2 and .5. Source: E. S. Page, 1954,
    Biometrika 41, 100-115; D. V. Hinkley, 1971, Biometrika 58, 509-523.

    Examples
    --------
    >>> detector = PageHinkley()
    >>> any(detector.update(float(i >= 1000)) for i in range(2000))
    True
    """

    def __init__(
        self,
        *,
        delta: float = 0.005,
        threshold: float = 50.0,
        forgetting: float = 0.9999,
        fewest: int = 30,
        direction: Direction = "both",
    ) -> None:
        if not threshold > 0.0 or not 0.0 < forgetting <= 1.0 or not isfinite(delta):
            message = f"delta {delta}, threshold {threshold}, forgetting {forgetting}"
            raise ValueError(message)
        self.delta = delta
        self.threshold = threshold
        self.forgetting = forgetting
        self.fewest = fewest
        self.direction = checked_direction(direction)
        self._restart()

    def _restart(self) -> None:
        self._n, self._mean = 0, 0.0
        self._up = self._least = 0.0
        self._down = self._most = 0.0

    def update(self, x: float) -> bool:
        """Take the next value; say whether the stream has changed."""
        x = finite(x)
        self._n += 1
        self._mean += (x - self._mean) / self._n
        self._up = self.forgetting * self._up + (x - self._mean - self.delta)
        self._down = self.forgetting * self._down + (x - self._mean + self.delta)
        self._least, self._most = min(self._least, self._up), max(self._most, self._down)
        rose = self.direction != "down" and self._up - self._least > self.threshold
        fell = self.direction != "up" and self._most - self._down > self.threshold
        if self._n < self.fewest or not (rose or fell):
            return False
        self._restart()
        return True

    @property
    def mean(self) -> float | None:
        """The running mean; None before the first value after a signal."""
        return self._mean if self._n else None

    def state(self) -> list[Any]:
        """Give what it remembers."""
        return [self._n, self._mean, self._up, self._least, self._down, self._most]

    def restore(self, state: list[Any]) -> None:
        """Go on from what another one remembered."""
        self._n, self._mean, self._up, self._least, self._down, self._most = state


class Ddm:
    """Drift detection method: the error rate since the last change against its lowest.

    Parameters
    ----------
    warn_at, drift_at : float
        Standard deviations above the lowest rate.
    fewest : int
        Values before the first signal.

    Notes
    -----
    For errors only, 0 or 1; only a rise is signalled. On 20,000 errors of one rate it raised a
    false alarm in 65, 46, 31 and 14 % of streams at rates of .05, .1, .2 and .5: it holds the rate
    against the lowest of many. Source: J. Gama, P. Medas, G. Castillo, P. Rodrigues, 2004, SBIA,
    286-295.

    Examples
    --------
    >>> detector = Ddm()
    >>> any(detector.update(float(i % 10 == 0 or i >= 1000)) for i in range(1100))
    True
    """

    def __init__(self, *, warn_at: float = 2.0, drift_at: float = 3.0, fewest: int = 30) -> None:
        if not 0.0 < warn_at <= drift_at or fewest < 1:
            message = f"warn_at {warn_at}, drift_at {drift_at}, fewest {fewest}"
            raise ValueError(message)
        self.warn_at = warn_at
        self.drift_at = drift_at
        self.fewest = fewest
        self.warned = False
        self._restart()

    def _restart(self) -> None:
        self._n = self._n_errors = 0
        self._lowest = (inf, 0.0)

    def update(self, x: float) -> bool:
        """Take the next error, 0 or 1; say whether there are more than before."""
        self._n_errors += error_of(x)
        self._n += 1
        self.warned = False
        if self._n < self.fewest:
            return False
        rate = self._n_errors / self._n
        spread = sqrt(rate * (1.0 - rate) / self._n)
        if rate + spread <= sum(self._lowest):
            self._lowest = rate, spread
        lowest, its_spread = self._lowest
        self.warned = rate + spread > lowest + self.warn_at * its_spread
        if rate + spread <= lowest + self.drift_at * its_spread:
            return False
        self._restart()
        return True

    @property
    def mean(self) -> float | None:
        """The error rate; None before the first error after a signal."""
        return self._n_errors / self._n if self._n else None

    def state(self) -> list[Any]:
        """Give what it remembers; the lowest rate is null where there is none yet."""
        lowest = None if self._lowest[0] == inf else list(self._lowest)
        return [self._n, self._n_errors, lowest, self.warned]

    def restore(self, state: list[Any]) -> None:
        """Go on from what another one remembered."""
        self._n, self._n_errors, lowest, self.warned = state
        self._lowest = (inf, 0.0) if lowest is None else (lowest[0], lowest[1])
