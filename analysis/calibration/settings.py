"""The simulated studies: their networks, arms, sizes, patients and base noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.names import IN_DOMAIN
from analysis.statistics.catalogue import Margins

NETWORKS: dict[str, tuple[int, int]] = {
    "resnet50": (50, 23_510_081),
    "resnet34": (34, 21_285_185),
    "resnet18": (18, 11_177_025),
    "cbr_large_wide": (5, 8_441_409),
    "cbr_large_tall": (6, 8_537_121),
    "cbr_small": (5, 2_113_313),
    "cbr_tiny": (5, 1_078_817),
}
"""Depth (convolutions and the head on the longest path) and parameters."""

RESNETS = ("resnet50", "resnet34", "resnet18")
ARMS = (("random", "none"), ("natural", "none"), ("natural", "backbone"), (IN_DOMAIN, "none"))
BALANCED = ("random", "none", "balanced")


@dataclass(frozen=True, slots=True)
class Setting:
    """The size of a simulated study and its noise.

    Attributes:
        sizes: training images.
        patients, images: of the test split; images are spread over patients at random.
        prevalence: share of positive images; `label_clustering` of the patients have one label throughout.
        auroc: planted for the middle of the grid; a doubling of data adds `auroc_per_doubling` before the
            planted contrasts are imposed.
        auroc_sd, loss_sd: standard deviation between seeds.
        spikes: expected spikes per run; counts are Poisson.
        network_sd: true differences between networks, in AUROC and (tenfold) in nats.
        networks: depth and parameters of each, by name.
        arms: (init, freeze) of each.
        balanced: networks from scratch are trained on balanced classes as well.
    """

    name: str
    sizes: tuple[int, ...]
    seeds: int
    patients: int
    images: int
    margins: Margins
    prevalence: float = 0.3
    label_clustering: float = 0.5
    auroc: float = 0.82
    auroc_per_doubling: float = 0.01
    auroc_sd: float = 0.005
    loss_sd: float = 0.01
    spikes: float = 2.0
    network_sd: float = 0.005
    balanced: bool = False
    networks: Mapping[str, tuple[int, int]] = field(default_factory=lambda: NETWORKS)
    arms: tuple[tuple[str, str], ...] = ARMS


DEMO = Setting(
    "demo",
    (48, 96, 192, 384),
    1,
    147,
    395,
    Margins(auroc=0.05, loss=0.1),
    prevalence=0.29,
    auroc=0.73,
    auroc_sd=0.02,
    loss_sd=0.08,
)
CHEXPERT = Setting("chexpert", (5_000, 50_000, 100_000, 200_000), 3, 5_160, 17_600, Margins(), auroc_sd=0.004)
PRESETS: dict[str, Setting] = {"demo": DEMO, "chexpert": CHEXPERT}
