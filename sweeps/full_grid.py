"""Run a whole grid: `python sweeps/full_grid.py`. Running it again runs only what is missing."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback out of the imports that follow

from pathlib import Path

if __name__ == "__main__":
    # The checkout in which this file lies is the one that runs, whatever else is installed or on the path.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(here.parent), *(place for place in sys.path if place != str(here))]
    import transfusion_sweep

    sys.exit(transfusion_sweep.sweep())

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rich.console import Console

from sweeps import remote
from sweeps.command_line import options_of, preset_of, refuse_empty, refuse_impossible_places
from sweeps.console import sweep_console
from sweeps.execution import autoscaling, executor, loggers, worker_code
from sweeps.inputs import pretrained, settling
from sweeps.inputs.data import open_data
from sweeps.inputs.data_table import data_tables, summarize
from sweeps.measuring import check
from sweeps.options import Options
from sweeps.planning import cost, history, plan, resources, speeds
from sweeps.planning.codes import several_codes
from sweeps.planning.estimate import Estimate, estimate
from sweeps.planning.memory import measured_peaks, needed_bytes
from sweeps.planning.named_weights import Given
from sweeps.planning.prune import prune
from sweeps.processes import marked
from sweeps.processes.stop import INTERRUPTED, Stop, end_at_once, install, on_signals
from sweeps.progress import SweepProgress, duration, failure_table, plan_table, prune_table
from sweeps.record import Outcome, write_sweep
from sweeps.spaces import Preset
from sweeps.storage import object_store
from sweeps.storage.lock import LockedError, Waiting, held
from sweeps.storage.store_lock import held_prefix
from transfusion.cell import Cell
from transfusion.data.table import Table
from transfusion.files import unwatched
from transfusion.problems import InputError, Problem, SettingError
from transfusion.records import results
from transfusion.records.code_version import code_version
from transfusion.records.failures import failure_of
from transfusion.records.lease import LostError

OK, FAILED, UNUSABLE = 0, 1, 2

ROUNDS = 4
"""How often images may turn out to be others while they are read, before that is an error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = options_of(arguments)
    stop, store = Stop(), None
    try:
        refuse_empty(arguments)
        worker_code.refuse_strangers()
        if options.check:
            return check.run(options, sweep_console())
        if options.address and options.address.startswith(remote.PREFIX):
            return remote.run(options, options.address, arguments)
        preset = preset_of(options)
        place = options.out or f"results/{preset.name}"
        store = object_store.ObjectStore(place) if "://" in place else None
        out = store.mirror() if store else Path(place)
        refuse_impossible_places(options.data, {"--out": out, "--cache": options.cache})
        with on_signals(stop):
            return run(options, preset, out, store, sweep_console(), stop)
    except (SettingError, InputError, LockedError) as error:
        hint = f"\n{check.HINT}" if isinstance(error, resources.GpuError) else ""
        print(f"Nothing was started.\n{error}{hint}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print(f"{stop.reason or 'interrupted'}; the same command continues.", file=sys.stderr, flush=True)
        return INTERRUPTED
    except LostError as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return FAILED
    except Exception as error:
        if failure_of(error) != "storage" and not (store and isinstance(error, OSError)):
            raise
        print(f"Stopped: {error}\n{STORAGE_ADVICE}", file=sys.stderr)
        return FAILED


STORAGE_ADVICE = "What was done is kept. Make room, or mend the storage; the same command then continues."


def run(
    options: Options,
    preset: Preset,
    out: Path,
    store: object_store.ObjectStore | None,
    console: Console,
    stop: Stop,
) -> int:
    """Lock OUT, plan, check, execute, analyse."""
    look: Callable[[], None] = unwatched
    with ExitStack() as lock:
        if not options.dry_run:
            look = take(out, store, Waiting(wait=options.wait, say=console.print), lock)
            lock.enter_context(nothing_left_where_refused(out))
        lock.enter_context(marked.marked(str(out.resolve())))
        if store:
            fetch(store, out)
        with ExitStack() as connection:
            work = sweep(options, preset, out, store, console, stop, connection, look)
        if work is None:
            return OK
        if stop.reason:
            console.print(stopped(stop, work, out))
        if stop.by_signal:
            return INTERRUPTED
        if stop.reason.startswith("storage"):
            return FAILED
        look()
        status = conclude(work, out, console)
        if store:
            look()
            object_store.push(store, out)
            console.print(f"all of it is in {store.uri}")
        return status


def sweep(
    options: Options,
    preset: Preset,
    out: Path,
    store: object_store.ObjectStore | None,
    console: Console,
    stop: Stop,
    connection: ExitStack,
    look: Callable[[], None],
) -> plan.Plan | None:
    """Plan and execute; None where only a look at the plan was asked for.

    Args:
        connection: closes what Ray opened.
        look: at the lease on OUT, before what is written there.
    """
    wanted = preset.cells()
    cache: Path = options.cache or out / "cache"
    watching = loggers.callbacks(options.tensorboard, options.logger, out)
    resources.check_options(options.cpus_per_trial, options.gpus_per_trial)
    table, origin = open_inputs(options, preset, wanted, out, console)
    if store and origin.supplied.weights:
        raise SettingError("--weights: found an object store as --out, expected a shared folder; name one")
    places = settling.Places(out, cache, store)
    inputs = settling.recall(settling.Inputs(table, origin), places)
    summary = summarize(table, wanted, preset.recipe, options)
    at_hand = open_resources(options, connection, stop, console)
    if options.gpu_price is not None and at_hand.device == "cpu":
        raise SettingError(
            f"--gpu-price {options.gpu_price:g}: found no GPU to train on, expected one; drop the option"
        )
    past = history.read(out / "cells")
    known = speeds.recall(at_hand)
    peaks = {**(known.peaks() if at_hand.device == "cuda" else {}), **measured_peaks(past.records)}
    model = cost.CostModel(
        device=at_hand.device,
        evaluation_images=len(table.rows("test")) + len(table.rows("official")),
        selection_images=len(table.rows("selection")),
        macs_per_second=cost.macs_per_second(at_hand.device, at_hand.cpus, at_hand.element_bytes),
    ).corrected(past.records, known)

    def planned(inputs: settling.Inputs) -> tuple[plan.Plan, Estimate]:
        """The plan for these images, printed."""
        work = plan.make(
            wanted,
            preset.recipe,
            inputs.table.fingerprint,
            past,
            model,
            inputs.origin.supplied,
            share_of=lambda cell: at_hand.share(
                needed_bytes(cell, preset.recipe, peaks, at_hand.element_bytes)
            ),
            retry_failed=options.retry_failed,
        )
        work = dataclasses.replace(work, weights=inputs.origin.named)
        missing = work.missing()
        expected = estimate(missing, at_hand, options.gpu_price)
        slots = max((at_hand.slots(one.share) for one in missing), default=0)
        for text in settling.notes(inputs, past.records):
            console.print(text, markup=False, soft_wrap=True)
        slots = slots or at_hand.slots(at_hand.share())
        console.print(plan_table(work, expected, slots, console.width))
        for file in work.weights:
            console.print(file.line(), markup=False, soft_wrap=True)
        finished = [past.records[one.id] for one in work.cells if one.id in past.records]
        if mixed := several_codes(finished, code_version(), len(missing)):
            console.print(mixed, markup=False, soft_wrap=True)
        return work, expected

    for text in data_tables(summary, console.width):
        console.print(text)
    work, expected = planned(inputs)
    if options.dry_run:
        return None
    look()
    started = time.monotonic()
    for _ in range(ROUNDS):
        ready = settling.settle(
            inputs, [] if options.prune else work.missing(), preset.recipe, places, console
        )
        same = ready.identity == inputs.identity
        inputs = ready
        if same:
            break
        work, expected = planned(inputs)
    else:
        raise InputError([settling.unsteady(inputs.table)])
    look()
    if options.prune:
        pruned = prune(work, past, out)
        if store:
            store.remove_cells(pruned.removed)
        console.print(prune_table(pruned))
        return None
    summary = dataclasses.replace(summary, table=inputs.table)
    table, origin, missing = inputs.table, inputs.origin, work.missing()
    plan.write(work, out / "plan.parquet")
    if not missing:
        return work
    for one in work.begun:
        results.reopen(out / "cells" / one)
    if store:
        store.reopen(work.begun)
        store.share_cache(cache)
    if not options.address:
        open_ray(None, connection, stop)
    with SweepProgress(console, missing) as progress:
        executor.execute(
            missing,
            executor.Work(
                recipe=preset.recipe,
                table=table,
                supplied=origin.supplied,
                imagenet=origin.imagenet,
                look=look,
            ),
            done=work.ids("done"),
            failed=work.ids("failed"),
            out=out,
            cache=cache,
            resources=at_hand,
            watcher=progress,
            stop=stop,
            fail_fast=options.fail_fast,
            callbacks=watching,
            store=store,
        )
    look()
    if store:
        object_store.pull(store, out)
    console.print(progress.describe())
    wall = time.monotonic() - started
    outcome = Outcome(wall, stop.reason)
    write_sweep(out / "sweep.json", preset, summary, at_hand, work, expected, outcome)
    if not stop.reason:
        console.print(f"took {duration(wall)}, expected {duration(expected.wall_seconds)}")
    return work


def fetch(store: object_store.ObjectStore, out: Path) -> None:
    """Bring the local mirror up to date.

    Raises:
        SettingError: the store cannot be reached or read.
    """
    try:
        object_store.pull(store, out)
    except OSError as error:
        raise unusable_store(store, error) from error


def unusable_store(store: object_store.ObjectStore, error: OSError) -> SettingError:
    return SettingError(
        f"--out {store.uri}: found a store that cannot be read or written ({error}), expected one that can; "
        "check the address, the region or endpoint, and the keys in the environment"
    )


def take(
    out: Path, store: object_store.ObjectStore | None, waiting: Waiting, cleanup: ExitStack
) -> Callable[[], None]:
    """Lock OUT until the end, and end what dead drivers left behind; returns the look at the lease.

    Raises:
        LockedError: another driver is at work there.
        SettingError: OUT cannot be written.
    """
    try:
        lease = cleanup.enter_context(held(out, waiting, end_lost))
    except OSError as error:
        raise SettingError(
            f"--out {out}: found a folder that cannot be written ({error.strerror}), expected one that can; "
            "name another, or change its owner or mount"
        ) from error
    orphans = marked.end_orphans(str(out.resolve()))
    if orphans.ended:
        waiting.say(f"ended {orphans.ended} processes that an earlier sweep on {out} left behind")
    if orphans.left:
        waiting.say(
            f"left {orphans.left} processes alone that another sweep on {out} has started: it is not known "
            "to be dead; end them yourself if they are in the way"
        )
    if store is None:
        return lease.check
    try:
        return cleanup.enter_context(held_prefix(store, waiting, end_lost))
    except OSError as error:
        raise unusable_store(store, error) from error


def end_lost(why: str) -> None:
    """The end of a sweep that has lost OUT: at once, as nothing of it may be written there any more."""
    end_at_once(f"Stopped: {why}", FAILED)


@contextmanager
def nothing_left_where_refused(out: Path) -> Iterator[None]:
    """Take the embedded data away again that options were checked against which are then refused."""
    embedded = out / "phantom"
    there = embedded.exists()
    try:
        yield
    except (SettingError, InputError):
        if not there:
            shutil.rmtree(embedded, ignore_errors=True)
        raise


def open_resources(options: Options, cleanup: ExitStack, stop: Stop, console: Console) -> resources.Resources:
    """What is at hand: the cluster at `--address`, which is connected for it, or this machine.

    A cluster whose workers are still to come is asked for a first one, but for a plan alone.
    """
    wanted = options.cpus_per_trial, options.gpus_per_trial
    if not options.address:
        return resources.of_machine(*wanted)
    open_ray(options.address, cleanup, stop)
    if not options.dry_run:
        autoscaling.wait_for_workers(*wanted, console.print)
    elif not autoscaling.cores():
        console.print("The cluster has no worker yet; the plan reckons with the smallest that it may start.")
        return resources.to_come(*wanted, autoscaling.first_request(*wanted))
    return resources.of_cluster(*wanted)


def open_ray(address: str | None, cleanup: ExitStack, stop: Stop) -> None:
    """Connect to Ray, or start it; at the end leave it, and let no process of ours survive."""
    if address is None:
        cleanup.callback(marked.end_own)
    cleanup.callback(executor.end_ray)
    executor.start_ray(address)
    install(stop)


def stopped(stop: Stop, work: plan.Plan, out: Path) -> str:
    """Why the sweep stopped, and what is left."""
    left = sum(not (out / "cells" / planned.id / results.RESULT).exists() for planned in work.cells)
    finished = len(work.cells) - left
    text = f"Stopped: {stop.reason}\n{finished} of {len(work.cells)} cells are finished, {left} left"
    if stop.reason.startswith("storage"):
        return f"{text}.\n{STORAGE_ADVICE}"
    return f"{text}; the same command continues."


def open_inputs(
    options: Options, preset: Preset, wanted: Sequence[Cell], out: Path, console: Console
) -> tuple[Table, pretrained.Pretrained]:
    """The data, and what `init=imagenet` starts from.

    Raises:
        SettingError: no data are named.
        InputError: everything that is wrong with either.
    """
    table = origin = None
    problems: list[Problem] = []
    try:
        table = open_data(preset, options, out, wanted, console)
    except InputError as error:
        problems += error.problems
    try:
        given = Given(options.weights, options.weights_origin, options.weights_input)
        origin = pretrained.open_pretrained(given, options.imagenet, wanted, preset.recipe, console)
    except InputError as error:
        problems += error.problems
    if table is None or origin is None:
        raise InputError(problems)
    return table, pretrained.checked(origin, table, preset.recipe)


def conclude(work: plan.Plan, out: Path, console: Console) -> int:
    """Tables, figures, report, where they are not up to date; then where they lie and which cells failed."""
    if not up_to_date(work, out):
        console.print("Writing tables, figures and report...")
        import analysis  # a second and a half of figures and statistics, that a plan has no use for

        analysis.run(out)
    records = [results.read_result(out / "cells" / planned.id) for planned in work.cells]
    failed = [record for record in records if record is not None and record["status"] == "failed"]
    absent = sum(record is None for record in records)
    if failed:
        console.print(failure_table(failed, console.width))
        if any(record["failure"] == "out_of_memory" for record in failed):
            console.print(check.HINT)
    console.print(
        f"{len(records) - len(failed) - absent} cells done, {len(failed)} failed, {absent} missing.\n"
        f"report   {out / 'report.html'}\nfigures  {out / 'figures'}\ntables   {out / 'evidence'}",
        soft_wrap=True,
    )
    return FAILED if failed or absent else OK


def up_to_date(work: plan.Plan, out: Path) -> bool:
    """Whether the report was written after the plan and after every cell of it."""
    report = out / "report.html"
    sources = [out / "plan.parquet", *(out / "cells" / planned.id / results.RESULT for planned in work.cells)]
    written = [path.stat().st_mtime for path in sources if path.exists()]
    return report.exists() and max(written) <= report.stat().st_mtime
