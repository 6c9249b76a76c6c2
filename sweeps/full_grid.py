"""Run a whole grid: `python sweeps/full_grid.py`. Running it again runs only what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # The checkout in which this file lies is the one that runs, whatever else is installed or on the path.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(here.parent), *(place for place in sys.path if place != str(here))]
    import transfusion_sweep

    sys.exit(transfusion_sweep.sweep())

import os
from collections.abc import Sequence
from contextlib import ExitStack

from sweeps.options.command_line import options_of, refuse_empty, refuse_impossible_places
from sweeps.options.overrides import preset_of
from sweeps.options.values import Options
from sweeps.planning.gpus import GpuError
from sweeps.processes import which_code
from sweeps.processes.console import sweep_console
from sweeps.processes.stop import INTERRUPTED, Stop, on_signals
from sweeps.running.conclusion import CHECK_HINT, FAILED, STORAGE_ADVICE, UNUSABLE
from sweeps.running.connection import refuse_connected
from sweeps.running.rounds import run
from sweeps.running.sweep import Sweep
from sweeps.storage.lock import LockedError
from sweeps.storage.object_store import ObjectStore
from sweeps.storage.places import Places
from transfusion.problems import InputError, SettingError
from transfusion.records.failures import failure_of
from transfusion.records.lease import LostError


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = options_of(arguments)
    stop = Stop()
    try:
        return command(options, arguments, stop)
    except (SettingError, InputError, LockedError) as error:
        hint = f"\n{CHECK_HINT}" if isinstance(error, GpuError) else ""
        print(f"Nothing was started.\n{error}{hint}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print(f"{stop.reason or 'interrupted'}; the same command continues.", file=sys.stderr, flush=True)
        return INTERRUPTED
    except LostError as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return FAILED
    except Exception as error:
        in_store = "://" in (options.out or "") and isinstance(error, OSError)
        if failure_of(error) != "storage" and not in_store:
            raise
        print(f"Stopped: {error}\n{STORAGE_ADVICE}", file=sys.stderr)
        return FAILED


def command(options: Options, arguments: Sequence[str], stop: Stop) -> int:
    """What the options ask for: a check of the machine, the command on a cluster, or a sweep."""
    refuse_empty(arguments)
    which_code.refuse_strangers()
    if options.check:
        from sweeps.measuring import check  # torch, which a plan has no use for

        return check.run(options, sweep_console())
    refuse_connected(options)
    named = os.environ.get("RAY_ADDRESS", "") if options.address == "auto" else options.address
    if named and named.startswith("ray://"):
        from sweeps.execution import remote  # Ray

        paths = {name: getattr(options, name) for name in remote.PATHS}
        return remote.run(paths, options.address or "", arguments)
    preset = preset_of(options)
    with ExitStack() as cleanup:
        if options.address:
            from sweeps.execution import addresses  # Ray

            cleanup.enter_context(addresses.mode_restored())
            addresses.reach(addresses.resolve(options.address))  # before data are read: that may take minutes
        place = options.out or f"results/{preset.name}"
        store = ObjectStore(place) if "://" in place else None
        out = store.mirror() if store else Path(place)
        refuse_impossible_places(options.data, {"--out": out, "--cache": options.cache})
        places = Places(out, options.cache or out / "cache", store)
        cleanup.enter_context(on_signals(stop))
        return run(Sweep(options, preset, places, sweep_console(), stop, arguments=tuple(arguments)))
