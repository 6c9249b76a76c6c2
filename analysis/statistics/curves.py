"""What one training run's curves say: spikes of the loss, and how soon it converged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

BINS = 2_000
FEWEST_STEPS = 10
THRESHOLD = 6.0
LOWEST_HEIGHT = 1.1
SPIKE_DEFINITION = (
    f"A spike: the loss, averaged in at most {BINS:,} bins, rises above its running median by more than "
    f"{THRESHOLD:g} robust standard deviations (of the log loss) and by at least "
    f"{100 * (LOWEST_HEIGHT - 1):.0f} %. Recovery: steps from the peak until it is back at the running median"
)
FINAL_GAIN = 0.95
EQUAL_FEWEST = 5

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spikes:
    """The upward spikes of one training run.

    Attributes:
        peak: position of each spike's peak in `loss` [K].
        height: loss at the peak as a multiple of the running median [K].
        recovery: steps from the peak until the loss is back at the running median [K]; to the end if never.
        loss, trend, step: the binned loss, its running median, and the last step of each bin [B].
    """

    peak: NDArray[np.intp]
    height: Reals
    recovery: Reals
    loss: Reals
    trend: Reals
    step: Reals


def spikes(losses: Reals) -> Spikes | None:
    """Find the spikes in the training losses per step [N]; None for fewer than 10 finite losses.

    There is no canonical definition; this one is robust. The log loss is detrended by a centred running
    median over 5 % of the run (at least 7 bins); its noise is 1.4826 times the running median of the
    absolute residuals over a quarter of the run, so that noise which grows as the loss falls is no spike.
    Neighbouring bins above the threshold are one spike.
    """
    losses = losses[np.isfinite(losses) & (losses > 0)]
    if len(losses) < FEWEST_STEPS:
        return None
    edges = np.linspace(0, len(losses), min(BINS, len(losses)) + 1).astype(int)
    binned = np.add.reduceat(losses, edges[:-1]) / np.diff(edges)
    log = pd.Series(np.log(binned))
    window = max(7, len(log) // 20) | 1
    trend = log.rolling(window, center=True, min_periods=window // 2 + 1).median()
    residual = log - trend
    wide = max(21, len(log) // 4) | 1
    noise = (
        1.4826 * residual.abs().rolling(wide, center=True, min_periods=min(wide // 2 + 1, len(log))).median()
    )
    high = ((residual > THRESHOLD * noise) & (residual > np.log(LOWEST_HEIGHT))).to_numpy()
    starts = np.flatnonzero(high & ~np.concatenate(([False], high[:-1])))
    ends = np.flatnonzero(high & ~np.concatenate((high[1:], [False]))) + 1
    rise = residual.to_numpy()
    at = np.array([s + int(np.argmax(rise[s:e])) for s, e in zip(starts, ends, strict=True)], dtype=np.intp)
    below = rise <= 0
    recovery = [int(np.argmax(below[i:])) if below[i:].any() else len(rise) - i for i in at]
    return Spikes(
        peak=at,
        height=np.exp(rise[at]),
        recovery=np.array(recovery, dtype=np.float64) * len(losses) / len(log),
        loss=binned,
        trend=np.exp(trend.to_numpy()),
        step=edges[1:].astype(np.float64),
    )


def told(runs: dict[int, Spikes]) -> str:
    """Number of every run's spikes (by seed), and the median of their heights and recoveries, in words."""
    counts = ", ".join(str(len(run.peak)) for _, run in sorted(runs.items()))
    heights = np.concatenate([run.height for run in runs.values()])
    if not len(heights):
        return f"Spikes: {counts}"
    recoveries = np.concatenate([run.recovery for run in runs.values()])
    return (
        f"Spikes: {counts}; median height {np.median(heights):.2f} times the running median, median recovery "
        f"{np.median(recoveries):,.0f} steps"
    )


def convergence_epochs(losses: Reals) -> float | None:
    """Epochs until the training loss per epoch [E] has made 95 % of its final gain (first epoch to lowest).

    Undefined, None, for fewer than three epochs or a loss that never falls.
    """
    losses = losses[np.isfinite(losses)]
    if len(losses) < 3 or losses.min() >= losses[0]:
        return None
    target = losses[0] - FINAL_GAIN * (losses[0] - losses.min())
    return float(np.argmax(losses <= target) + 1)


def loss_at(losses: Reals, steps: int) -> float:
    """Mean of the losses [N] of the last tenth of the first `steps` steps, five of them at least.

    Runs of other lengths are compared so after equally many steps, without training any longer. NaN for a run
    that is shorter, or for fewer than five steps.
    """
    count = max(EQUAL_FEWEST, steps // 10)
    if not count <= steps <= len(losses):
        return float("nan")
    return float(losses[steps - count : steps].mean())


def bands(epochs: pd.DataFrame, cells: pd.DataFrame, column: str = "train_loss") -> pd.DataFrame:
    """Mean over seeds of a curve per epoch, with its 95 % t-interval (NaN for one seed).

    Args:
        epochs: columns of `analysis.tables.schema.EPOCHS`.
        cells: the cells to join, with `cell_id` and `architecture`.

    Returns:
        One row per network and epoch: `architecture epoch mean low high seeds`.
    """
    joined = epochs.merge(cells[["cell_id", "architecture"]], on="cell_id").dropna(subset=[column])
    table = joined.groupby(["architecture", "epoch"])[column].agg(["mean", "std", "count"]).reset_index()
    freedom = table["count"].where(table["count"] > 1) - 1
    reach = stats.t.ppf(0.975, freedom) * table["std"] / np.sqrt(table["count"])
    table["low"], table["high"] = table["mean"] - reach, table["mean"] + reach
    return table.rename(columns={"count": "seeds"}).drop(columns="std")
