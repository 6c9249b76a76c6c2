"""Options that change nothing are refused, and so are labels whose meaning nobody said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import small_table
from other_layouts import as_nih

from sweeps import full_grid
from sweeps.inputs.effects import without_effect
from sweeps.options.command_line import options_of
from sweeps.planning.resources import Resources
from sweeps.running import connection

SMALL = ["--preset", "smoke", "--architectures", "cbr_tiny", "--train-images", "16", "--dry-run"]
SCRATCH = [*SMALL, "--inits", "random"]
LABELS = [0, 1, -1, ""]


@pytest.fixture(scope="module")
def places(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The options that name each data set."""
    base = tmp_path_factory.mktemp("places")
    clear = [[f"p{n}", n % 2, n % 3 > 0, "train" if n < 60 else "test"] for n in range(90)]
    clear = [[name, label, int(other), part] for name, label, other, part in clear]
    mixed = [[f"p{n}", LABELS[n % 4], LABELS[n % 3]] for n in range(90)]
    whole = small_table.write(base / "whole", clear, ("Edema", "Consolidation", "set"))
    holes = small_table.write(base / "holes", mixed, ("Edema", "Consolidation"))
    nih = as_nih(phantom_folder, base / "nih")
    return {
        "chexpert": ["--data", str(phantom_folder)],
        "nih": ["--dataset", "nih", "--data", str(nih)],
        "whole": [*small_table.COLUMNS, "--data", str(whole)],
        "holes": [*small_table.COLUMNS, "--data", str(holes)],
    }


BY_CONSTRUCTION = [
    (["--uncertain", "edema=ignore"], "'edema'", "write Edema"),
    (["--uncertain", "Oedema=ignore"], "'Oedema'", "write Edema"),
    (["--uncertain", "Edema=ones", "Consolidation=ignore"], "'Consolidation'", "--inits"),
    (["--uncertain", "Fracture=ones"], "a finding that is trained: Edema", "--finding"),
    (["--recipe", 'uncertain=[["edema","ignore"]]'], "'edema'", "write Edema"),
    (["--uncertain", "Edema=ones", "Edema=zeros"], "--uncertain Edema: found 2 values", "once"),
    (["--views", "all", "--recipe", "views=frontal"], "--recipe views: found 2 values", "once"),
    (["--recipe", "epochs=3", "epochs=4"], "--recipe epochs: found 2 values", "once"),
    (["--path-column", "file"], "--path-column file", "--dataset table"),
    (["--patient-column", "who"], "--patient-column who", "--dataset table"),
    (["--part-column", "set"], "--part-column set", "--dataset table"),
    (["--gpu-price", "-1"], "--gpu-price", "at least 0"),
    (["--gpu-price", "nan"], "--gpu-price", "at least 0"),
    (["--prune"], "--prune --dry-run", "drop one"),
    (["--dataset", "nih", "--views", "frontal"], "--views frontal", "all frontal"),
    (["--dataset", "nih", "--recipe", "views=all"], "--recipe views=all", "all frontal"),
    (["--dataset", "nih", "--uncertain", "Edema=ones"], "--uncertain Edema=ones", "no -1"),
    (["--dataset", "nih", "--blank", "ignore"], "--blank ignore", "no empty labels"),
    (["--dataset", "nih", "--part-column", "set"], "--part-column set", "--dataset table"),
]

BY_THE_DATA = [
    ("chexpert", ["--uncertain", "edema=ignore"], "'edema'", "write Edema"),
    ("nih", ["--views", "frontal"], "--views frontal", "all frontal"),
    ("whole", ["--views", "frontal"], "--views frontal", "views are not known"),
    ("whole", ["--blank", "ignore"], "no empty label of Edema", "drop"),
    ("whole", ["--recipe", "blank=ignore"], "no empty label of Edema", "drop"),
    ("whole", ["--uncertain", "Edema=ignore"], "no label -1 of Edema", "drop"),
    ("whole", ["--part-column", "set", "--test-share", "0.2"], "--test-share 0.2", "names the patients"),
    ("holes", [], "22 labels -1", "--uncertain Edema=ones"),
    ("holes", [], "22 empty labels of Edema", "--blank zeros (they are negative) or --blank ignore"),
    ("holes", ["--blank", "zeros"], "22 labels -1", "--uncertain Edema=ones"),
    ("holes", ["--uncertain", "Edema=ones"], "22 empty labels of Edema", "--blank"),
]


@pytest.mark.parametrize(("options", "found", "advice"), BY_CONSTRUCTION)
def test_what_can_change_nothing_is_a_problem(options, found, advice):
    (problem,) = without_effect(options_of(["--dry-run", *options]), ["Edema"])
    assert found in str(problem)
    assert advice in str(problem)


@pytest.mark.parametrize(("place", "options", "found", "advice"), BY_THE_DATA)
def test_what_changes_nothing_is_refused(places, place, options, found, advice, tmp_path, capsys):
    assert full_grid.main([*SCRATCH, *places[place], "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert found in error
    assert advice in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("place", "options", "said"),
    [
        ("chexpert", ["--uncertain", "Edema=ignore", "--blank", "ignore", "--views", "all"], "-> ignored"),
        ("chexpert", ["--uncertain", "Edema=ones"], "-> positive"),
        ("chexpert", ["--inits", "random", "consolidation", "--uncertain", "Consolidation=ones"], "(-1): "),
        ("chexpert", ["--recipe", "upstream_epochs=3"], "upstream_epochs of the recipe change no cell"),
        ("nih", [], "none uncertain"),
        ("whole", [], "none blank"),
        ("whole", ["--part-column", "set", "--selection-share", "0.2"], "20 % for 'selection'"),
        ("holes", ["--blank", "ignore", "--uncertain", "Edema=ignore"], "44 ignored"),
        ("holes", ["--recipe", "blank=zeros", 'uncertain=[["Edema","zeros"]]'], "23 positive and 67 neg"),
    ],
)  # fmt: skip
def test_what_changes_something_is_planned_and_shown(places, place, options, said, tmp_path, capsys):
    status = full_grid.main([*SCRATCH, *places[place], "--out", str(tmp_path / "out"), *options])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert said in " ".join(printed.out.split())


def test_a_price_without_a_gpu_is_refused(places, tmp_path, capsys, monkeypatch):
    nothing = Resources(device="cpu", cpus=1, cores=(2,))
    monkeypatch.setattr(connection.resources, "of_machine", lambda *args: nothing)
    command = [*SCRATCH, *places["whole"], "--out", str(tmp_path / "out"), "--gpu-price", "2"]
    assert full_grid.main(command) == 2
    assert re.search("--gpu-price 2: found no GPU", capsys.readouterr().err)


def test_both_findings_of_a_table_need_a_meaning_where_both_are_trained(places, tmp_path, capsys):
    command = [*SMALL, "--inits", "consolidation", *places["holes"], "--out", str(tmp_path / "out")]
    command += ["--recipe", "upstream_images=16"]
    assert full_grid.main(command) == 2
    error = capsys.readouterr().err
    assert "column 'Edema': found 22 labels -1" in error
    assert "column 'Consolidation': found 30 labels -1" in error
    assert (
        full_grid.main([*command, "--blank", "zeros", "--uncertain", "Edema=ones", "Consolidation=ones"]) == 0
    )
    assert "The data: Consolidation" in capsys.readouterr().out
