"""A worker process that runs benchmarks on request, one JSON line each.

A process of its own, since a GPU's memory is held, and may run out, by process; and several at once share a
device as trials do.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any

from transfusion.cell import Recipe
from transfusion.records.failures import failure_of
from transfusion.study import Machine
from transfusion.training.probe import (
    Probe,
    head_step_seconds,
    product_macs_per_second,
    used_by_others,
)
from transfusion.training.process_state import release


class Answers:
    """Answers one question after the other; holds the network that warmed up last."""

    def __init__(self) -> None:
        self.probe: Probe | None = None

    def to(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What was measured, or `error` and its `kind`."""
        try:
            return self._measured(asked)
        except Exception as error:  # whatever training raises is what was asked for
            self.probe = None
            message = " ".join(str(error).split())[:300]
            answer = {"error": f"{type(error).__name__}: {message}", "kind": failure_of(error)}
        release()
        return answer

    def _measured(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["what"] in ("release", "warm_up"):
            self.probe = None
            release()
        if asked["what"] == "release":
            return {}
        place, recipe = Machine(**asked["place"]), Recipe(**asked["recipe"])
        if asked["what"] == "memory":
            return {"gpus": used_by_others()}
        if asked["what"] == "device":
            return {
                "macs_per_second": product_macs_per_second(place),
                "head_step_seconds": head_step_seconds(recipe, place),
            }
        if asked["what"] == "warm_up":
            self.probe = Probe(asked["architecture"], recipe, place)
            return {"step_seconds": self.probe.warm_up()}
        assert self.probe is not None, "a network warms up before it is measured"
        if asked["what"] == "compile":
            outcome, seconds, speed = self.probe.compiled(asked["steps"])
            return {"outcome": outcome, "seconds": seconds, "images_per_second": speed}
        return dataclasses.asdict(self.probe.train(asked["steps"]))


def main() -> None:
    """Answers go where standard output went; what libraries print goes to standard error."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        process = Answers()
        for line in sys.stdin:
            answers.write(json.dumps(process.to(json.loads(line))) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
