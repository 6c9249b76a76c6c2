"""Units of the measures."""

from __future__ import annotations

_UNITS = {
    "train_loss": "nats",
    "spikes": "spikes / run",
    "spike_height": "times the running median",
    "spike_recovery_steps": "steps",
    "convergence_epochs": "epochs",
}


def unit(metric: str) -> str:
    """Unit of a measure; areas are fractions."""
    return _UNITS.get(metric, "AUPRC" if metric.endswith("auprc") else "AUROC")
