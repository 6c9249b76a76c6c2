"""The code that was named is the code that runs, however many others lie about; and it ends as it should."""

import os
import shutil
import subprocess
import sys
import types
import venv
from pathlib import Path

import pytest

import transfusion_sweep
from sweeps import full_grid

ROOT = Path(__file__).parents[3]
OURS = ("sweeps", "transfusion", "analysis", "transfusion_sweep.py", "pyproject.toml", "README.md")


def run(*command, cwd=ROOT, status=0, **environment):
    """Standard output and standard error of a command in a fresh process."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **environment},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def stranger(folder, name, package=False):
    """A module of somebody else's that must never be imported."""
    file = folder / name / "__init__.py" if package else folder / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("raise RuntimeError('a stranger was imported')")
    return file


def copy_code(place):
    """What belongs to the code of this checkout, at another place."""
    place.mkdir()
    for name in OURS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place)


@pytest.fixture
def copy(tmp_path):
    """A second checkout, which says so in its help."""
    place = tmp_path / "second copy"
    copy_code(place)
    file = place / "sweeps" / "options" / "command_line.py"
    file.write_text(file.read_text().replace("examples:", "EXAMPLES OF THE COPY:"))
    return place


@pytest.mark.parametrize("how", ["script", "script from elsewhere", "module"])
def test_a_second_checkout_runs_its_own_code_beside_an_installed_one(copy, how, tmp_path):
    script = "sweeps/full_grid.py" if how == "script" else copy / "sweeps" / "full_grid.py"
    command = ["-m", "sweeps.full_grid"] if how == "module" else [script]
    where = tmp_path if how == "script from elsewhere" else copy
    out, err = run(sys.executable, *command, "--help", cwd=where, PYTHONPATH=str(ROOT))
    assert "EXAMPLES OF THE COPY:" in out
    assert err == ""
    out, _ = run(sys.executable, *command, "--version", cwd=where, PYTHONPATH=str(ROOT))
    assert out.rstrip().endswith(f"in {copy}")


@pytest.mark.parametrize("package", [False, True], ids=["module", "package"])
@pytest.mark.parametrize("way", ["PYTHONPATH", "current directory"])
def test_strangers_on_the_path_are_passed_by(way, package, tmp_path):
    for name in transfusion_sweep.PACKAGES:
        stranger(tmp_path, name, package)
    environment = {"PYTHONPATH": str(tmp_path)} if way == "PYTHONPATH" else {}
    out, err = run(sys.executable, ROOT / "sweeps" / "full_grid.py", "--help", cwd=tmp_path, **environment)
    assert "examples:" in out
    assert err == ""


@pytest.mark.parametrize("name", transfusion_sweep.PACKAGES)
def test_a_stranger_that_is_there_already_is_refused_before_anything_starts(name, tmp_path):
    """As a tool does that imports early, in a `sitecustomize` or a `.pth` file."""
    (tmp_path / "lab").mkdir()
    theirs = tmp_path / "lab" / f"{name}.py"
    theirs.write_text("x = 1")
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys; sys.path.insert(0, {str(theirs.parent)!r}); import {name}"
    )
    out, err = run(
        sys.executable, ROOT / "sweeps" / "full_grid.py", "--dry-run", "--out", tmp_path / "out",
        cwd=tmp_path, status=2, PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    assert out == ""
    assert err.startswith("Nothing was started.\n")
    assert f"{name}: found {theirs}, expected {ROOT / name / '__init__.py'}" in err
    assert len(err.splitlines()) == 2
    assert not (tmp_path / "out").exists()


def test_all_strangers_are_named_at_once_where_main_is_called(tmp_path, monkeypatch, capsys):
    """From a notebook, say, in a folder with an `analysis` of its own that was imported before."""
    for name in ("analysis", "transfusion"):
        module = types.ModuleType(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    assert full_grid.main(["--preset", "smoke", "--dry-run", "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    for name in ("analysis", "transfusion"):
        assert f"{name}: found {tmp_path / name}.py, expected" in err
    assert not (tmp_path / "out").exists()


WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
import ray
from sweeps.execution import ray_session

def places():
    import sweeps, transfusion
    from transfusion.records.code_version import code_version
    return sweeps.__file__, transfusion.__file__, code_version().digest

from contextlib import ExitStack
last = ExitStack()
ray_session.start(None, last)
print(*ray.get(ray.remote(num_cpus=1)(places).remote()), sep="\\n")
ray_session.end()
"""


@pytest.mark.slow
def test_rays_workers_import_what_the_driver_does(copy, tmp_path):
    """Strangers in the current directory, which Ray puts first, and an installed checkout: none of them."""
    for name in ("sweeps", "transfusion"):
        stranger(tmp_path, name, package=name == "sweeps")
    out, _ = run(sys.executable, "-c", WORKER, copy, cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    sweeps, transfusion, digest = out.splitlines()
    assert Path(sweeps).parent == copy / "sweeps"
    assert Path(transfusion).parent == copy / "transfusion"
    assert len(digest) == 12


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A bare environment with the wheel, over the libraries of this one; its folder of commands."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    copy_code(source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", *folder.glob("*.whl"))
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    libraries = [place for place in sys.path if place.endswith("site-packages")]
    lines = [f"import sys; sys.path.append({place!r})" for place in libraries]
    (site / "libraries.pth").write_text("\n".join(lines))
    return folder / "venv" / "bin", site


@pytest.mark.parametrize("command", ["transfusion-sweep", "transfusion-analysis"])
def test_the_wheel_brings_commands_that_run_anywhere(installed, command, tmp_path):
    commands, site = installed
    out, err = run(commands / command, "--version", cwd=tmp_path)
    assert out.startswith(f"{command} 0.")
    assert out.rstrip().endswith(f"in {site}")
    assert err == ""
    stranger(tmp_path, "analysis", package=True)
    out, err = run(commands / command, "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert "usage:" in out
    assert err == ""


def test_the_wheel_brings_every_file_that_is_no_code(installed):
    """Cluster files, the batch script, templates, the notebook; a picture of the README is not installed."""
    _, site = installed
    files = [
        file.relative_to(ROOT)
        for package in ("sweeps", "transfusion", "analysis")
        for file in (ROOT / package).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc", ".png")
    ]
    assert {"slurm.sbatch", "cluster.yaml", "rayjob.yaml", "report.html.j2"} <= {file.name for file in files}
    assert [file for file in files if not (site / file).exists()] == []


def test_the_installed_analysis_reads_and_refuses_from_another_folder(installed, tmp_path):
    commands, _ = installed
    stranger(tmp_path, "analysis")
    _, err = run(commands / "transfusion-analysis", "nowhere", cwd=tmp_path, status=2)
    assert err.startswith("analysis: nowhere: found no such folder; expected the --out folder of a sweep; ")


@pytest.mark.slow
def test_the_installed_analysis_judges_a_folder_from_anywhere(installed, tmp_path):
    """Also as `python -m analysis`, with none of this checkout on its path."""
    commands, site = installed
    out = tmp_path / "out"
    shutil.copytree(ROOT / "tests" / "helpers" / "schema_2", out)
    told, _ = run(commands / "python", "-m", "analysis", "--version", cwd=tmp_path, COLUMNS="1000")
    assert told.rstrip().endswith(f"in {site}")
    run(commands / "python", "-m", "analysis", out, cwd=tmp_path)
    assert (out / "report.html").stat().st_size > 1000
    assert {"trials.parquet", "verdicts.parquet"} <= {file.name for file in (out / "evidence").iterdir()}


@pytest.mark.slow
def test_an_installed_sweep_refuses_what_rays_workers_would_import_instead(installed, tmp_path):
    commands, site = installed
    theirs = stranger(tmp_path, "sweeps", package=True)
    out = tmp_path / "out"
    command = ["--preset", "smoke", "--dry-run", "--out", out]
    _, err = run(commands / "transfusion-sweep", *command, cwd=tmp_path, status=2)
    assert err.startswith(f"Nothing was started.\nsweeps: found {theirs}, expected {site / 'sweeps'}")
    assert not out.exists()


ENDS = """
import atexit, sys, threading, time
sys.path.insert(0, {root!r})
import transfusion_sweep

def main():
    atexit.register(print, "what others have registered is called")
    threading.Thread(target=lambda: (time.sleep(0.3), print("threads are waited for"))).start()
    {end}

sys.modules["somebody"] = type(sys)("somebody")
sys.modules["somebody"].main = main

class Alive:
    def __del__(self):
        print("Python takes all modules apart")

alive = Alive()
alive.itself = alive
sys.argv[1:] = []
sys.exit(transfusion_sweep._command("somebody", "somebody"))
"""


@pytest.mark.parametrize(
    ("end", "status", "quick"),
    [("return 0", 0, True), ("return 130", 130, True), ("sys.exit(2)", 2, True), ("raise OSError", 1, False)],
)
def test_the_end_is_quick_and_nothing_of_others_is_cut_off(end, status, quick):
    out, err = run(sys.executable, "-c", ENDS.format(root=str(ROOT), end=end), status=status)
    assert "what others have registered is called" in out
    assert "threads are waited for" in out
    assert ("taken apart" in out or "Python takes" in out) == (not quick)
    assert bool(err) == (not quick)
