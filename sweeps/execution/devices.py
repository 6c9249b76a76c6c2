"""The devices that trials run on, as they come and go, and which of the ready cells can start on them now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from sweeps.execution.placement import Demand, Node, Place, Placement
from sweeps.planning.plan import PlannedCell
from sweeps.planning.resources import Resources

LOOK_EVERY = 2.0
"""Seconds between two looks at the nodes."""

LONGEST_REQUEST = 256
"""Trials that an autoscaler is asked to make room for at once."""

Nodes = Callable[[], Mapping[str, Node]]
Ask = Callable[[Sequence[Mapping[str, float]]], None]


@dataclass
class Devices:
    """What is free of `resources`, asked by the queue of cells.

    Attributes:
        nodes: looks at the nodes that are there now.
        ask: tells an autoscaler what trials need that run or could start; None without one.
        clock: seconds.
    """

    resources: Resources
    nodes: Nodes
    ask: Ask | None = None
    clock: Callable[[], float] = time.monotonic
    placement: Placement = field(init=False)
    _places: dict[str, Place] = field(default_factory=dict, init=False)
    _numbers: dict[tuple[str, str], int] = field(default_factory=dict, init=False)
    _looked: float = field(default=float("-inf"), init=False)
    _asked: list[Mapping[str, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.placement = Placement(on_gpu=self.resources.device == "cuda")
        self._look()

    def choose(self, ready: Callable[[], Iterable[PlannedCell]]) -> tuple[PlannedCell, Place] | None:
        """The first ready cell that can start now, and where; None where none can."""
        if self.clock() - self._looked >= LOOK_EVERY:
            self._look()
            self._tell(ready)
        cells: list[PlannedCell] = []

        def demands() -> Iterable[tuple[int, Demand]]:
            for planned in ready():
                cells.append(planned)
                yield len(cells) - 1, self.demand(planned)

        found = self.placement.choose(demands(), self.clock())
        return (cells[found[0]], found[1]) if found else None

    def lacking(self, ready: Callable[[], Iterable[PlannedCell]]) -> str:
        """What no node has, so that nothing runs, nor could: `a node with a GPU and 2 cores`.

        Empty where some node could hold a cell that is handed out or ready.
        """
        demands = chain(self.placement.demands(), (self.demand(planned) for planned in ready()))
        least: Demand | None = None
        for one in demands:
            if self.placement.could_hold(one):
                return ""
            if least is None or (one.cores, one.gpu) < (least.cores, least.gpu):
                least = one
        if least is None:
            return ""
        cores = f"{least.cores:g} core{'' if least.cores == 1 else 's'}"
        return f"a node with a GPU and {cores}" if least.gpu else f"a node with {cores}"

    def demand(self, planned: PlannedCell) -> Demand:
        """What a cell takes, in Ray's terms, and for how long."""
        request = self.resources.request(planned.share)
        return Demand(cores=request["CPU"], gpu=request.get("GPU", 0.0), seconds=planned.seconds)

    def start(self, attempt: str, planned: PlannedCell, place: Place) -> None:
        """A cell is handed to Tune."""
        self._places[attempt] = place
        self.placement.start(attempt, self.demand(planned), place, self.clock())

    def placed(self, attempt: str, node: str, gpu: str) -> None:
        """On which GPU Ray has put an attempt, by the id of either."""
        expected = self._places.get(attempt)
        if expected is None or node not in self.placement.nodes:
            return
        known = {number for (name, _), number in self._numbers.items() if name == node}
        if (node, gpu) not in self._numbers:
            free = [n for n in range(self.placement.nodes[node].gpus) if n not in known]
            if not free:
                return
            likely = expected.gpu if expected.node == node and expected.gpu in free else free[0]
            self._numbers[node, gpu] = likely if likely is not None else free[0]
        self.placement.placed(attempt, Place(node, self._numbers[node, gpu]))

    def progress(self, attempt: str, share: float) -> None:
        """A share of an attempt's epochs is done."""
        self.placement.progress(attempt, share, self.clock())

    def end(self, attempt: str, *, finished: bool) -> None:
        """An attempt has ended, with a finished cell or without."""
        self._places.pop(attempt, None)
        self.placement.end(attempt, self.clock(), finished=finished)

    def close(self) -> None:
        """Ask for nothing any more."""
        if self.ask is not None and self._asked:
            self.ask([])

    def _look(self) -> None:
        self._looked = self.clock()
        self.placement.update(self.nodes())

    def _tell(self, ready: Callable[[], Iterable[PlannedCell]]) -> None:
        """Ask the autoscaler for room for what runs and what could."""
        if self.ask is None:
            return
        running = self.placement.demands()
        waiting = (self.demand(planned) for planned in ready())
        wanted: list[Mapping[str, float]] = [
            {"CPU": one.cores, **({"GPU": one.gpu} if one.gpu else {})}
            for one in islice((*running, *islice(waiting, LONGEST_REQUEST)), LONGEST_REQUEST)
        ]
        if wanted != self._asked:
            self._asked = wanted
            self.ask(wanted)
