"""`--address`: what is refused before anything starts; `ray://` is run whole in `test_cluster_job`."""

import io
import sys
import threading

import pytest

from sweeps import full_grid
from sweeps.execution import remote


def test_paths_that_mean_nothing_on_the_cluster_are_refused_all_at_once(capsys):
    status = full_grid.main(["--address", "ray://127.0.0.1:1", "--data", "here", "--cache", "/scratch"])
    text = capsys.readouterr().err
    assert status == 2
    assert "--out: found nothing" in text
    assert "--data: found here" in text
    assert "--cache" not in text


@pytest.mark.parametrize("address", ["ray://127.0.0.1:1", "127.0.0.1:1", "nowhere"])
def test_an_address_where_nobody_answers_is_named(address, tmp_path, capsys, phantom_folder):
    place = ["--data", str(phantom_folder), "--out", str(tmp_path / "out")]
    assert full_grid.main(["--preset", "smoke", "--address", address, *place]) == 2
    text = capsys.readouterr().err
    assert text.startswith("Nothing was started.\n")
    assert f"--address {address}: found no" in text


def test_in_a_thread_no_signals_are_collected():
    """Python sets handlers in its main thread alone."""
    found = []

    def collect():
        from sweeps.execution import remote

        with remote.signals() as received:
            found.append(received)

    thread = threading.Thread(target=collect)
    thread.start()
    thread.join()
    assert found == [[]]


def test_what_the_command_prints_is_shown_in_a_notebook_too(monkeypatch, capfdbinary):
    """Whose standard output takes text alone; a character may come in two pieces."""
    remote.printer()("│ 1".encode())
    assert capfdbinary.readouterr().out == "│ 1".encode()
    notebook = io.StringIO()
    monkeypatch.setattr(sys, "stdout", notebook)
    show = remote.printer()
    show(b"\xe2\x94")
    show(b"\x82 2\n")
    assert notebook.getvalue() == "│ 2\n"
