"""The request to stop, as Tune sees it and as running trials hear of it."""

from __future__ import annotations

from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.processes.flag import Flag
from sweeps.processes.stop import Stop


class Stopper(tune.Stopper):
    """Tells Tune of `stop`, and with Tune's next step the trials.

    Attributes:
        flag: what trials ask. It stands on the driver's node, so that the loss of another one does not take
            it away.
    """

    def __init__(self, stop: Stop) -> None:
        self.stop, self.raised = stop, False
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Flag)
        self.flag: Any = actor.options(scheduling_strategy=here).remote()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self.stop.reason and not self.raised:
            self.flag.raise_it.remote()
            self.raised = True
        return self.stop.overdue()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it into its own state, which nobody reads
