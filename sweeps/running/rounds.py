"""A sweep from its options to its report: lock OUT, then rounds of training and conclusion until all is done.

Without looks there is one round. With looks each plans what the next look asks for; the analysis that
concludes it takes the look, and says by that what the next round plans.
"""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack

from sweeps.processes import marked
from sweeps.processes.stop import INTERRUPTED
from sweeps.running import look_costs, looks, ownership
from sweeps.running.conclusion import FAILED, OK, conclude, fixed_looks, stopped
from sweeps.running.looks import LookPlan, look_plan
from sweeps.running.sweep import Sweep, asked_of, plan_and_train
from sweeps.storage import object_store
from sweeps.storage.lock import Waiting
from transfusion.problems import InputError, SettingError


def run(sweep: Sweep) -> int:
    """Lock OUT, plan, train, conclude, for every look where there are any; the exit status.

    Raises:
        SettingError, InputError, LockedError: nothing was started. Between looks such an error is told.
    """
    places, store = sweep.places, sweep.places.store
    with ExitStack() as cleanup:
        if sweep.options.dry_run:
            cleanup.enter_context(ownership.told_if_unwritable(places.out))
        else:
            waiting = Waiting(wait=sweep.options.wait, say=sweep.console.print)
            places = dataclasses.replace(places, look=ownership.take(places, waiting, cleanup))
            cleanup.enter_context(ownership.no_phantom_if_refused(places.out))
        cleanup.enter_context(marked.marked(str(places.out.resolve())))
        if store:
            ownership.fetch(store, places.out)
        sweep = dataclasses.replace(sweep, places=places)
        sweep = dataclasses.replace(sweep, looks=looks_of(sweep))
        status = train_and_conclude(sweep)
        while (further := next_look(sweep)) is not None:
            sweep = further
            try:
                status = train_and_conclude(sweep, status)
            except (SettingError, InputError) as error:
                text = (
                    f"Stopped before the next look: {error}\nWhat is done stands; the same command continues."
                )
                sweep.console.print(text, soft_wrap=True, markup=False)
                return FAILED
        return status


def looks_of(sweep: Sweep) -> LookPlan | None:
    """The looks of OUT, or those that are asked for; None where seeds do not come in looks.

    Raises:
        SettingError: OUT has looks, and the command asks for others or none.
    """
    file = sweep.places.out / looks.FILE
    if sweep.options.until_decided is None:
        if file.exists():
            raise SettingError(
                f"{file}: found looks that were fixed, expected --until-decided; give the command that they "
                "were fixed with, or name another --out"
            )
        return None
    return look_plan(fixed_looks(sweep.places.out, asked_of(sweep)))


def next_look(sweep: Sweep) -> Sweep | None:
    """This sweep with the look that follows on one that was taken; None where none was, or none follows."""
    if sweep.looks is None or sweep.options.dry_run or sweep.options.prune or sweep.stop.reason:
        return None
    now = looks_of(sweep)
    if now is None or len(now.taken) == len(sweep.looks.taken):
        return None
    sweep.console.print(look_costs.told(now.taken[-1], now), soft_wrap=True)
    return None if now.ended else dataclasses.replace(sweep, looks=now)


def train_and_conclude(sweep: Sweep, status: int = OK) -> int:
    """One round: plan, train, conclude; the exit status.

    Args:
        status: of the round before, for one that trains nothing.
    """
    places, store = sweep.places, sweep.places.store
    work = plan_and_train(sweep)
    if work is None:
        return status
    if sweep.stop.reason:
        sweep.console.print(stopped(sweep.stop, work, places.out))
    if sweep.stop.by_signal:
        return INTERRUPTED
    if sweep.stop.reason.startswith("storage"):
        return FAILED
    places.look()
    due = sweep.looks is not None and not sweep.looks.ended
    status = conclude(work, places.out, sweep.console, look=due)
    if store:
        places.look()
        object_store.push(store, places.out)
        sweep.console.print(f"all of it is in {store.uri}")
    return status
