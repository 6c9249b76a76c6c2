"""Whole grids with a planted truth, seeds and patients included: what the analysis is calibrated on.

A cell's AUROC is its condition's planted value plus a seed's deviation; its predictions are binormal with
that AUROC, with parts that all cells share for every patient and every image, and a part of their own.
Patients have several images, whose labels go together. Training losses and spike counts vary between runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.claims.conjectures import CLAIMS, Claim, contrast_of, grid_of
from analysis.statistics import areas
from analysis.statistics.catalogue import Margins
from analysis.statistics.contrasts import coefficients
from analysis.statistics.measures import Measures
from analysis.statistics.run_scatter import learning_curves

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

ARMS = (("random", "none"), ("natural", "none"), ("natural", "backbone"), ("consolidation", "none"))
BALANCED = ("random", "none", "balanced")
IMPLIED = "in_domain_gains"
"""The claim whose effect is the sum of two others': pretraining on natural images, and in-domain beyond
it."""

LOWEST_AUROC, HIGHEST_AUROC = 0.4, 0.9995

SHARED_BY_PATIENT, SHARED_BY_IMAGE = 0.3, 0.3
"""Shares of the logits' variance that all cells have in common."""


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
        scatter: of each of `NETWORKS` between seeds, as a multiple of `auroc_sd` and `loss_sd`.
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
    scatter: tuple[float, ...] = (1.0,) * len(NETWORKS)
    balanced: bool = False


def plan(setting: Setting, seeds: int | None = None) -> pd.DataFrame:
    """The cells of the grid of `setting` (the arms that claims ask for), without measures."""
    rows = [
        {
            "architecture": name,
            "train_images": size,
            "init": init,
            "freeze": freeze,
            "seed": seed,
            "balance": balance,
            "depth": depth,
            "parameters": parameters,
        }
        for (name, (depth, parameters)), size, (init, freeze, balance), seed in itertools.product(
            NETWORKS.items(),
            setting.sizes,
            [*((*arm, "natural") for arm in ARMS), *([BALANCED] if setting.balanced else [])],
            range(setting.seeds if seeds is None else seeds),
        )
    ]
    return pd.DataFrame(rows)


def planted(
    setting: Setting, effect: float, rng: np.random.Generator, claims: Sequence[Claim] = CLAIMS
) -> pd.DataFrame:
    """True `test_auroc`, `train_loss` and `spikes` of every condition, every claim's effect `effect` margins.

    The networks' own differences and the gain with data are drawn or set first; then the smallest smooth
    change of the learning curves is added that gives every claim's contrast its planted value, in the
    direction that the claim asks about (down for `negative`, up for all others).

    Raises:
        ValueError: the effects do not fit between an AUROC of 0.4 and 1.
    """
    cells = plan(setting, seeds=1)
    smooth = _smooth(cells)
    doublings = np.log2(cells["train_images"].to_numpy(float) / np.sqrt(setting.sizes[0] * setting.sizes[-1]))
    own = rng.normal(0, setting.network_sd, len(NETWORKS))[pd.factorize(cells["architecture"])[0]]
    cells["test_auroc"] = setting.auroc + setting.auroc_per_doubling * doublings + own
    cells["train_loss"] = 0.45 + 0.02 * doublings + 10 * own
    cells["spikes"] = setting.spikes
    for metric in ("test_auroc", "train_loss", "spikes"):
        measures = Measures(cells)
        grid = grid_of(measures, "natural")
        rows, targets = [], []
        for claim in claims:
            contrast = contrast_of(claim, grid) if claim.metric == metric else None
            if contrast is not None and claim.name != IMPLIED:
                sign = -1 if claim.expects == "negative" else 1
                rows.append(coefficients(measures, contrast))
                targets.append(sign * effect * setting.margins.of(metric))
        matrix = np.array(rows)
        values = cells[metric].to_numpy(float)
        change = np.linalg.pinv(matrix @ smooth) @ (np.array(targets) - matrix @ values)
        cells[metric] = values + smooth @ change
    aurocs = cells["test_auroc"]
    if aurocs.min() < LOWEST_AUROC or aurocs.max() > HIGHEST_AUROC:
        raise ValueError(
            f"{setting.name}: effects of {effect:g} margins would need AUROC from {aurocs.min():.3f} to "
            f"{aurocs.max():.3f}; expected {LOWEST_AUROC} to {HIGHEST_AUROC}: plant less, or change `auroc`"
        )
    return cells


def _smooth(cells: pd.DataFrame) -> NDArray[np.float64]:
    """Directions in which truths may differ: per arm, a level and slope per network and a level per size."""
    arm = pd.get_dummies(cells["init"] + " " + cells["freeze"] + " " + cells["balance"]).to_numpy(float)
    return np.hstack([column[:, None] * learning_curves(cells) for column in arm.T])


def test_split(
    setting: Setting, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
    """A test split: patient of every image, labels, and what all cells' logits share [images]."""
    extra = setting.images - setting.patients
    patients = np.concatenate([np.arange(setting.patients), rng.integers(0, setting.patients, extra)])
    whole = rng.random(setting.patients) < setting.label_clustering
    common = rng.random(setting.patients) < setting.prevalence
    labels = np.where(whole[patients], common[patients], rng.random(setting.images) < setting.prevalence)
    shared = np.sqrt(SHARED_BY_PATIENT) * rng.normal(size=setting.patients)[patients]
    shared += np.sqrt(SHARED_BY_IMAGE) * rng.normal(size=setting.images)
    return patients, labels.astype(np.float32), shared.astype(np.float32)


def logits(
    auroc: float, labels: NDArray[np.float32], shared: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.int16]:
    """One cell's logits [images], in thousandths: binormal, with AUROC `auroc` in the population."""
    own = rng.standard_normal(len(labels), dtype=np.float32)
    own *= np.float32(np.sqrt(1 - SHARED_BY_PATIENT - SHARED_BY_IMAGE))
    shift = np.sqrt(2) * stats.norm.ppf(np.clip(auroc, LOWEST_AUROC, HIGHEST_AUROC))
    own += shared + np.float32(shift) * labels
    return np.clip(own * 1_000, -32_000, 32_000).astype(np.int16)


def simulate(setting: Setting, truth: pd.DataFrame, rng: np.random.Generator) -> Measures:
    """The measures of one simulated grid.

    Args:
        truth: as from `planted`.
    """
    cells = plan(setting)
    for metric in ("test_auroc", "train_loss", "spikes"):
        cells[metric] = np.repeat(truth[metric].to_numpy(float), setting.seeds)
    count = len(cells)
    scatter = cells["architecture"].map(dict(zip(NETWORKS, setting.scatter, strict=True))).to_numpy(float)
    cells["train_loss"] += scatter * rng.normal(0, setting.loss_sd, count)
    cells["spikes"] = rng.poisson(np.maximum(cells["spikes"], 0)).astype(float)
    aurocs = cells["test_auroc"].to_numpy(float) + scatter * rng.normal(0, setting.auroc_sd, count)
    patients, labels, shared = test_split(setting, rng)
    found, influence = np.empty(count), np.empty((count, setting.patients))
    for row, auroc in enumerate(aurocs):
        ranked = areas.rank(labels, logits(auroc, labels, shared, rng))
        if ranked is None:
            raise ValueError(
                f"{setting.name}: a simulated test split of {setting.images} images has one class only"
            )
        found[row], moved = areas.auroc(ranked)
        influence[row] = areas.by_patient(moved, patients, setting.patients)
    cells["test_auroc"] = found
    return Measures(
        cells,
        {"test_auroc": areas.patient_covariance(influence)},
        {"test_auroc": setting.patients},
        {"test_auroc": int(labels.sum())},
    )
