"""Watching a sweep with TensorBoard, MLflow or Weights & Biases, through Ray's own callbacks."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfusion.problems import SettingError

if TYPE_CHECKING:
    from ray import tune

PROJECT = "transfusion-sweep"


def refuse_missing(tensorboard: bool, logger: str | None) -> None:
    """Make sure that what was asked for is installed; Ray is not imported for that.

    Raises:
        SettingError: it is not.
    """
    needed = [name for name, asked in (("tensorboardX", tensorboard), (logger, logger)) if asked and name]
    for name in needed:
        if find_spec(name) is None:
            extra = "tensorboard" if name == "tensorboardX" else name
            option = "--tensorboard" if name == "tensorboardX" else f"--logger {name}"
            raise SettingError(
                f"{option}: found no package {name}; install it: pip install 'transfusion-sweep[{extra}]'"
            )


def callbacks(tensorboard: bool, logger: str | None, out: Path) -> list[tune.Callback]:
    """The callbacks that were asked for.

    MLflow writes to `MLFLOW_TRACKING_URI`, or to a database in `out`; Weights & Biases takes its key from
    `WANDB_API_KEY` or its own login. Neither is read or kept here.
    """
    found: list[tune.Callback] = []
    if tensorboard:
        from ray.tune.logger import TBXLoggerCallback

        found.append(TBXLoggerCallback())
    if logger == "mlflow":
        uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{(out / 'mlflow.db').resolve()}")
        found.append(_mlflow(uri))
    if logger == "wandb":
        from ray.air.integrations.wandb import WandbLoggerCallback

        found.append(WandbLoggerCallback(project=PROJECT))
    return found


def _mlflow(uri: str) -> tune.Callback:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    class Mlflow(MLflowLoggerCallback):
        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles it into its own state, where an address with a password has no place

    return Mlflow(tracking_uri=uri, experiment_name=PROJECT)
