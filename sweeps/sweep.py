"""One sweep from its options to its report: lock OUT, plan, settle the images, train, conclude."""

from __future__ import annotations

import dataclasses
import time
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console

from sweeps import connection, drafting, ownership
from sweeps.conclusion import FAILED, OK, conclude, stopped
from sweeps.drafting import Planner
from sweeps.execution import loggers
from sweeps.inputs import settling
from sweeps.inputs.data import name_of
from sweeps.inputs.data_table import DataSummary, data_tables, summarize
from sweeps.inputs.opening import open_inputs
from sweeps.inputs.settling import Inputs
from sweeps.options import Options
from sweeps.places import Places
from sweeps.planning import history, plan, resources
from sweeps.planning.estimate import Estimate
from sweeps.planning.plan import Plan
from sweeps.planning.prune import prune
from sweeps.processes import marked
from sweeps.processes.stop import INTERRUPTED, Stop
from sweeps.progress import SweepProgress, duration, prune_table
from sweeps.record import Outcome, write_sweep
from sweeps.spaces import Preset
from sweeps.storage import object_store
from sweeps.storage.lock import Waiting
from transfusion.problems import InputError, SettingError
from transfusion.records import results
from transfusion.study import Study

ROUNDS = 4
"""How often images may turn out to be others while they are read, before that is an error."""


@dataclass(frozen=True)
class Sweep:
    """One call of the command: what it was told, where it works, and what it says that to."""

    options: Options
    preset: Preset
    places: Places
    console: Console
    stop: Stop


def run(sweep: Sweep) -> int:
    """Lock OUT, plan, train, conclude; the exit status.

    Raises:
        SettingError, InputError, LockedError: nothing was started.
    """
    places, store = sweep.places, sweep.places.store
    with ExitStack() as cleanup:
        if not sweep.options.dry_run:
            waiting = Waiting(wait=sweep.options.wait, say=sweep.console.print)
            places = dataclasses.replace(places, look=ownership.take(places, waiting, cleanup))
            cleanup.enter_context(ownership.no_phantom_if_refused(places.out))
        cleanup.enter_context(marked.marked(str(places.out.resolve())))
        if store:
            ownership.fetch(store, places.out)
        work = plan_and_train(dataclasses.replace(sweep, places=places))
        if work is None:
            return OK
        if sweep.stop.reason:
            sweep.console.print(stopped(sweep.stop, work, places.out))
        if sweep.stop.by_signal:
            return INTERRUPTED
        if sweep.stop.reason.startswith("storage"):
            return FAILED
        places.look()
        status = conclude(work, places.out, sweep.console)
        if store:
            places.look()
            object_store.push(store, places.out)
            sweep.console.print(f"all of it is in {store.uri}")
        return status


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
        planner = drafting.planner(preset, at_hand, past, inputs.dataset, options.gpu_price)
        for text in data_tables(summary_of(sweep, inputs), console.width):
            console.print(text)
        work, expected = planner.plan(inputs)
        drafting.show(planner, inputs, work, expected, console)
        if options.dry_run:
            return None
        places.look()
        started = time.monotonic()
        inputs, work, expected = settle(sweep, planner, inputs, work, expected)
        places.look()
        if options.prune:
            remove_unnamed(sweep, work, past)
            return None
        plan.write(work, places.out / "plan.parquet")
        if work.missing():
            train(sweep, planner, inputs, work, connected)
            conclude_run(sweep, planner, inputs, (work, expected), time.monotonic() - started)
        return work


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
            return ready, work, expected
        inputs = ready
        work, expected = planner.plan(inputs)
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
        connection.open_ray(None, connected, sweep.stop)
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
    outcome = Outcome(seconds, sweep.stop.reason)
    file = sweep.places.out / "sweep.json"
    write_sweep(file, sweep.preset, summary_of(sweep, inputs), planner.at_hand, work, expected, outcome)
    if not sweep.stop.reason:
        sweep.console.print(f"took {duration(seconds)}, expected {duration(expected.wall_seconds)}")
