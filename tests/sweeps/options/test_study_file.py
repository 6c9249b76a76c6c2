"""`--study`: a preset from a file of the user's own, and what is said of one that gives none."""

import dataclasses
import re
from pathlib import Path

import pytest

from sweeps import full_grid
from sweeps.options.command_line import options_of
from sweeps.options.overrides import preset_of
from sweeps.presets import PRESETS
from transfusion.cell import Cell

ROOT = Path(__file__).parents[3]
EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "studies.md").read_text(), re.DOTALL)[1]
START = "from sweeps.spaces import Preset, grid\nfrom transfusion.cell import Recipe\n"


@pytest.fixture
def written(tmp_path):
    def write(text):
        file = tmp_path / "my_study.py"
        file.write_text(text)
        return file

    return write


def chosen(*arguments):
    return preset_of(options_of(list(map(str, arguments))))


def test_the_example_of_the_docs_is_the_study_that_it_says(written):
    file = written(EXAMPLE)
    found = chosen("--study", file)
    large = {cell.train_images for cell in found.cells() if cell.architecture == "resnet50"}
    small = {cell.train_images for cell in found.cells() if cell.architecture == "cbr_tiny"}
    assert (large, small) == ({512}, {32, 128, 512})
    assert len(found.cells()) == (1 + 3) * 2 * 2 * 2
    longer = chosen("--study", f"{file}:longer")
    assert (found.recipe.epochs, longer.recipe.epochs) == (4, 8)
    assert longer.cells() == found.cells()
    assert {found.name, longer.name} == {"large_where_it_matters", "longer"}


def test_options_shift_a_study_and_its_condition_stays(written):
    found = chosen("--study", written(EXAMPLE), "--seeds", "1", "--train-images", "32", "512",
                   "--recipe", "epochs=6", "--balance", "natural", "--inits", "random")  # fmt: skip
    assert found.recipe.epochs == 6
    assert found.cells() == [
        Cell(architecture="resnet50", train_images=512),
        Cell(architecture="cbr_tiny", train_images=32),
        Cell(architecture="cbr_tiny", train_images=512),
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_such_a_file_holds(name):
    found, preset = chosen("--study", ROOT / "sweeps" / f"presets.py:{name}"), chosen("--preset", name)
    assert found.cells() == preset.cells()
    assert dataclasses.replace(found, where=preset.where) == preset


def test_a_plan_of_a_study_in_its_own_folder(written, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "images=3000" in EXAMPLE
    written(EXAMPLE.replace("images=3000", "images=1000"))
    command = ["--study", "my_study.py", "--seeds", "1", "--inits", "random", "--architectures", "cbr_tiny"]
    assert full_grid.main([*command, "--dry-run"]) == 0
    assert re.search(r"balance[ |]+natural[ |]+3 .*\n[ |]+balanced[ |]+3 ", capsys.readouterr().out)
    assert (tmp_path / "results" / "large_where_it_matters" / "phantom").is_dir()
    assert not list(tmp_path.glob("__pycache__")), "nothing is left beside the user's file"


WRONG = [
    ("def study(:\n    pass\n", "my_study.py, line 1: found SyntaxError: invalid syntax"),
    (f"{START}def study():\n    return sizes\n", "my_study.py, line 4: found NameError: name 'sizes'"),
    ("import nowhere_at_all\n", "my_study.py, line 1: found ModuleNotFoundError"),
    ("raise SystemExit(0)\n", "my_study.py, line 1: found SystemExit: 0"),
    ("def other():\n    return 1\n", "found no function study, expected one that returns a Preset; name one"),
    ("def study():\n    return {'epochs': 3}\n", "found dict returned by study, expected a Preset"),
    (f"{START}def study():\n    return Preset(\n        name='a', space={{}},\n"
     "        recipe=Recipe(epochs=0))\n", "my_study.py, line 6: epochs: found 0"),
    (f"{START}def study():\n    return Preset(name='a/b', space={{}}, recipe=Recipe())\n",
     "my_study.py, line 4: name: found 'a/b'"),
    (f"{START}def study():\n    return Preset(name='a', space=grid(architectur=['cbr_tiny']),"
     " recipe=Recipe())\n", "my_study.py, line 4: search space: found 'architectur'"),
    (f"{START}def study():\n    return Preset(name='a', space=grid(architecture='cbr_tiny'),"
     " recipe=Recipe())\n", "my_study.py: search space: found no train_images"),
    (f"{START}def study():\n    return Preset(name='a', space=grid(architecture='cbr', train_images=[8, 16]),"
     " recipe=Recipe())\n", "my_study.py: architecture: found 'cbr'"),
    (f"{START}def study():\n    return Preset(name='a', space=grid(architecture='cbr_tiny', train_images=8),"
     " recipe=Recipe(), where=lambda cell: cell.size > 3)\n", "my_study.py, line 4: found AttributeError"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_is_wrong_in_the_file_is_told_with_its_line(text, said, written, tmp_path, capsys):
    status = full_grid.main(["--study", str(written(text)), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("Nothing was started.\n--study ")
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--study", "nowhere.py"], "--study nowhere.py: found no such file or directory, expected a Python"),
        (["--study", "."], "--study .: found is a directory"),
        (["--study", "my_study.py", "--preset", "demo"], "found both, expected one of them"),
    ],
)
def test_studies_that_cannot_be_end_with_status_2(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert full_grid.main(arguments) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
