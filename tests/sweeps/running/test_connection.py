"""A sweep and another use of Ray in one process, as in a notebook."""

import sys
from types import SimpleNamespace

import pytest

from sweeps import full_grid
from sweeps.options.command_line import options_of
from sweeps.running.connection import refuse_connected
from transfusion.problems import SettingError


@pytest.fixture
def connected(monkeypatch):
    """Ray as of a process that is connected; it can be asked for that and nothing else."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))


@pytest.mark.parametrize("more", [[], ["--address", "127.0.0.1:1"], ["--address", "ray://127.0.0.1:1"]])
def test_a_ray_that_serves_something_else_is_refused_and_left_alone(connected, tmp_path, capsys, more):
    out = tmp_path / "out"
    assert full_grid.main(["--preset", "smoke", "--out", str(out), *more]) == 2
    assert "Ray: found this process connected" in capsys.readouterr().err
    assert not out.exists()


def test_a_plan_of_this_machine_needs_no_ray(connected):
    refuse_connected(options_of(["--dry-run"]))
    refuse_connected(options_of(["--prune"]))
    with pytest.raises(SettingError, match="shutdown"):
        refuse_connected(options_of(["--dry-run", "--address", "auto"]))
