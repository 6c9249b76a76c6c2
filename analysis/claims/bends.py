"""Whether learning curves fall: a power law, and the scatter around smooth curves, take it that they do not.

14 to 15 % of published learning curves are not monotone or not convex (LCDB 1.1, Yan et al. 2025).
"""

from __future__ import annotations

import pandas as pd
from scipy.special import stdtr

LEVEL = 0.05


def falling_steps(estimates: pd.DataFrame, metric: str = "test_auroc") -> pd.DataFrame | None:
    """Steps between neighbouring sizes at which a network's curve from scratch falls beyond chance.

    Args:
        estimates: rows of the table `estimates`.

    Returns:
        Its rows, by a one-sided test at 5 % corrected for the number of steps; None where none can be tested.
    """
    steps = estimates[(estimates["kind"] == "gain") & (estimates["sizes"] == "step")]
    steps = steps[(steps["metric"] == metric) & steps["architecture"].notna()]
    steps = steps[(steps["seed_part"] == "measured") & (steps["standard_error"] > 0)]
    if steps.empty:
        return None
    freedom = steps["degrees_of_freedom"].astype(float).fillna(float("inf"))
    p = stdtr(freedom.to_numpy(), (steps["estimate"] / steps["standard_error"]).to_numpy(float))
    return steps[p <= LEVEL / len(steps)]


def sentences(estimates: pd.DataFrame) -> list[str]:
    """Where curves fall, or that none does; nothing where it cannot be tested."""
    falling = falling_steps(estimates)
    if falling is None:
        return []
    if falling.empty:
        return ["No network's AUROC from scratch falls between neighbouring sizes beyond chance."]
    listed = "; ".join(
        f"{row.architecture} {row.contrast} images ({row.estimate:+.3f} per doubling)"
        for row in falling.itertuples()
    )
    return [
        f"AUROC from scratch falls with more data beyond chance: {listed}. A power law does not hold there."
    ]
