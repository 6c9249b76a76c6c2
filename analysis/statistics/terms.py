"""What a contrast compares: a weighted sum over cells in every network and seed, then over the networks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.tables.conditions import DEFAULTS, Condition, condition

Across = Literal["mean", "log2_depth", "log10_parameters", "difference"]
Replicate = Literal["seed", "count"]


@dataclass(frozen=True, slots=True)
class Term:
    """One cell's weight in the sum within every network and seed.

    Attributes:
        further: (axis, value) of every axis of `schema.AXES` that is neither named here nor at
            its default.
    """

    weight: float
    train_images: int
    init: str = "random"
    freeze: str = "none"
    balance: str = "natural"
    further: tuple[tuple[str, Hashable], ...] = ()

    @classmethod
    def in_condition(cls, axes: Mapping[str, Any], weight: float = 1.0) -> Term:
        """The term of the condition with these values, whatever its network."""
        named = ("architecture", "train_images", "init", "freeze", "balance")
        further = tuple(
            (axis, value) for axis, value in axes.items() if axis not in named and value != DEFAULTS.get(axis)
        )
        return cls(weight, axes["train_images"], axes["init"], axes["freeze"], axes["balance"], further)

    def of(self, architecture: str) -> Condition:
        """The condition of this term in one network."""
        return condition(
            architecture=architecture,
            train_images=self.train_images,
            init=self.init,
            freeze=self.freeze,
            balance=self.balance,
            **dict(self.further),
        )


@dataclass(frozen=True, slots=True)
class Contrast:
    """What is to be estimated.

    Attributes:
        name: unique; the row in the table `estimates`.
        metric: a measure of `analysis.statistics.catalogue`.
        terms: the sum within every network and seed.
        unit: of the estimate.
        across: how networks are put together; `log2_depth` and `log10_parameters` give the fitted difference
            from the smallest to the largest of the networks that take part.
        architectures: the networks; empty for all of the grid.
        group: for `difference`, the networks whose mean is compared with that of the others.
        replicate: how the between-seed part is found: from a network's paired sums, seed by seed, or for
            counts of rare events from every run's scatter, which grows with the mean.
    """

    name: str
    metric: str
    terms: tuple[Term, ...]
    unit: str
    across: Across = "mean"
    architectures: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    replicate: Replicate = "seed"

    @property
    def weights(self) -> NDArray[np.float64]:
        """Those of the terms [K]."""
        return np.array([term.weight for term in self.terms])
