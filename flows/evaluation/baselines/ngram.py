"""A back-off n-gram over tokens: the baseline that predicts from the last few tokens alone.

Smoothing is interpolated modified Kneser–Ney (Chen and Goodman, 1999, "An Empirical Study of Smoothing Techniques
for Language Modeling"): three discounts an order, estimated from counts of counts; below the highest order a count is
the number of different tokens that go before; at the bottom all tokens of the vocabulary are equally likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
"""Discounts for texts so small that some count of counts is zero."""


@dataclass(frozen=True)
class Counts:
    """Counts of the n-grams of one order, and the probability mass that discounting leaves to lower orders."""

    count: NDArray[np.int64]
    """Of each n-gram, shape (n-grams,)."""
    total: NDArray[np.int64]
    """Of each context: the sum over its n-grams, shape (contexts,)."""
    spared: NDArray[np.float64]
    """Of each context: the probability that its discounts leave to the lower order, shape (contexts,)."""
    discount: NDArray[np.float64]
    """By count: 0, 1, 2, and 3 or more."""

    @classmethod
    def of(cls, count: NDArray[np.int64], context: NDArray[np.int64], contexts: int) -> Counts:
        """From the count of each n-gram and the number of the context that it continues."""
        total = np.bincount(context, count, contexts).astype(np.int64)
        discount = discounts(count)
        spared = np.bincount(context, discount[np.minimum(count, 3)], contexts) / np.maximum(total, 1)
        return cls(count, total, spared, discount)


@dataclass(frozen=True)
class Order:
    """All n-grams of one order."""

    keys: NDArray[np.int64]
    """Sorted: the number of the context, an (n−1)-gram, times the alphabet, plus the last token."""
    occurrences: Counts
    """By how often they occur: used when this is the highest order."""
    continuations: Counts
    """By how many different tokens go before them: used when it is a lower one."""


def discounts(count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the discounts of the counts 0, 1, 2, and 3 or more, shape (4,)."""
    n = np.bincount(np.minimum(count, 5), minlength=6)[1:5].astype(np.float64)
    if not n.all():
        return np.array([0.0, *FALLBACK_DISCOUNTS])
    y = n[0] / (n[0] + 2 * n[1])
    steps = np.arange(1, 4)
    return np.array([0.0, *np.clip(steps - (steps + 1) * y * n[1:] / n[:-1], 0.0, steps)])


class NGram:
    """An n-gram model of token sequences, of all orders up to its highest."""

    def __init__(self, pieces: Sequence[Tokens], vocabulary_size: int, order: int, header: int = HEADER) -> None:
        """Count the n-grams of pieces of at least `header` tokens; those of the header are context and not learned."""
        self.vocabulary_size = vocabulary_size
        self.order = order
        self.before, self.unknown = vocabulary_size, vocabulary_size + 1
        """Ids of the padding before a piece, and of a token that no n-gram contains."""
        self.alphabet = vocabulary_size + 2
        tokens, learned = self._joined(pieces, header)
        self.orders: list[Order] = []
        previous = np.zeros(len(tokens), np.int64)
        grams, contexts, counted = [], [1], []
        for _ in range(order):
            # An n-gram is the (n−1)-gram that ends one token earlier, and a token.
            keys, first, previous = numbered(_behind(previous) * self.alphabet + tokens)
            grams.append((keys, first, previous))
            counted.append(np.bincount(previous, learned, len(keys)).astype(np.int64))
            contexts.append(len(keys))
        for n, (keys, _, _) in enumerate(grams):
            if n + 1 < order:
                # Every longer n-gram is one token before the n-gram at whose end it ends.
                _, longer_first, _ = grams[n + 1]
                shorter = grams[n][2][longer_first[counted[n + 1] > 0]]
                continuations = np.bincount(shorter, minlength=len(keys))
            else:
                continuations = counted[n]
            context = keys // self.alphabet
            self.orders.append(
                Order(
                    keys,
                    Counts.of(counted[n], context, contexts[n]),
                    Counts.of(continuations, context, contexts[n]),
                )
            )

    def _joined(self, pieces: Sequence[Tokens], header: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return all pieces in one row, so far apart that no n-gram reaches into another; and 1 for what is learned."""
        gap = max(self.order - 1, 0)
        sizes = np.array([len(piece) for piece in pieces], np.int64)
        starts = np.cumsum(sizes + gap) - sizes
        tokens = np.full(int((sizes + gap).sum()), self.before, np.int64)
        inside = np.repeat(starts, sizes) + np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        tokens[inside] = np.concatenate(pieces)
        learned = np.zeros(len(tokens))
        learned[inside] = 1.0
        learned[(starts[:, None] + np.arange(header)).ravel()] = 0.0
        return tokens, learned

    def probabilities(self, tokens_bt: NDArray[np.int64], order: int | None = None) -> NDArray[np.float64]:
        """Return the probability of each token given those before it in its row, shape (rows, tokens).

        `order`: the highest order; None: the model's. Rows may hold `before` and `unknown`; a context with `unknown` in
        it has never been seen.
        """
        highest = self.order if order is None else order
        seen = np.zeros(tokens_bt.shape, np.int64)
        likely = np.full(tokens_bt.shape, 1.0 / self.vocabulary_size)
        for n, level in enumerate(self.orders[:highest], start=1):
            context = np.full(tokens_bt.shape, -1) if n > 1 else np.zeros(tokens_bt.shape, np.int64)
            if n > 1:
                context[:, 1:] = seen[:, :-1]
            counts = level.occurrences if n == highest else level.continuations
            key = context * self.alphabet + tokens_bt
            place = np.minimum(np.searchsorted(level.keys, key), len(level.keys) - 1)
            found = (level.keys[place] == key) & (context >= 0)
            total = np.where(context >= 0, counts.total[context], 0)
            count = np.where(found, counts.count[place], 0)
            kept = np.maximum(count - counts.discount[np.minimum(count, 3)], 0.0) / np.maximum(total, 1)
            likely = np.where(total > 0, kept + counts.spared[context] * likely, likely)
            seen = np.where(found, place, -1)
        return likely

    def next_probabilities(self, tokens_bt: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the probabilities of the token that follows each row, shape (rows, vocabulary).

        Of rows only the last `order` − 1 tokens count; shorter ones are taken as the beginnings of pieces.
        """
        rows = len(tokens_bt)
        front = np.full((rows, self.order - 1), self.before, np.int64)
        context_bt = np.concatenate([front, tokens_bt], axis=1)[:, tokens_bt.shape[1] :]
        likely = np.full((rows, self.alphabet), 1.0 / self.vocabulary_size)
        for n, level in enumerate(self.orders, start=1):
            number = self._number(context_bt[:, self.order - n :])
            known = np.flatnonzero(number >= 0)
            counts = level.occurrences if n == self.order else level.continuations
            known = known[counts.total[number[known]] > 0]
            context = number[known]
            first = np.searchsorted(level.keys, context * self.alphabet)
            sizes = np.searchsorted(level.keys, (context + 1) * self.alphabet) - first
            place = np.repeat(first - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
            count = counts.count[place]
            kept = np.maximum(count - counts.discount[np.minimum(count, 3)], 0.0)
            likely[known] *= counts.spared[context][:, None]
            token = level.keys[place] % self.alphabet
            likely[np.repeat(known, sizes), token] += kept / np.repeat(counts.total[context], sizes)
        return likely[:, : self.vocabulary_size]

    def _number(self, grams_bt: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of each row's n-gram among those of its order, −1 for one that was never seen."""
        number = np.zeros(len(grams_bt), np.int64)
        for column, level in zip(grams_bt.T, self.orders):
            key = number * self.alphabet + column
            place = np.minimum(np.searchsorted(level.keys, key), len(level.keys) - 1)
            number = np.where((number >= 0) & (level.keys[place] == key), place, -1)
        return number


def _behind(previous: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shift by one place, repeating the first value."""
    return np.concatenate([previous[:1], previous[:-1]])


def numbered(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the different keys in order, where each occurs, and the number among them of every key."""
    order = np.argsort(keys)
    ordered = keys[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    number = np.empty(len(keys), np.int64)
    number[order] = np.cumsum(new) - 1
    return ordered[new], order[new], number
