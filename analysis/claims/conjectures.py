"""The four conjectures as data: the claims that each makes and the contrast that tests each claim.

A conjecture is `supported` when all the claims that it needs are, `refuted` when one of them is, else
`undecided`. The other claims stand beside: they say more, but the conjecture does not fall with them.

That a larger network or more data is "not needed" is said by claims of non-superiority: one that is worse
supports them, and is said to be worse.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analysis.names import IN_DOMAIN
from analysis.statistics.catalogue import unit
from analysis.statistics.measures import Measures
from analysis.statistics.terms import Across, Contrast, Replicate, Term

Expects = Literal["positive", "negative", "zero", "not_positive"]
"""What a claim says of its effect: at least the margin upwards, or downwards; within the margin; or less than
the margin upwards, however far downwards ("not needed": non-superiority)."""

Sizes = Literal["largest", "smallest", "middle", "mean", "last_doubling", "range", "trend"]
"""How sizes are put together: one of them (the middle ones averaged), the mean of all, the gain per doubling
between the two largest, the gain from a quarter of the data to all of it, or the slope per doubling."""

PER_DOUBLING = ("last_doubling", "trend")

Part: TypeAlias = tuple[float, str, str]
"""(weight, init, freeze); the inits `natural` and `in_domain` stand for the grid's own (`Grid`)."""

SCRATCH: tuple[Part, ...] = ((1.0, "random", "none"),)
NATURAL_GAIN: tuple[Part, ...] = ((1.0, "natural", "none"), (-1.0, "random", "none"))
IN_DOMAIN_GAIN: tuple[Part, ...] = ((1.0, "in_domain", "none"), (-1.0, "random", "none"))
IN_DOMAIN_MINUS_NATURAL: tuple[Part, ...] = ((1.0, "in_domain", "none"), (-1.0, "natural", "none"))
NATURAL_FROZEN: tuple[Part, ...] = ((1.0, "natural", "backbone"), (-1.0, "natural", "none"))
IN_DOMAIN_FROZEN: tuple[Part, ...] = ((1.0, "in_domain", "backbone"), (-1.0, "in_domain", "none"))


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: a sentence, what it expects of the contrast, and the contrast.

    Attributes:
        conjecture: 1 to 4.
        quantity: what is estimated, as the subject of a sentence; `{natural}` and `{in_domain}` are
            the grid's.
        needed: the conjecture stands and falls with this claim.
        guarded: it says that something is not needed; not supported while that is badly trained.
        across: as in `Contrast`; depth and parameters give the difference from one end to the other.
    """

    conjecture: int
    name: str
    question: str
    quantity: str
    expects: Expects
    metric: str
    parts: tuple[Part, ...]
    sizes: Sizes
    across: Across = "mean"
    architectures: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    balance: tuple[tuple[float, str], ...] = ((1.0, "natural"),)
    replicate: Replicate = "seed"
    needed: bool = True
    guarded: bool = False


CONJECTURES: dict[int, str] = {
    1: "Deep models are too difficult to train",
    2: "The task is too simple to need a large model",
    3: "More data is not needed",
    4: "The domains are too different for natural-image weights to transfer",
}

SMALL_NETWORKS = ("cbr_small", "cbr_tiny")


def _no_gain(sizes: Sizes, across: Across, what: str) -> Claim:
    ends = {
        "parameters": "from the network with the fewest parameters to the one with the most",
        "depth": "from the shallowest to the deepest network",
    }[what]
    return Claim(
        2,
        f"auroc_flat_in_{what}_{sizes}",
        f"Does AUROC gain nothing from {'more ' if what == 'parameters' else ''}{what}, at the {sizes} size?",
        f"AUROC {ends}, at the {sizes} size",
        "not_positive",
        "test_auroc",
        SCRATCH,
        sizes,
        across,
        guarded=True,
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        1, "loss_grows_with_depth", "Does training loss grow with depth at fixed data?",
        "training loss from the shallowest to the deepest network", "positive",
        "train_loss", SCRATCH, "mean", "log2_depth",
    ),
    Claim(
        1, "resnet50_spikes_more", "Does ResNet-50's training loss spike more than the others'?",
        "spikes of ResNet-50's training loss beyond those of the other networks", "positive",
        "spikes", SCRATCH, "mean", "difference", group=("resnet50",), replicate="count", needed=False,
    ),
    Claim(
        1, "worse_where_unbalanced", "Does depth cost more AUROC where classes are unbalanced?",
        "AUROC from the shallowest to the deepest network, natural minus balanced classes", "negative",
        "test_auroc", SCRATCH, "mean", "log2_depth", balance=((1.0, "natural"), (-1.0, "balanced")),
        needed=False,
    ),
    Claim(
        2, "same_training_loss", "Do small networks reach the training loss of large ones?",
        "training loss of the small networks minus that of the large ones, at the largest size",
        "not_positive", "train_loss", SCRATCH, "largest", "difference", group=SMALL_NETWORKS, guarded=True,
    ),
    _no_gain("largest", "log10_parameters", "parameters"),
    _no_gain("smallest", "log10_parameters", "parameters"),
    _no_gain("largest", "log2_depth", "depth"),
    _no_gain("smallest", "log2_depth", "depth"),
    Claim(
        3, "last_doubling_gains_nothing", "Does the last doubling of the data gain nothing?",
        "AUROC gained by the last doubling of the training data", "not_positive",
        "test_auroc", SCRATCH, "last_doubling", guarded=True,
    ),
    Claim(
        4, "natural_weights_gain_nothing", "Is there no gain from {natural} over training from scratch?",
        "AUROC gained by pretraining on {natural}", "not_positive",
        "test_auroc", NATURAL_GAIN, "mean",
    ),
    Claim(
        4, "in_domain_beats_natural", "Do weights from {in_domain} gain more than weights from {natural}?",
        "AUROC of pretraining on {in_domain} minus pretraining on {natural}", "positive",
        "test_auroc", IN_DOMAIN_MINUS_NATURAL, "mean",
    ),
    Claim(
        4, "in_domain_gains", "Do weights from {in_domain} gain over training from scratch?",
        "AUROC gained by pretraining on {in_domain}", "positive",
        "test_auroc", IN_DOMAIN_GAIN, "mean", needed=False,
    ),
    Claim(
        4, "frozen_natural_falls_short", "Do frozen features from {natural} fall short of fine-tuned ones?",
        "AUROC of frozen minus fine-tuned features from {natural}", "negative",
        "test_auroc", NATURAL_FROZEN, "mean", needed=False,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grid:
    """What a grid offers to contrasts: its sizes in ascending order, its natural-image task, the arm that
    is pretrained on another finding of the same data, and the orders that subsets are cut from."""

    sizes: tuple[int, ...]
    natural: str | None
    in_domain: str = IN_DOMAIN
    subsets: tuple[int, ...] = (0,)

    def arm(self, init: str) -> str:
        """The arm that `init` of a `Part` stands for."""
        return str({"natural": self.natural, "in_domain": self.in_domain}.get(init, init))


def grid_of(measures: Measures, natural: str | None) -> Grid:
    """The sizes that are planned, finished or not, and the arms of both kinds of pretraining."""
    sizes = sorted(int(n) for n in measures.cells["train_images"].dropna().unique())
    return Grid(tuple(sizes), natural, measures.in_domain, measures.subsets)


def size_weights(sizes: tuple[int, ...], how: Sizes) -> NDArray[np.float64] | None:
    """Weight of every size [N] for one way of putting them together; None if there are too few sizes."""
    count = len(sizes)
    doublings = np.log2(np.array(sizes, dtype=np.float64)) if count else np.zeros(0)
    weights = np.zeros(count)
    if how == "mean" and count:
        weights[:] = 1 / count
    elif how == "largest" and count:
        weights[-1] = 1
    elif how == "smallest" and count > 1:
        weights[0] = 1
    elif how == "middle" and count > 2:
        weights[1:-1] = 1 / (count - 2)
    elif how == "last_doubling" and count > 1:
        weights[-1], weights[-2] = np.array([1, -1]) / (doublings[-1] - doublings[-2])
    elif how == "range" and count > 1:
        weights[-1] = 1
        weights[int(np.argmin(np.abs(doublings[:-1] - (doublings[-1] - 2))))] = -1
    elif how == "trend" and count > 1:
        centred = doublings - doublings.mean()
        weights[:] = centred / (centred @ centred)
    else:
        return None
    return weights


def further_axes(grid: Grid) -> list[tuple[tuple[str, int], ...]]:
    """For every order of the subsets, what a term says of it."""
    return [(("subset", subset),) if subset else () for subset in grid.subsets]


def contrast_of(claim: Claim, grid: Grid) -> Contrast | None:
    """The contrast that tests `claim` on `grid`, on the mean of all orders of its subsets; None where the
    grid lacks the sizes or the initialisation."""
    weights = size_weights(grid.sizes, claim.sizes)
    if weights is None or (grid.natural is None and any(init == "natural" for _, init, _ in claim.parts)):
        return None
    terms = tuple(
        Term(part * weight * sign / len(grid.subsets), size, grid.arm(init), freeze, balance, further)
        for part, init, freeze in claim.parts
        for sign, balance in claim.balance
        for size, weight in zip(grid.sizes, weights, strict=True)
        if weight
        for further in further_axes(grid)
    )
    return Contrast(
        name=f"claim {claim.conjecture}: {claim.name}",
        metric=claim.metric,
        terms=terms,
        unit=unit(claim.metric) + (" / doubling" if claim.sizes in PER_DOUBLING else ""),
        across=claim.across,
        architectures=claim.architectures,
        group=claim.group,
        replicate=claim.replicate,
    )


def lacking(claim: Claim, grid: Grid) -> str:
    """Why `contrast_of` has none, in words."""
    if size_weights(grid.sizes, claim.sizes) is not None:
        return "no network of the grid starts from natural-image weights"
    asked = "three" if claim.sizes == "middle" else "two"
    have = "one size" if len(grid.sizes) == 1 else f"{len(grid.sizes)} sizes"
    return f"it compares {asked} sizes of the training data or more, and the grid has {have}"


def worded(claim: Claim, natural: str, in_domain: str) -> Claim:
    """`claim` with the own names of what it compares in its sentences."""

    def told(text: str) -> str:
        return text.replace("{natural}", natural).replace("{in_domain}", in_domain)

    return dataclasses.replace(claim, question=told(claim.question), quantity=told(claim.quantity))
