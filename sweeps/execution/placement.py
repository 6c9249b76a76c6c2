"""Where a trial can run at once: the cores and GPUs of every node, what runs there, and until when.

Ray counts what is free and places a trial that fits; which cell comes next is decided here. A cell that fits
nowhere reserves the device that will be free for it soonest. Until then a smaller one starts there only if it
is expected to have ended by that time, or to leave enough ("EASY backfilling": Lifka 1995, "The ANL/IBM SP
scheduling system"; Mu'alem and Feitelson 2001). So large shares do not starve, and small ones fill the gaps.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

SLACK = 1e-6
"""Shares are sums of binary fractions, but for a user's own."""


class Place(NamedTuple):
    """A GPU of a node, or its cores where trials run on the CPU (`gpu` is None)."""

    node: str
    gpu: int | None


@dataclass(frozen=True, kw_only=True)
class Node:
    """What a node has."""

    cores: float
    gpus: int = 0


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one trial takes: cores and a share of a GPU (0 on a CPU), for so many seconds, as is expected."""

    cores: float
    gpu: float
    seconds: float


@dataclass
class _Running:
    place: Place
    demand: Demand
    start: float
    seconds: float
    """Expected in all: first by the plan, then by the epochs that are done."""


@dataclass
class Placement:
    """The nodes, and what runs on them. Times are in seconds of any one clock.

    Attributes:
        on_gpu: whether trials take shares of GPUs, or cores of nodes.
        nodes: by id; those that left are gone, with what ran there.
    """

    on_gpu: bool
    nodes: dict[str, Node] = field(default_factory=dict)
    _running: dict[str, _Running] = field(default_factory=dict)
    _pace: list[float] = field(default_factory=list)

    def update(self, nodes: Mapping[str, Node]) -> None:
        """Nodes have joined or left."""
        self.nodes = dict(nodes)

    def start(self, attempt: str, demand: Demand, place: Place, now: float) -> None:
        """An attempt is handed out for `place`."""
        self._running[attempt] = _Running(place, demand, now, demand.seconds * self.pace)

    def placed(self, attempt: str, place: Place) -> None:
        """Where Ray has put it indeed."""
        if attempt in self._running:
            self._running[attempt].place = place

    def progress(self, attempt: str, share: float, now: float) -> None:
        """A share of an attempt's work is done, so that its end is known better."""
        if attempt in self._running and 0 < share <= 1:
            one = self._running[attempt]
            one.seconds = (now - one.start) / share

    def end(self, attempt: str, now: float, *, finished: bool = True) -> None:
        """An attempt has ended; a finished one tells how fast this machine is."""
        one = self._running.pop(attempt, None)
        if one is not None and finished and one.demand.seconds > 0:
            self._pace.append((now - one.start) / one.demand.seconds)

    @property
    def pace(self) -> float:
        """Seconds that passed for one that was expected: the median of what has finished; 1 before."""
        return statistics.median(self._pace) if self._pace else 1.0

    def choose(self, demands: Iterable[tuple[int, Demand]], now: float) -> tuple[int, Place] | None:
        """The first of `demands` that can start now without keeping an earlier one from its device.

        Args:
            demands: (key, demand), the most wanted first.

        Returns:
            Its key and place; None where nothing can start.
        """
        free = self._free()
        if all(self._amount(place, *left) <= SLACK for place, left in free.items()):
            return None
        reserved: dict[Place, tuple[float, float]] = {}
        closed: set[tuple[float, float]] = set()  # shapes that fit nowhere, however short
        for key, demand in demands:
            shape = demand.cores, demand.gpu
            if shape in closed:
                if len(reserved) < len(free):
                    self._reserve(demand, reserved, now)
                continue
            fitting = self._fitting(free, demand)
            if not fitting:
                closed.add(shape)
                self._reserve(demand, reserved, now)
                continue
            ends = now + demand.seconds * self.pace
            allowed = [
                place
                for place in fitting
                if place not in reserved
                or ends <= reserved[place][0]
                or self._size(demand, place) <= reserved[place][1] + SLACK
            ]
            if allowed:
                return key, min(allowed, key=lambda place: (self._amount(place, *free[place]), place))
        return None

    def could_hold(self, demand: Demand) -> bool:
        """Whether a node that is there could hold `demand`, were it free."""
        return any(
            demand.cores <= node.cores + SLACK and (node.gpus > 0 or not self.on_gpu)
            for node in self.nodes.values()
        )

    def demands(self) -> list[Demand]:
        """What runs."""
        return [one.demand for one in self._running.values()]

    # -- what is free, and when

    def _free(self) -> dict[Place, tuple[float, float]]:
        """(cores, share of the GPU) that are free at every place."""
        cores = {name: node.cores for name, node in self.nodes.items()}
        gpus = {Place(name, i): 1.0 for name, node in self.nodes.items() for i in range(node.gpus)}
        for one in self._running.values():
            if one.place.node in cores:
                cores[one.place.node] -= one.demand.cores
            if one.place in gpus:
                gpus[one.place] -= one.demand.gpu
        if self.on_gpu:
            return {place: (cores[place.node], share) for place, share in gpus.items()}
        return {Place(name, None): (left, 0.0) for name, left in cores.items()}

    @staticmethod
    def _amount(place: Place, cores: float, share: float) -> float:
        return cores if place.gpu is None else min(cores, share)

    @staticmethod
    def _size(demand: Demand, place: Place) -> float:
        return demand.cores if place.gpu is None else demand.gpu

    @staticmethod
    def _fitting(free: Mapping[Place, tuple[float, float]], demand: Demand) -> list[Place]:
        return [
            place
            for place, (cores, share) in free.items()
            if demand.cores <= cores + SLACK and demand.gpu <= share + SLACK
        ]

    def _reserve(self, demand: Demand, reserved: dict[Place, tuple[float, float]], now: float) -> None:
        """Reserve for `demand` the device that is free for it soonest: the time, and what it leaves over."""
        soonest: tuple[float, float, Place] | None = None
        for place in self._free():
            if place in reserved:
                continue
            found = self._free_for(demand, place, now)
            if found is not None and (soonest is None or (*found, place) < soonest):
                soonest = (*found, place)
        if soonest is not None:
            when, left, place = soonest
            reserved[place] = when, left

    def _free_for(self, demand: Demand, place: Place, now: float) -> tuple[float, float] | None:
        """When `demand` fits at `place`, and what of it is then left over; None if never."""
        node = self.nodes[place.node]
        cores, share = float(node.cores), 1.0 if place.gpu is not None else 0.0
        there = [one for one in self._running.values() if one.place.node == place.node]
        for one in there:
            cores -= one.demand.cores
            share -= one.demand.gpu if one.place == place else 0.0
        when, ends = now, sorted(there, key=lambda one: one.start + one.seconds)
        while demand.cores > cores + SLACK or demand.gpu > share + SLACK:
            if not ends:
                return None
            first = ends.pop(0)
            cores += first.demand.cores
            share += first.demand.gpu if first.place == place else 0.0
            when = max(now, first.start + first.seconds)
        return when, (share - demand.gpu if place.gpu is not None else cores - demand.cores)
