"""Is what a pilot forecasts true? `python tests/benchmarks/pilot_forecast.py [--pilots 6] [--grids 60]`.

In each of a few worlds pilots (three seeds at the two smallest sizes) are simulated, and the power of the
whole plan is forecast from the variances that each measures; beside it stands the power with the true ones.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import pandas as pd

from analysis.calibration.power import DEMO_PRIORS, PRIORS, Variances, forecast, variances_of
from analysis.calibration.settings import CHEXPERT, DEMO, Setting
from analysis.calibration.simulate import simulate
from analysis.calibration.truth import planted, simulated_claims
from analysis.calibration.worlds import Luck, World

DEMO_LARGER = dataclasses.replace(
    DEMO, name="demo, 600 patients, 5 seeds", patients=600, images=1_600, seeds=5
)
TWICE = dataclasses.replace(PRIORS, auroc={arm: 2 * sd for arm, sd in PRIORS.auroc.items()}, loss=0.02)
HALF = dataclasses.replace(DEMO_PRIORS, auroc={arm: sd / 2 for arm, sd in DEMO_PRIORS.auroc.items()})
WORLDS: tuple[tuple[Setting, Variances], ...] = (
    (dataclasses.replace(CHEXPERT, name="chexpert, 4 seeds", seeds=4), PRIORS),
    (dataclasses.replace(CHEXPERT, name="chexpert, 4 seeds, scatter twice as large", seeds=4), TWICE),
    (DEMO_LARGER, HALF),
)


def measured(setting: Setting, true: Variances, seed: int) -> Variances:
    """What one pilot measures of these variances."""
    scale = true.auroc["random none"]
    luck = Luck(true.over_sizes, true.over_networks, by_arm={a: sd / scale for a, sd in true.auroc.items()})
    pilot = dataclasses.replace(
        setting, seeds=3, sizes=setting.sizes[:2], auroc_sd=scale, loss_sd=true.loss, spikes=true.spikes
    )
    truth = planted(pilot, 0.5, np.random.default_rng([seed, 1]), simulated_claims(pilot))
    found = simulate(pilot, truth, np.random.default_rng([seed, 2]), World("pilot", "", (), luck))
    return variances_of(found, "pilot", true)


def conjectures(table: pd.DataFrame) -> pd.Series:
    """How likely each conjecture's verdict is right, by effect."""
    return table[table["kind"] == "conjecture"].set_index(["effect", "claim"])["right"]


def main() -> None:
    """Print forecast beside truth, conjecture by conjecture."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--pilots", type=int, default=6)
    p.add_argument("--grids", type=int, default=60)
    options = p.parse_args()
    for setting, true in WORLDS:
        truth = conjectures(forecast(setting, true, (0.0, 2.0), 3 * options.grids, seed=1))
        said = [
            conjectures(forecast(setting, measured(setting, true, k), (0.0, 2.0), options.grids, seed=2 + k))
            for k in range(options.pilots)
        ]
        every = pd.DataFrame(said)
        for key in truth.index:
            low, high = every[key].min(), every[key].max()
            said_so = f"{every[key].mean():.2f} on average ({low:.2f} to {high:.2f})"
            print(f"{setting.name}, {key}: truth {truth[key]:.2f}, pilots say {said_so}", flush=True)


if __name__ == "__main__":
    main()
