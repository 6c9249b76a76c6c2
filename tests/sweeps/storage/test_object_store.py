"""OUT in an object store: a real server of the S3 protocol on loopback, a whole grid, run twice."""

import dataclasses

import pytest
from fault_grid import Witness
from fault_table import judge

from sweeps.storage.object_store import ObjectStore, pull, push, scratch
from transfusion.problems import SettingError
from transfusion.records.results import CHECKPOINT, RESULT, WEIGHTS


def test_a_key_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(SettingError) as refusal:
        ObjectStore("s3://AKIA123:secret456@bucket/study")
    assert "secret456" not in str(refusal.value)
    assert "AWS_ACCESS_KEY_ID" in str(refusal.value)


def test_a_trial_fetches_what_it_needs_and_sends_the_result_last(store, tmp_path):
    (tmp_path / "file").write_text("x")
    store.send(tmp_path / "file", f"cells/one/{CHECKPOINT}")
    store.send(tmp_path / "file", f"cells/above/{WEIGHTS}")
    with scratch(store, "one", "above", tmp_path / "cache") as (cells, send):
        assert (cells / "one" / CHECKPOINT).read_text() == "x"
        assert (cells / "above" / WEIGHTS).read_text() == "x"
        (cells / "one" / CHECKPOINT).write_text("later")
        send()
        assert store.names("cells/one")[f"cells/one/{CHECKPOINT}"] == 5
        (cells / "one" / CHECKPOINT).unlink()
        (cells / "one" / "epochs.parquet").write_text("table")
        (cells / "one" / RESULT).write_text("{}")
        send()
    assert set(store.names("cells/one")) == {f"cells/one/{RESULT}", "cells/one/epochs.parquet"}
    assert not cells.exists()


def test_the_mirror_follows_the_store_and_leaves_weights_there(store, tmp_path):
    (tmp_path / "file").write_text("{}")
    for name in (f"cells/a/{RESULT}", f"cells/a/{WEIGHTS}", f"cells/b/{RESULT}"):
        store.send(tmp_path / "file", name)
    mirror = store.mirror()
    pull(store, mirror)
    files = {str(file.relative_to(mirror)) for file in mirror.rglob("*") if file.is_file()}
    assert files == {f"cells/a/{RESULT}", f"cells/b/{RESULT}"}
    store.remove_cells(["b"])
    store.reopen(["a"])
    pull(store, mirror)
    assert not any(file.is_file() for file in mirror.rglob("*"))
    assert set(store.names("cells")) == {f"cells/a/{WEIGHTS}"}
    store.send(tmp_path / "file", "looks.json")
    (mirror / "judged.json").write_text("of another life of this prefix")
    pull(store, mirror)
    assert (mirror / "looks.json").read_text() == "{}"
    assert not (mirror / "judged.json").exists()
    (mirror / "judged.json").write_text("ours")
    (mirror / "evidence").mkdir()
    (mirror / "evidence" / "trials.parquet").write_text("t")
    (mirror / "private.txt").write_text("p")
    push(store, mirror)
    assert set(store.names("evidence")) == {"evidence/trials.parquet"}
    assert not any("private" in name for name in store.names())
    assert store.content("judged.json") == b"ours"


@pytest.mark.slow
@pytest.mark.faults
def test_a_grid_in_the_store_runs_continues_and_keeps_its_keys_out(
    store, tmp_path, grid_of, undisturbed, record_property
):
    grid = dataclasses.replace(grid_of("store"), out=store.uri)
    done = grid.run()
    assert done.returncode == 0, done.stdout + done.stderr
    names = store.names()
    results = {name for name in names if name.endswith(RESULT)}
    assert len(results) == grid.wanted()
    assert {"evidence/trials.parquet", "report.html", "plan.parquet"} <= set(names)
    assert not any(name.endswith(CHECKPOINT) for name in names)
    again = grid.run()
    assert again.returncode == 0
    assert f"{grid.wanted()} cells done, 0 failed, 0 missing" in again.stdout
    pull(store, tmp_path / "other-machine")
    everything = [file.read_bytes() for file in (tmp_path / "other-machine").rglob("*") if file.is_file()]
    everything += [done.stdout.encode(), done.stderr.encode()]
    assert not any(b"test-secret" in content for content in everything)
    witness = Witness(dataclasses.replace(grid, out=tmp_path / "other-machine"))
    judge(record_property, "OUT on S3 (moto's server)", "-", witness, undisturbed(1))
