"""Version, commit and digest of the code, and that results carry them to the tables and into words."""

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from cell_folders import grid, write_cell, write_plan

import analysis
from analysis.report.codes import codes, several
from analysis.tables.collect import collect
from sweeps.planning.codes import several_codes, several_types
from sweeps.processes import which_code
from transfusion.cell import Cell, Recipe
from transfusion.records import results
from transfusion.records.code_version import Code, code_version, digest, of_folder

ROOT = Path(__file__).parents[3]
OTHER = Code("0.0.9", "0123456789abcdef0123456789abcdef01234567", True, "feedfeedfeed")


def git(folder, *arguments):
    settings = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *settings, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A small repository of the packages, with one commit."""
    if shutil.which("git") is None:
        pytest.skip("no git here")
    folder = tmp_path / "checkout"
    for name in ("transfusion", "sweeps", "analysis"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"# {name}\n")
    (folder / "transfusion" / "records").mkdir()
    (folder / "transfusion" / "records" / "code_version.py").write_text("x = 1\n")
    (folder / "pyproject.toml").write_text('[project]\nname = "transfusion-sweep"\nversion = "7.8"\n')
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_checkout_tells_version_commit_and_whether_it_is_clean(repository, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))  # as in a hook of another repository
    monkeypatch.delenv("GIT_DIR")
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(ROOT / "nowhere"))
    found = of_folder(repository)
    assert (found.version, found.commit, found.clean) == ("7.8", head, True)
    (repository / "results").mkdir()
    (repository / "results" / "report.html").write_text("what the sweep writes beside the code")
    assert of_folder(repository) == found
    (repository / "sweeps" / "new.py").write_text("")
    assert of_folder(repository).clean is False
    assert of_folder(repository).digest == found.digest, "it makes no result"
    (repository / "transfusion" / "records" / "code_version.py").write_text("x = 2\n")
    changed = of_folder(repository)
    assert (changed.commit, changed.clean) == (head, False)
    assert changed.digest != found.digest


def test_a_repository_around_an_installation_is_not_its_commit(repository):
    site = repository / "venv" / "site-packages"
    shutil.copytree(repository / "transfusion", site / "transfusion")
    noted = site / "transfusion_sweep-3.2.dist-info"
    noted.mkdir()
    (noted / "METADATA").write_text("Metadata-Version: 2.1\nName: transfusion-sweep\nVersion: 3.2\n")
    found = of_folder(site)
    assert (found.version, found.commit, found.clean) == ("3.2", None, None)
    assert found.digest == of_folder(repository).digest, "the same code"
    (noted / "direct_url.json").write_text(json.dumps({"vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}))
    assert of_folder(site).commit == "c0ffee", "pip has noted from where"


def test_without_git_the_digest_still_tells_codes_apart(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = of_folder(repository)
    assert (found.commit, found.clean) == (None, None)
    assert found.describe() == f"7.8, code {found.digest}, commit unknown"


def test_a_digest_knows_names_and_bytes_but_not_line_ends(tmp_path):
    (tmp_path / "a.py").write_bytes(b"x = 1\ny = 2\n")
    first = digest(tmp_path)
    (tmp_path / "a.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    assert digest(tmp_path) == first
    (tmp_path / "notes.txt").write_text("not code")
    assert digest(tmp_path) == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert digest(tmp_path) != first


def test_a_result_carries_the_code_that_made_it(tmp_path):
    record = results.write_result(
        tmp_path / "cell",
        results.Origin(cell=Cell(architecture="cbr_tiny", train_images=8), recipe=Recipe(), fingerprint="d"),
        results.Outcome(status="done", metrics={}),
        environment={},
        started="",
        finished="",
    )
    assert record["code"] == dataclasses.asdict(code_version())
    assert results.read_result(tmp_path / "cell") == record


def with_codes(out, found):
    """A grid of four cells, whose results name these codes, or none."""
    cells = grid(architectures=("cbr_tiny",), arms=(("random", "none"),))
    write_plan(out, cells)
    for cell, code in zip(cells, found, strict=True):
        file = out / "cells" / write_cell(out, cell) / "result.json"
        record = json.loads(file.read_text())
        file.write_text(json.dumps(record if code is None else {**record, "code": code.record()}))


@pytest.mark.usefixtures("unsaved")
def test_the_tables_and_the_report_name_the_codes_where_there_are_several(tmp_path):
    changed = dataclasses.replace(OTHER, clean=False, digest="beefbeefbeef")
    with_codes(tmp_path, [OTHER, None, OTHER, changed])
    summary = analysis.run(tmp_path)
    trials = pd.read_parquet(tmp_path / "evidence" / "trials.parquet")
    assert trials["code_commit"].tolist().count(OTHER.commit) == 3
    assert sorted(trials["code_clean"].dropna()) == [False, True, True]
    assert codes(trials) == [
        "0.0.9, commit 0123456789ab (2 cells)",
        "one that left no version (1 cell)",
        "0.0.9, commit 0123456789ab with changes, code beefbeefbeef (1 cell)",
    ]
    assert summary.codes == several(trials)
    assert summary.codes.startswith(
        "The cells were trained by 3 different codes: 0.0.9, commit 0123456789ab (2"
    )
    assert summary.codes in (tmp_path / "report.html").read_text()


def test_one_code_is_not_worth_a_sentence(tmp_path):
    other_commit = dataclasses.replace(OTHER, commit="f" * 40)
    with_codes(tmp_path, [OTHER, OTHER, other_commit, OTHER])
    collect(tmp_path)
    trials = analysis.load(tmp_path).trials
    assert several(trials) == "", "another commit, but the modules that make a result are the same"


def test_the_plan_names_the_codes_where_there_are_several():
    records = [{"code": OTHER.record()}, {"code": {**OTHER.record(), "of a later version": 1}}, {}]
    text = several_codes(records, OTHER, missing=0)
    assert "2 by 0.0.9, commit 0123456789ab; 1 by code that left no version" in text
    assert several_codes(records[:2], OTHER, missing=5) == ""
    assert "5 will be by" in several_codes(records[:2], code_version(), missing=5)
    assert several_codes([], OTHER, missing=5) == ""


def test_a_node_with_another_code_is_told():
    own = code_version()
    assert which_code.unlike(own.digest) == ""
    assert own.describe() in which_code.unlike("0" * 12)
    assert own.describe_unlike(own) == ""
    assert own.describe_unlike(dataclasses.replace(own, commit=None)) == "", "a wheel of the same code"
    assert own.digest in own.describe_unlike(dataclasses.replace(own, digest="0" * 12))


def test_types_are_told_where_cells_compute_in_more_than_one():
    def done(*kinds):
        return [{"environment": {"type": kind} if kind else {}} for kind in kinds]

    assert several_types(done("bfloat16", "bfloat16", ""), "bfloat16", missing=4) == ""
    assert several_types([], "float32", missing=4) == ""
    assert several_types(done("bfloat16"), "float32", missing=0) == ""
    for there, missing, words in (
        (done("bfloat16", "bfloat16"), 4, "2 in bfloat16; 4 will in float32."),
        (done("bfloat16", "float32"), 0, "1 in bfloat16; 1 in float32."),
    ):
        assert f"different types: {words}" in several_types(there, "float32", missing)
