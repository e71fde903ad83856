"""Ranking of customers by score, and weighted counts along it."""

from __future__ import annotations

import numpy as np


class Ranking:
    """Ranking of customers by score, computed once for all rank-based metrics.

    Args:
        positive: Indicator of the positive class, shape (n,).
        score: Predicted probability of the class, shape (n,).

    Attributes:
        order: Positions of the customers by decreasing score, shape (n,).
        positive_places: Ranks of the positive customers.
        positives_before: Number of positive customers before each rank, shape (n + 1,).
        step_start: First rank of the customers tied with each rank, shape (n,).
        step_end: First rank after them, shape (n,).
        hit_step_starts: First rank of each group of ties with a positive customer.
        hit_step_ends: First rank after each such group.
    """

    def __init__(self, positive: np.ndarray, score: np.ndarray) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked_positive, ranked = positive[self.order], score[self.order]
        self.positive_places = np.flatnonzero(ranked_positive)
        self.positives_before = np.append(0, np.cumsum(ranked_positive.astype(np.int64)))
        # Ties are one step of the curve.
        changes = np.flatnonzero(ranked[1:] != ranked[:-1]) + 1
        starts, ends = np.append(0, changes), np.append(changes, len(ranked))
        self.step_start, self.step_end = (np.repeat(places, ends - starts) for places in (starts, ends))
        hit = self.positives_before[ends] > self.positives_before[starts]
        self.hit_step_starts, self.hit_step_ends = starts[hit], ends[hit]


class RankedCounts:
    """Cumulative weighted counts of all and of positive customers along a ranking.

    Args:
        ranking: The ranking.
        counts: Weight of each customer, shape (n_resamples, n).
    """

    def __init__(self, ranking: Ranking, counts: np.ndarray) -> None:
        self._ranking = ranking
        ranked = counts[:, ranking.order]
        # Index 0 stands for no customer.
        self._listed = running_sums(ranked)
        self._hits = running_sums(ranked[:, ranking.positive_places])

    @property
    def total(self) -> np.ndarray:
        """Number of customers, shape (n_resamples,)."""
        total: np.ndarray = self._listed[:, -1].astype(np.float64)
        return total

    @property
    def positives(self) -> np.ndarray:
        """Number of positive customers, shape (n_resamples,)."""
        positives: np.ndarray = self._hits[:, -1].astype(np.float64)
        return positives

    def curves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute ROC-AUC, average precision and the Kolmogorov-Smirnov statistic, each of shape (n_resamples,).

        Each is a sum over, or a maximum at, the steps of the curve with a positive customer: other steps add nothing,
        and the distance between the two rates decreases along them.
        """
        ranking, total, positives = self._ranking, self.total, self.positives
        negatives = total - positives
        ends, starts = ranking.hit_step_ends, ranking.hit_step_starts
        hits, hits_before = (self._hits[:, ranking.positives_before[places]] for places in (ends, starts))
        listed, listed_before = self._listed[:, ends], self._listed[:, starts]
        gained = (hits - hits_before).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Concordant pairs: negatives ranked below, and half of the ties.
            below = negatives[:, np.newaxis] - ((listed - hits) + (listed_before - hits_before)) / 2
            area = np.einsum("ij,ij->i", gained, below) / (positives * negatives)
            precision = hits / np.maximum(listed, 1)
            average_precision = np.einsum("ij,ij->i", gained, precision) / positives
            # The distance of the two rates follows from positives and customers listed.
            unit = (1 / positives + 1 / negatives)[:, np.newaxis]
            apart = (hits * unit - listed / negatives[:, np.newaxis]).max(axis=1, initial=0.0)
            behind = (hits_before * unit - listed_before / negatives[:, np.newaxis]).min(axis=1, initial=0.0)
        return area, average_precision, np.maximum(apart, -behind)

    def gains(self, percents: tuple[int, ...]) -> np.ndarray:
        """Compute the share of the positives in the top percents, shape (n_resamples, number of percents).

        Ties at the boundary count pro rata.
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
    """Compute the sums of the first 0, 1, … counts of each row, shape (n_resamples, n + 1)."""
    sums = np.zeros((len(counts), counts.shape[1] + 1), dtype=np.int32)
    np.cumsum(counts, axis=1, out=sums[:, 1:])
    return sums


def first_reaching(rising: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Find the first position in each row whose value is at least the wanted one (vectorised binary search).

    Args:
        rising: Nondecreasing values in each row, shape (n_rows, n).
        wanted: Values not above the last one of the row, shape (n_rows, n_wanted).

    Returns:
        Positions, shape (n_rows, n_wanted).
    """
    rows = np.arange(len(rising))[:, np.newaxis]
    low = np.zeros(wanted.shape, dtype=np.int64)
    high = np.full(wanted.shape, rising.shape[1] - 1)
    while (low < high).any():
        middle = (low + high) // 2
        reached = rising[rows, middle] >= wanted
        high, low = np.where(reached, middle, high), np.where(reached, low, np.minimum(middle + 1, high))
    return low
