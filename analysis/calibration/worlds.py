"""Worlds in which verdicts could be wrong: what befalls runs and patients, as data.

A world changes how runs scatter (`Luck`), which runs leave no or a bad result (`Fate`), how patients are read
(`Reading`), or the setting itself. What is true stays as it was planted: the value that a condition's runs
have on average if they train as intended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.calibration.settings import PRESETS, RESNETS, Setting
from analysis.names import IN_DOMAIN, init_name

Shares = Mapping[str, float]
"""By network, or by arm as `init freeze`."""

UPSTREAM_SHARE: Shares = {
    "natural none": 0.5, "natural backbone": 0.9, f"{IN_DOMAIN} none": 0.6, f"{IN_DOMAIN} backbone": 0.9,
}  # fmt: skip
"""How much of a run's variance all sizes of a network and seed share: the middle of what real seeds of three
networks of the CBR family showed on the phantom (0.14 to 0.90, 0.80 to 0.99, 0.46 to 0.80)."""

MEASURED: Shares = {
    "random none": 2.0, "natural none": 3.0, "natural backbone": 5.5, f"{IN_DOMAIN} none": 2.5,
}  # fmt: skip
"""Scatter of the demo's arms as multiples of 0.02 AUROC; 0.02 to 0.06, 0.04 to 0.08, 0.11 to 0.17 and 0.03 to
0.07 were seen."""


@dataclass(frozen=True, slots=True)
class Luck:
    """How the deviations of single runs arise, each of variance one before `by_network`, `by_arm`, `by_size`.

    Attributes:
        over_sizes: share of the variance that all sizes of a network, initialisation and seed have in common.
        over_networks: share of that luck, and of the rest, that all networks of a seed have in common.
        by_network, by_arm: multiples of the standard deviation.
        largest: the standard deviation at the largest size, as a multiple of that at the smallest; geometric
            between them.
        loss_follows: correlation of the loss's deviation with that of AUROC, downwards.
    """

    over_sizes: Shares = field(default_factory=dict)
    over_networks: tuple[float, float] = (0.0, 0.0)
    by_network: Shares = field(default_factory=dict)
    by_arm: Shares = field(default_factory=dict)
    largest: float = 1.0
    loss_follows: float = 0.0


@dataclass(frozen=True, slots=True)
class Fate:
    """Runs without a result, or with one at chance.

    Attributes:
        worst_diverge: of a network's runs from scratch, this share with the highest losses diverges.
        fail: of a network's runs, each fails for other reasons with this probability.
        collapse: of a network's runs, each ends at chance (AUROC 0.5, loss ln 2) with this probability.
        worst_of_arm_fail: of each network's runs of an arm, this share with the lowest AUROC fails.
        unfinished: these networks' runs at the largest size with the last seed are still to come.
        second_seed_for: only these networks have more than one seed; none: all have as many as planned.
    """

    worst_diverge: Shares = field(default_factory=dict)
    fail: Shares = field(default_factory=dict)
    collapse: Shares = field(default_factory=dict)
    worst_of_arm_fail: Shares = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()
    second_seed_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """How the test patients are read; shares of a logit's variance.

    Attributes:
        by_patient, by_image: what all cells have in common for a patient, and for an image.
        by_arm: what all cells of one arm have in common for an image beyond that.
        noisy_patients, flipped: share of the patients whose site mislabels this share of their images.
    """

    by_patient: float = 0.3
    by_image: float = 0.3
    by_arm: float = 0.0
    noisy_patients: float = 0.0
    flipped: float = 0.0


@dataclass(frozen=True, slots=True)
class World:
    """One world.

    Attributes:
        what: in words, what it does.
        studies: (preset, seeds) that it is simulated with.
        changes: of fields of `Setting`.
        bend: standard deviation, in AUROC, of true dents in every network's and arm's learning curve.
    """

    name: str
    what: str
    studies: tuple[tuple[str, int], ...]
    luck: Luck = Luck()
    fate: Fate = Fate()
    reading: Reading = Reading()
    changes: Mapping[str, float] = field(default_factory=dict)
    bend: float = 0.0


PLAIN = World(
    "plain",
    "every run scatters by itself, every run finishes",
    (("demo", 1), ("demo", 3), ("chexpert", 2), ("chexpert", 3)),
)

WORLDS: tuple[World, ...] = (
    PLAIN,
    World(
        "upstream luck",
        "an upstream network's luck moves all sizes that start from it, and arms scatter as measured",
        (("demo", 1), ("demo", 3)),
        Luck(
            over_sizes=UPSTREAM_SHARE,
            by_arm=MEASURED,
        ),
    ),
    World(
        "common upstream luck",
        "the same, and 30 % of the upstream's luck is common to all networks of a seed",
        (("demo", 1), ("demo", 3)),
        Luck(
            over_sizes=UPSTREAM_SHARE,
            over_networks=(0.3, 0.0),
            by_arm=MEASURED,
        ),
    ),
    World(
        "common order",
        "half of a run's luck is common to all networks of its seed, size and arm",
        (("demo", 1), ("demo", 3), ("chexpert", 3)),
        Luck(over_networks=(0.5, 0.5)),
    ),
    World(
        "luck over sizes",
        "eight tenths of a run's variance are common to all sizes of its network and seed, scratch too",
        (("demo", 1), ("demo", 3)),
        Luck(over_sizes=dict.fromkeys(("random none", *UPSTREAM_SHARE), 0.8)),
    ),
    World(
        "worst runs diverge",
        "of ResNet-50's and ResNet-34's runs from scratch, the quarter with the highest losses diverges",
        (("demo", 3), ("chexpert", 3)),
        Luck(loss_follows=0.7),
        Fate(worst_diverge={"resnet50": 0.25, "resnet34": 0.25}),
    ),
    World(
        "ResNet-50 fails",
        "nine tenths of ResNet-50's runs fail, whatever they would have reached",
        (("chexpert", 3),),
        fate=Fate(fail={"resnet50": 0.9}),
    ),
    World(
        "ResNets collapse",
        "a fifth of the ResNets' runs end at chance",
        (("demo", 3), ("chexpert", 3)),
        fate=Fate(collapse=dict.fromkeys(RESNETS, 0.2)),
    ),
    World(
        "scatter grows with size",
        "runs on the largest size scatter four times as much as those on the smallest",
        (("demo", 1), ("demo", 3)),
        Luck(largest=4.0),
    ),
    World(
        "one second seed",
        "CBR-Small alone has a second seed",
        (("demo", 2), ("chexpert", 2)),
        fate=Fate(second_seed_for=("cbr_small",)),
    ),
    World(
        "rare finding",
        "3 % of the images are positive, in patients who are positive throughout or not",
        (("demo", 1), ("demo", 3)),
        changes={"prevalence": 0.03},
    ),
    World(
        "bent curves",
        "true learning curves have dents, so that they are neither monotone nor smooth",
        (("demo", 1), ("demo", 3), ("chexpert", 3)),
        changes={"auroc_per_doubling": 0.0},
        bend=0.02,
    ),
    World(
        "an arm loses its worst",
        f"of every network's runs from {init_name(IN_DOMAIN)}, the quarter with the lowest AUROC leaves no "
        "result",
        (("demo", 3), ("chexpert", 3)),
        fate=Fate(worst_of_arm_fail={f"{IN_DOMAIN} none": 0.25}),
    ),
    World(
        "difficulty by arm",
        "which images are difficult is the same within an arm, and another in another arm",
        (("demo", 3), ("chexpert", 3)),
        reading=Reading(by_patient=0.15, by_image=0.15, by_arm=0.5),
    ),
    World(
        "label noise at a site",
        "a quarter of the patients come from a site that mislabels 15 % of their images",
        (("demo", 3),),
        reading=Reading(noisy_patients=0.25, flipped=0.15),
    ),
    World(
        "budget ran out",
        "the ResNets' runs at the largest size with the last seed are still to come",
        (("demo", 3), ("chexpert", 3)),
        fate=Fate(unfinished=RESNETS),
    ),
    World(
        "uneven scatter",
        "runs scatter twice as much, and the ResNets' four times as much as those of the CBR family",
        (("demo", 1), ("demo", 3), ("chexpert", 3)),
        Luck(
            by_network=dict.fromkeys(RESNETS, 2.94)
            | dict.fromkeys(("cbr_large_wide", "cbr_large_tall", "cbr_small", "cbr_tiny"), 0.74)
        ),
    ),
)  # fmt: skip


def setting_of(world: World, preset: str, seeds: int) -> Setting:
    """The preset's setting with as many seeds and the world's changes."""
    changes: dict[str, Any] = dict(world.changes)
    return replace(PRESETS[preset], seeds=seeds, **changes)
