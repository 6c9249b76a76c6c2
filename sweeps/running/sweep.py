"""One round of a sweep: plan, settle the images, train, record; `rounds` makes a sweep of it."""

from __future__ import annotations

import dataclasses
import time
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console

from sweeps.execution import loggers
from sweeps.inputs import settling
from sweeps.inputs.data import name_of
from sweeps.inputs.data_table import DataSummary, data_tables, summarize
from sweeps.inputs.opening import open_inputs
from sweeps.inputs.settling import Inputs
from sweeps.options.values import Options
from sweeps.planning import history, plan, resources
from sweeps.planning.estimate import Estimate
from sweeps.planning.plan import Plan
from sweeps.planning.prune import prune
from sweeps.processes.stop import Stop
from sweeps.running import connection, drafting, look_costs, looks, power
from sweeps.running.conclusion import fixed_looks
from sweeps.running.drafting import Planner
from sweeps.running.looks import Asked, LookPlan
from sweeps.running.progress import SweepProgress, duration, prune_table
from sweeps.running.record import Outcome, write_sweep
from sweeps.spaces import Preset
from sweeps.storage import object_store
from sweeps.storage.places import Places
from transfusion.problems import InputError, SettingError
from transfusion.records import results
from transfusion.study import Study

ROUNDS = 4
"""How often images may turn out to be others while they are read, before that is an error."""


@dataclass(frozen=True)
class Sweep:
    """One call of the command: what it was told, where it works, and what it says that to.

    Attributes:
        looks: those of OUT, with what they have decided; None where seeds do not come in looks.
        arguments: `options` as they were written.
    """

    options: Options
    preset: Preset
    places: Places
    console: Console
    stop: Stop
    looks: LookPlan | None = None
    arguments: tuple[str, ...] = ()


def plan_and_train(sweep: Sweep) -> Plan | None:
    """The plan, whose cells are trained then; None where only a look at it was asked for, or pruning."""
    options, preset, places, console = sweep.options, sweep.preset, sweep.places, sweep.console
    loggers.refuse_missing(options.tensorboard, options.logger)
    resources.check_options(options.cpus_per_trial, options.gpus_per_trial)
    inputs = open_inputs(options, preset, places.out, console)
    if places.store and inputs.origin.supplied.weights:
        raise SettingError("--weights: found an object store as --out, expected a shared folder; name one")
    inputs = settling.recall(inputs, places)
    with ExitStack() as connected:
        at_hand = connection.open_resources(options, connected, sweep.stop, console)
        past = history.read(places.cells, retry_failed=options.retry_failed)
        now = sweep.looks.preset(preset) if sweep.looks else preset
        planner = drafting.planner(now, at_hand, past, inputs.dataset, options.gpu_price)
        for text in data_tables(summary_of(sweep, inputs), console.width):
            console.print(text)
        work, expected = planner.plan(inputs)
        drafting.show(planner, inputs, work, expected, console)
        if sweep.looks and not affordable(sweep, sweep.looks, planner, inputs, work):
            return None
        if options.dry_run:
            power.show(planner, work, summary_of(sweep, inputs), sweep.places.out, options.power, console)
            return None
        places.look()
        started = time.monotonic()
        inputs, work, expected = settle(sweep, planner, inputs, work, expected)
        places.look()
        if options.prune:
            remove_unnamed(sweep, work, past)
            return None
        if sweep.looks:
            keep_looks(sweep)
        plan.write(work, places.out / "plan.parquet")
        if work.missing():
            train(sweep, planner, inputs, work, connected)
            conclude_run(sweep, planner, inputs, (work, expected), time.monotonic() - started)
        return work


def affordable(sweep: Sweep, plan: LookPlan, planner: Planner, inputs: Inputs, work: Plan) -> bool:
    """Show the looks and what they cost; whether there is budget for the next.

    Raises:
        SettingError: looks were taken on other cells, or the first is beyond the budget.
    """
    looks.refuse_other_cells(plan, {one.id for one in work.cells})
    budget = look_costs.Budget(sweep.options.budget, sweep.console)
    return look_costs.within_budget(plan, planner, inputs, sweep.preset, budget)


def asked_of(sweep: Sweep) -> Asked:
    """What the command asks of looks."""
    options, preset = sweep.options, sweep.preset
    return Asked(
        until=options.until_decided or "",
        seeds=options.looks,
        margins=preset.margins_on(options.data is None),
        grid=looks.grid_of(preset),
        recipe=dataclasses.asdict(preset.recipe),
    )


def keep_looks(sweep: Sweep) -> None:
    """Fix the looks, now that cells are trained for them."""
    places = sweep.places
    fixed_looks(places.out, asked_of(sweep), write=True)
    if places.store:
        places.store.send(places.out / looks.FILE, looks.FILE)


def summary_of(sweep: Sweep, inputs: Inputs) -> DataSummary:
    """What the plan and the report say of the data."""
    summary = summarize(inputs.dataset, sweep.preset, name_of(sweep.options), sweep.options.recipe)
    return dataclasses.replace(summary, embedded=sweep.options.data is None)


def settle(
    sweep: Sweep, planner: Planner, inputs: Inputs, work: Plan, expected: Estimate
) -> tuple[Inputs, Plan, Estimate]:
    """Read every image whose bytes are not certain; where they are others, the plan is made again.

    Raises:
        InputError: they are others each time.
    """
    for _ in range(ROUNDS):
        missing = [] if sweep.options.prune else work.missing()
        ready = settling.settle(inputs, missing, sweep.preset.recipe, sweep.places, sweep.console)
        if ready.identity == inputs.identity:
            for text in settling.seen_since(inputs, ready):
                sweep.console.print(text, markup=False, soft_wrap=True)
            return ready, work, expected
        inputs, before = ready, work
        work, expected = planner.plan(inputs)
        if drafting.alike(before, work):
            drafting.show_notes(planner, inputs, sweep.console)
        else:
            drafting.show(planner, inputs, work, expected, sweep.console)
    raise InputError([settling.unsteady(inputs.dataset)])


def remove_unnamed(sweep: Sweep, work: Plan, past: history.History) -> None:
    """What `--prune` does."""
    pruned = prune(work, past, sweep.places.out)
    if sweep.places.store:
        sweep.places.store.remove_cells(pruned.removed)
    sweep.console.print(prune_table(pruned))


def train(sweep: Sweep, planner: Planner, inputs: Inputs, work: Plan, connected: ExitStack) -> None:
    """Run the missing cells on Ray."""
    options, places = sweep.options, sweep.places
    for one in work.begun:
        results.reopen(places.cells / one)
    if places.store:
        places.store.reopen(work.begun)
        places.store.share_cache(places.cache)
    if not options.address:
        connection.open_ray(None, connected, sweep.stop, int(sum(planner.at_hand.gpus)))
    from sweeps.execution import executor
    from sweeps.execution.cell_queue import Control

    origin = inputs.origin
    study = Study(
        recipe=sweep.preset.recipe, dataset=inputs.dataset, supplied=origin.supplied, imagenet=origin.imagenet
    )
    with SweepProgress(sweep.console, work.missing()) as progress:
        control = Control(
            watcher=progress,
            stop=sweep.stop,
            fail_fast=options.fail_fast,
            callbacks=loggers.callbacks(options.tensorboard, options.logger, places.out),
        )
        executor.execute(work, study, places, planner.at_hand, control)
    places.look()
    if places.store:
        object_store.pull(places.store, places.out)
    sweep.console.print(progress.describe())


def conclude_run(
    sweep: Sweep, planner: Planner, inputs: Inputs, planned: tuple[Plan, Estimate], seconds: float
) -> None:
    """Record what was run and how long it took, beside what was expected."""
    work, expected = planned
    outcome = Outcome(seconds, sweep.stop.reason, sweep.arguments)
    file = sweep.places.out / "sweep.json"
    write_sweep(file, sweep.preset, summary_of(sweep, inputs), planner.at_hand, work, expected, outcome)
    if not sweep.stop.reason:
        sweep.console.print(f"took {duration(seconds)}, expected {duration(expected.wall_seconds)}")
