"""The plan of a sweep as often as it is made: for the images as they are assumed, then as they are."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import dataclass

from rich.console import Console

from sweeps.inputs import settling
from sweeps.inputs.settling import Inputs
from sweeps.planning import cost, plan, speeds
from sweeps.planning.codes import several_codes, several_types
from sweeps.planning.cost import CostModel
from sweeps.planning.estimate import Estimate, estimate
from sweeps.planning.history import History
from sweeps.planning.memory import Key, first_share, measured_peaks, refuse_too_large
from sweeps.planning.plan import Plan
from sweeps.planning.resources import Resources
from sweeps.planning.speeds import Speeds
from sweeps.running.progress import plan_table
from sweeps.spaces import Preset
from transfusion.cell import Cell
from transfusion.data.dataset import Dataset
from transfusion.records.code_version import code_version


@dataclass(frozen=True)
class Planner:
    """What a plan follows from besides the images.

    Attributes:
        past: what has finished in OUT.
        model: what a cell costs here.
        peaks: device memory that cells have needed.
        gpu_price: of one GPU for one hour, None where nobody said.
    """

    preset: Preset
    at_hand: Resources
    past: History
    model: CostModel
    peaks: dict[Key, int]
    gpu_price: float | None = None

    def plan(self, inputs: Inputs) -> tuple[Plan, Estimate]:
        """The plan for these images, and what it is expected to cost."""
        work = plan.make(
            self.preset.cells(),
            self.preset.recipe,
            inputs.dataset.fingerprint,
            self.past,
            self.model,
            inputs.origin.supplied,
            share_of=self.share,
        )
        work = dataclasses.replace(work, weights=inputs.origin.named)
        refuse_too_large(
            [one.cell for one in work.missing()], [one.cell for one in work.cells], self.at_hand.host_memory
        )
        return work, estimate(work.missing(), self.at_hand, self.gpu_price)

    def share(self, cell: Cell) -> float:
        """The share of a device that a first attempt of `cell` gets."""
        return first_share(cell, self.preset.recipe, self.at_hand, self.peaks)


def planner(
    preset: Preset, at_hand: Resources, past: History, dataset: Dataset, gpu_price: float | None
) -> Planner:
    """What plans are made of, all that is known of this kind of machine and of earlier cells put in."""
    known = speeds.recall(at_hand)
    model = cost.CostModel(
        device=at_hand.device,
        evaluation_images=len(dataset.rows("test")) + len(dataset.rows("official")),
        selection_images=len(dataset.rows("selection")),
        macs_per_second=throughput(at_hand, known),
        device_name=at_hand.device_name if at_hand.device == "cuda" else "",
        least_part=at_hand.least_part,
    ).corrected(past.records, known)
    peaks = {**(known.peaks() if at_hand.device == "cuda" else {}), **measured_peaks(past.records)}
    return Planner(preset, at_hand, past, model, peaks, gpu_price)


def throughput(at_hand: Resources, known: Speeds) -> float:
    """Multiply-adds a second: of a GPU a guess; of a CPU measured once, and kept for later plans."""
    if known.macs_per_second is not None:
        return known.macs_per_second
    found = cost.macs_per_second(at_hand.device, at_hand.cpus, at_hand.element_bytes)
    if at_hand.device == "cpu":
        with suppress(OSError):  # then the next plan measures again
            speeds.keep(at_hand, Speeds(macs_per_second=found))
    return found


def show(planner: Planner, inputs: Inputs, work: Plan, expected: Estimate, console: Console) -> None:
    """Print the plan, and what is to be known of its images, weights and codes."""
    at_hand, missing = planner.at_hand, work.missing()
    show_notes(planner, inputs, console)
    slots = max((at_hand.slots(one.share) for one in missing), default=0) or at_hand.slots(at_hand.share())
    console.print(plan_table(work, expected, slots, console.width))
    if at_hand.why:
        console.print(f"at most {max(at_hand.cores)} of this machine's cores: {at_hand.why}")
    if at_hand.told:
        console.print(at_hand.told, soft_wrap=True)
    for file in work.weights:
        console.print(file.line(), markup=False, soft_wrap=True)
    records = planner.past.records
    finished = [records[one.id] for one in work.cells if one.id in records]
    for mixed in (
        several_codes(finished, code_version(), len(missing)),
        several_types(finished, at_hand.machine().precision, len(missing)),
    ):
        if mixed:
            console.print(mixed, markup=False, soft_wrap=True)


def show_notes(planner: Planner, inputs: Inputs, console: Console) -> None:
    """Print what is to be known of the images."""
    for text in settling.notes(inputs, planner.past.records):
        console.print(text, markup=False, soft_wrap=True)


def alike(one: Plan, other: Plan) -> bool:
    """Whether two plans show the same table: the same cells, of which the same are finished."""
    return [(planned.cell, one.states.get(planned.id)) for planned in one.cells] == [
        (planned.cell, other.states.get(planned.id)) for planned in other.cells
    ] and one.orphaned == other.orphaned
