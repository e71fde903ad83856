"""The order in which scores put customers, and what weighted customers have among the first of it."""

from __future__ import annotations

import numpy as np


class Ranking:
    """The order in which scores put customers, for all that depends on the order alone.

    Args:
        positive: Whether a customer is of the class, shape (n,).
        score: Probability of the class, shape (n,).

    Attributes:
        order: Positions of the customers, the highest score first, shape (n,).
        positive_places: Places of the class in that order.
        positives_before: Customers of the class before each place, shape (n + 1,).
        step_start: First place of the customers that share the score of a place, shape (n,).
        step_end: First place after them, shape (n,).
        hit_step_starts: Of the scores that any customer of the class has, the first place.
        hit_step_ends: The first place after them.
    """

    def __init__(self, positive: np.ndarray, score: np.ndarray) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked_positive, ranked = positive[self.order], score[self.order]
        self.positive_places = np.flatnonzero(ranked_positive)
        self.positives_before = np.append(0, np.cumsum(ranked_positive.astype(np.int64)))
        # Customers with the same score are one step of the curve.
        changes = np.flatnonzero(ranked[1:] != ranked[:-1]) + 1
        starts, ends = np.append(0, changes), np.append(changes, len(ranked))
        self.step_start, self.step_end = (np.repeat(places, ends - starts) for places in (starts, ends))
        hit = self.positives_before[ends] > self.positives_before[starts]
        self.hit_step_starts, self.hit_step_ends = starts[hit], ends[hit]


class RankedCounts:
    """How many customers, and how many of a class, weighted resamples have among the first of a ranking.

    Args:
        ranking: The ranking.
        counts: How often each customer counts, shape (n_resamples, n).
    """

    def __init__(self, ranking: Ranking, counts: np.ndarray) -> None:
        self._ranking = ranking
        ranked = counts[:, ranking.order]
        # The first place is that before the first customer.
        self._listed = running_sums(ranked)
        self._hits = running_sums(ranked[:, ranking.positive_places])

    @property
    def total(self) -> np.ndarray:
        """Customers, shape (n_resamples,)."""
        total: np.ndarray = self._listed[:, -1].astype(np.float64)
        return total

    @property
    def positives(self) -> np.ndarray:
        """Customers of the class, shape (n_resamples,)."""
        positives: np.ndarray = self._hits[:, -1].astype(np.float64)
        return positives

    def before(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Customers, and those of the class, among the first of the ranking, each of shape (n_resamples,)."""
        return self._listed[:, place].astype(np.float64), self._hits[:, self._ranking.positives_before[place]].astype(
            np.float64
        )

    def curves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Area under the ROC curve, average precision, Kolmogorov-Smirnov statistic; each of shape (n_resamples,).

        Each of them is a sum over, or an extreme at, those steps of the curve in which there is any customer of the
        class: all others gain nothing, and the distance between the two rates only falls along them.
        """
        ranking, total, positives = self._ranking, self.total, self.positives
        negatives = total - positives
        ends, starts = ranking.hit_step_ends, ranking.hit_step_starts
        hits, hits_before = (self._hits[:, ranking.positives_before[places]] for places in (ends, starts))
        listed, listed_before = self._listed[:, ends], self._listed[:, starts]
        gained = (hits - hits_before).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Pairs in order: those below, and half of those in the same step.
            below = negatives[:, np.newaxis] - ((listed - hits) + (listed_before - hits_before)) / 2
            area = np.einsum("ij,ij->i", gained, below) / (positives * negatives)
            precision = hits / np.maximum(listed, 1)
            average_precision = np.einsum("ij,ij->i", gained, precision) / positives
            # Both rates are sums over their class, so that their distance is one of hits and customers listed.
            unit = (1 / positives + 1 / negatives)[:, np.newaxis]
            apart = (hits * unit - listed / negatives[:, np.newaxis]).max(axis=1, initial=0.0)
            behind = (hits_before * unit - listed_before / negatives[:, np.newaxis]).min(axis=1, initial=0.0)
        return area, average_precision, np.maximum(apart, -behind)

    def gains(self, percents: tuple[int, ...]) -> np.ndarray:
        """Share of the class among so many percent of the customers, shape (n_resamples, number of percents).

        Of customers with the same score, those listed are a part that has as large a share of the class as all of
        them.
        """
        rows = np.arange(len(self._listed))[:, np.newaxis]
        wanted = self.total[:, np.newaxis] * np.array(percents) / 100
        place = first_reaching(self._listed, wanted) - 1
        start, end = self._ranking.step_start[place], self._ranking.step_end[place]
        listed_before, listed = self._listed[rows, start], self._listed[rows, end]
        before = self._ranking.positives_before
        hits_before, hits = self._hits[rows, before[start]], self._hits[rows, before[end]]
        with np.errstate(divide="ignore", invalid="ignore"):
            part = (wanted - listed_before) / (listed - listed_before)
            gains: np.ndarray = (hits_before + part * (hits - hits_before)) / self.positives[:, np.newaxis]
        return gains


def running_sums(counts: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, … counts of each row, shape (n_resamples, n + 1)."""
    sums = np.zeros((len(counts), counts.shape[1] + 1), dtype=np.int32)
    np.cumsum(counts, axis=1, out=sums[:, 1:])
    return sums


def first_reaching(rising: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """First place in each row whose value is at least the wanted one: a binary search in all rows at once.

    Args:
        rising: Values that never fall along a row, shape (n_rows, n).
        wanted: Values that the last one of the row reaches, shape (n_rows, n_wanted).

    Returns:
        Places, shape (n_rows, n_wanted).
    """
    rows = np.arange(len(rising))[:, np.newaxis]
    low = np.zeros(wanted.shape, dtype=np.int64)
    high = np.full(wanted.shape, rising.shape[1] - 1)
    while (low < high).any():
        middle = (low + high) // 2
        reached = rising[rows, middle] >= wanted
        high, low = np.where(reached, middle, high), np.where(reached, low, np.minimum(middle + 1, high))
    return low
