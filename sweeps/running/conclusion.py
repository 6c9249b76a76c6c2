"""The end of a sweep: the report where it is not up to date, and what the terminal says last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeps.planning.plan import Plan
from sweeps.processes.stop import Stop
from sweeps.running.looks import Asked
from sweeps.running.progress import failure_table
from transfusion.problems import SettingError
from transfusion.records import results

OK, FAILED, UNUSABLE = 0, 1, 2
"""Exit status."""

STORAGE_ADVICE = "What was done is kept. Make room, or mend the storage; the same command then continues."

CHECK_HINT = (
    "The same command with --check shows within minutes what this machine can train, and what is wrong."
)


def stopped(stop: Stop, work: Plan, out: Path) -> str:
    """Why the sweep stopped, and what is left."""
    left = sum(not (out / "cells" / planned.id / results.RESULT).exists() for planned in work.cells)
    finished = len(work.cells) - left
    text = f"Stopped: {stop.reason}\n{finished} of {len(work.cells)} cells are finished, {left} left"
    if stop.reason.startswith("storage"):
        return f"{text}.\n{STORAGE_ADVICE}"
    return f"{text}; the same command continues."


def fixed_looks(out: Path, asked: Asked, write: bool = False) -> dict[str, Any]:
    """The looks of `out`, or those that are asked for: what the analysis keeps in `looks.json`.

    Args:
        write: keep them.

    Raises:
        SettingError: others are fixed there, or the numbers of seeds make no looks.
    """
    import analysis

    try:
        fixed = analysis.fixed_by(asked.until, asked.margins, dict(asked.grid), dict(asked.recipe))
        return analysis.fix_looks(out, asked.seeds or None, fixed, write=write)
    except (analysis.LooksError, analysis.EvidenceError) as error:
        raise SettingError(str(error)) from error


def forecast(planned: Mapping[str, Any], out: Path, conjectures: Sequence[int]) -> Any:
    """How likely the verdicts of a plan are right: `analysis.planned.Power`.

    Args:
        planned: the fields of `analysis.planned.Planned`.
        conjectures: that the cheapest design is to decide.

    Raises:
        SettingError: grids of this plan cannot be simulated.
    """
    from analysis import planned as room  # and with it all that simulates grids

    try:
        return room.power(room.Planned(**planned), out, conjectures)
    except ValueError as error:
        raise SettingError(f"--power: {error}") from error


def conclude(work: Plan, out: Path, console: Console, look: bool = False) -> int:
    """Tables, figures, report, where they are not up to date; then where they lie and which cells failed.

    Args:
        look: a look at the verdicts is due, which the analysis takes.
    """
    if look or not up_to_date(work, out):
        console.print("Writing tables, figures and report...")
        import analysis  # a second and a half of figures and statistics, that a plan has no use for

        try:
            if told := analysis.run(out).sequence:
                console.print(told, soft_wrap=True)
        except analysis.EvidenceError as error:
            console.print(f"No report: {error}\nThe cells are kept; python -m analysis {out} writes it anew.")
            return FAILED
    records = [results.read_result(out / "cells" / planned.id) for planned in work.cells]
    failed = [record for record in records if record is not None and record["status"] == "failed"]
    absent = sum(record is None for record in records)
    if failed:
        console.print(failure_table(failed, console.width))
        if any(record["failure"] == "out_of_memory" for record in failed):
            console.print(CHECK_HINT)
    done = len(records) - len(failed) - absent
    console.print(
        f"{done} cell{'' if done == 1 else 's'} done, {len(failed)} failed, {absent} missing.\n"
        f"report   {out / 'report.html'}\nfigures  {out / 'figures'}\ntables   {out / 'evidence'}",
        soft_wrap=True,
    )
    return FAILED if failed or absent else OK


def up_to_date(work: Plan, out: Path) -> bool:
    """Whether the report was written after the plan and after every cell of it."""
    report = out / "report.html"
    sources = [out / "plan.parquet", *(out / "cells" / planned.id / results.RESULT for planned in work.cells)]
    written = [path.stat().st_mtime for path in sources if path.exists()]
    return report.exists() and max(written) <= report.stat().st_mtime
