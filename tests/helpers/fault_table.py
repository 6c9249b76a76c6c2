"""The fault suite as a table: what was done to a sweep, and what came of it."""

import pytest
from fault_grid import different_cells

COLUMNS = (
    "fault", "times", "cells", "lost", "trained twice", "attempts repeated", "tables equal", "seconds",
)  # fmt: skip


def judge(record_property, fault, times, witness, undisturbed=None):
    """Add a row to the table, then fail if a finished cell was lost, trained twice, or differs.

    Args:
        times: how often the fault was caused.
        witness: has looked at the grid throughout.
        undisturbed: the same grid left alone, for its tables; None where they were compared elsewhere.
    """
    grid = witness.grid
    witness.look()
    starts = grid.starts()
    different = different_cells(grid, undisturbed) if undisturbed else []
    row = {
        "fault": fault,
        "times": times,
        "cells": grid.wanted(),
        "lost": len(witness.lost),
        "trained twice": len(witness.twice),
        "attempts repeated": sum(starts.values()) - len(starts),
        "tables equal": "-" if undisturbed is None else "no" if different else "to the last bit",
    }
    record_property("fault", row)
    assert not witness.lost
    assert not witness.twice
    assert not different


def note(record_property, fault, times, cells="-", tables="-"):
    """Add a row for a fault of which other things are asked; its test has asserted them."""
    record_property("fault", {"fault": fault, "times": times, "cells": cells, "tables equal": tables})


def summary(terminal: pytest.TerminalReporter) -> None:
    """Print the table of all faults that were caused, if any."""
    rows = [
        {**row, "seconds": f"{report.duration:.0f}", "fault": f"{row['fault']}{FAILED[outcome]}"}
        for outcome in FAILED
        for report in terminal.getreports(outcome)
        if report.when == "call"
        for name, row in report.user_properties
        if name == "fault"
    ]
    if not rows:
        return
    terminal.section("faults")
    lines = [COLUMNS, *(tuple(str(row.get(name, "-")) for name in COLUMNS) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    for line in lines:
        numbers = [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        terminal.line("  ".join([line[0].ljust(widths[0]), *numbers]))


FAILED = {"passed": "", "failed": " (FAILED)"}
