"""Detectors of change that people ask for by name; ``timonel.stats.detectors.Adwin`` is better."""

from math import log, sqrt
from typing import Any

from timonel.stats.streams.values import Direction, checked_direction, error_of, finite


class Eddm:
    """Early drift detection method: the distances between errors against their longest.

    Parameters
    ----------
    drift_at : float
        Signal when mean plus two spreads of the distances fall to this share of their highest.
    fewest : int
        Errors before the first signal.

    Notes
    -----
    For errors only, 0 or 1; only a rise is signalled. Blind to whatever does not bring errors
    nearer to each other, and to all before ``fewest`` errors came: a rare error is learned late. It
    holds the distances against the longest of many, so a lucky stretch makes all that follows an
    alarm. On 20,000 errors of one rate it raised a false alarm in 89, 89, 92 and 85 % of streams
    (200) at rates of .05, .1, .2 and .5; a rise from .1 to .2 is found after 125 values in the
    median. Source: M. Baena-Garcia, J. del Campo-Avila, R. Fidalgo, A. Bifet, R. Gavalda,
    R. Morales-Bueno, 2006, Fourth International Workshop on Knowledge Discovery from Data Streams.

    Examples
    --------
    >>> detector = Eddm()
    >>> any(detector.update(float(i % 10 == 0 or i >= 1000)) for i in range(1100))
    True
    """

    def __init__(self, *, drift_at: float = 0.9, fewest: int = 30) -> None:
        if not 0.0 < drift_at < 1.0 or fewest < 2:
            message = f"drift_at {drift_at}, fewest {fewest}"
            raise ValueError(message)
        self.drift_at = drift_at
        self.fewest = fewest
        self._restart()

    def _restart(self) -> None:
        self._n = self._n_errors = self._since = 0
        self._mean = self._m2 = self._highest = 0.0

    def update(self, x: float) -> bool:
        """Take the next error, 0 or 1; say whether they come nearer to each other than before."""
        error = error_of(x)
        self._n += 1
        self._since += 1
        if not error:
            return False
        distance, self._since = self._since, 0
        self._n_errors += 1
        off = distance - self._mean
        self._mean += off / self._n_errors
        self._m2 += off * (distance - self._mean)
        reach = self._mean + 2.0 * sqrt(self._m2 / self._n_errors)
        if self._n_errors < self.fewest:
            return False
        if reach > self._highest:
            self._highest = reach
            return False
        if reach >= self.drift_at * self._highest:
            return False
        self._restart()
        return True

    @property
    def mean(self) -> float | None:
        """The error rate; None before the first error after a signal."""
        return self._n_errors / self._n if self._n else None

    def state(self) -> list[Any]:
        """Give what it remembers."""
        return [self._n, self._n_errors, self._since, self._mean, self._m2, self._highest]

    def restore(self, state: list[Any]) -> None:
        """Go on from what another one remembered."""
        self._n, self._n_errors, self._since, self._mean, self._m2, self._highest = state


class Hddm:
    """Hoeffding drift detection, the test of averages: the mean against its most extreme part.

    Parameters
    ----------
    confidence : float
        Chance of a false signal at one comparison; there is one at each value.
    direction : {"both", "up", "down"}
        Which changes of the mean are signalled.

    Notes
    -----
    For values in [0, 1]: the bound holds for any distribution there, so it is wide where the values
    spread little, and blind to changes that leave the mean as it was. A slow rise moves both parts
    and is found late. On 20,000 errors of one rate, upwards alone, it raised a false alarm in 0, 3,
    19 and 29 % of 200 streams at rates of .05, .1, .2 and .5; a rise from .1 to .2 is found after
    390 values in the median. Source: I. Frias-Blanco, J. del Campo-Avila, G. Ramos-Jimenez,
    R. Morales-Bueno, A. Ortiz-Diaz, Y. Caballero-Mota, 2015, IEEE Transactions on Knowledge and
    Data Engineering 27, 810-823 (HDDM-A).

    Examples
    --------
    >>> detector = Hddm()
    >>> any(detector.update(float(i >= 1000)) for i in range(1100))
    True
    """

    def __init__(self, *, confidence: float = 0.001, direction: Direction = "both") -> None:
        if not 0.0 < confidence < 1.0:
            message = f"confidence {confidence}"
            raise ValueError(message)
        self.confidence = confidence
        self.direction = checked_direction(direction)
        self._restart()

    def _restart(self) -> None:
        self._n, self._sum = 0, 0.0
        self._low: tuple[int, float] = (0, 0.0)  # the beginning whose mean was surely lowest
        self._high: tuple[int, float] = (0, 0.0)

    def update(self, x: float) -> bool:
        """Take the next value; say whether the stream has changed."""
        x = finite(x)
        if not 0.0 <= x <= 1.0:
            message = f"a value lies in [0, 1], not {x!r}"
            raise ValueError(message)
        self._n += 1
        self._sum += x
        mean, bound = self._sum / self._n, self._bound(self._n)
        n, total = self._low
        if not n or mean + bound <= total / n + self._bound(n):
            self._low = (self._n, self._sum)
        n, total = self._high
        if not n or mean - bound >= total / n - self._bound(n):
            self._high = (self._n, self._sum)
        rose = self.direction != "down" and self._apart(self._low, 1.0)
        fell = self.direction != "up" and self._apart(self._high, -1.0)
        if not (rose or fell):
            return False
        self._restart()
        return True

    def _bound(self, n: int) -> float:
        return sqrt(log(1.0 / self.confidence) / (2.0 * n))

    def _apart(self, part: tuple[int, float], sign: float) -> bool:
        n, total = part
        if n == self._n:
            return False
        bound = sqrt((self._n - n) / (n * self._n) * log(2.0 / self.confidence) / 2.0)
        return sign * (self._sum / self._n - total / n) >= bound

    @property
    def mean(self) -> float | None:
        """The mean since the last signal; None before the first value after it."""
        return self._sum / self._n if self._n else None

    def state(self) -> list[Any]:
        """Give what it remembers."""
        return [self._n, self._sum, list(self._low), list(self._high)]

    def restore(self, state: list[Any]) -> None:
        """Go on from what another one remembered."""
        self._n, self._sum, low, high = state
        self._low, self._high = (low[0], low[1]), (high[0], high[1])


class Kswin:
    """Kolmogorov-Smirnov windowing: the newest values against some of those before them.

    Parameters
    ----------
    alpha : float
        Of one comparison; there is one at each value.
    window, newest : int
        Values that are remembered, and how many of them are the newest part.
    direction : {"both", "up", "down"}
        Of a change in distribution, whether the mean has to have risen or fallen.

    Notes
    -----
    As many older values are compared as there are newest ones: every so-manieth, so that the same
    stream gives the same answers (the source draws them). Sees 30 values: of errors, 0 or 1, only
    a rise by two fifths can be found (one from .2 to .5 is missed for 2,000 values in one stream of
    five), and a slow one never. On 20,000 errors of one rate, upwards alone, it raised a false
    alarm in 0, 0, 27 and 100 % of 60 streams at rates of .05, .1, .2 and .5. Source: C. Raab,
    M. Heusinger, F.-M. Schleif, 2020, Neurocomputing 416, 340-351.

    Examples
    --------
    >>> detector = Kswin()
    >>> any(detector.update(float(i >= 1000)) for i in range(1100))
    True
    """

    def __init__(
        self,
        *,
        alpha: float = 0.005,
        window: int = 100,
        newest: int = 30,
        direction: Direction = "both",
    ) -> None:
        if not 0.0 < alpha < 1.0 or newest < 5 or window < 2 * newest:
            message = f"alpha {alpha}, window {window}, newest {newest}"
            raise ValueError(message)
        self.alpha = alpha
        self.window = window
        self.newest = newest
        self.direction = checked_direction(direction)
        self._threshold = sqrt(-log(alpha) / newest)
        self._values: list[float] = []

    def update(self, x: float) -> bool:
        """Take the next value; say whether the stream has changed."""
        self._values.append(finite(x))
        if len(self._values) > self.window:
            del self._values[0]
        if len(self._values) < self.window:
            return False
        older, newest = self._values[: -self.newest], self._values[-self.newest :]
        some = [older[i * len(older) // self.newest] for i in range(self.newest)]
        if _distance(some, newest) <= self._threshold or not self._wanted(some, newest):
            return False
        self._values = newest
        return True

    def _wanted(self, before: list[float], now: list[float]) -> bool:
        rise = sum(now) - sum(before)
        return self.direction == "both" or (rise > 0.0 if self.direction == "up" else rise < 0.0)

    @property
    def mean(self) -> float | None:
        """The mean of the window; None before the first value."""
        return sum(self._values) / len(self._values) if self._values else None

    def state(self) -> list[Any]:
        """Give what it remembers."""
        return list(self._values)

    def restore(self, state: list[Any]) -> None:
        """Go on from what another one remembered."""
        self._values = list(state)


def _distance(a: list[float], b: list[float]) -> float:
    """Give the greatest distance between the distributions of two equally long samples."""
    steps: dict[float, int] = {}
    for value in a:
        steps[value] = steps.get(value, 0) + 1
    for value in b:
        steps[value] = steps.get(value, 0) - 1
    apart = furthest = 0
    for _, step in sorted(steps.items()):
        apart += step
        furthest = max(furthest, abs(apart))
    return furthest / len(a)
