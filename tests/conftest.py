"""What many tests share: a small phantom, its table, and a recipe of seconds."""

import json
import logging
import os
import shutil
import signal
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: as many processes as cores run these tests
from collections.abc import Callable, Iterator
from pathlib import Path

import cell_folders
import fault_table
import pytest
import s3_server as s3_server_of_moto
from fault_grid import Grid

from sweeps.storage.object_store import ObjectStore
from transfusion.cell import Recipe
from transfusion.data.dataset import Dataset
from transfusion.files import locked
from transfusion.layouts import chexpert
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom

QUICK = Recipe(
    image_size=24,
    epochs=3,
    batch_size=16,
    range_test_steps=8,
    range_test_low=1e-5,
    range_test_high=1e-1,
    frozen_views=2,
    upstream_images=32,
    upstream_epochs=1,
)


MOST_NEED = 18
"""Seeds of the undisturbed grid that the faulty ones are compared with; one that has more extends it."""


LONGEST = (
    "test_end_to_end.py",
    "test_report.py",  # makes what many others read, some of which would wait for it
    "test_pretended_gpu.py",
    "test_figures.py",
    "test_command_line.py",
    "test_check.py",
)
"""Files of many seconds each, in the order in which they start."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=20, metavar="N",
        help="how often the fault suite kills a driver, and trials; a quarter as often it loses a node (20)",
    )  # fmt: skip


NOT_OURS = ("PYTEST_CURRENT_TEST", "KMP_", "CRC32C_", "_RJEM_", "TORCHINDUCTOR_CACHE_DIR")
"""Of pytest itself; what scikit-learn, TensorBoard's writer, polars and torch's compiler set on import."""


def process_state() -> dict[str, object]:
    """What all code of a process shares."""
    os.umask(mask := os.umask(0o022))
    return {
        "the umask": mask,
        **{name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)},
        "the working directory": Path.cwd(),
        **{one.name: signal.getsignal(one) for one in signal.Signals},
        "the signals blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "the level of logging": logging.root.level,
        "what is looked through for modules": tuple(sys.path),
    }


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the program keeps in the user's cache folder, as the core's speed, is of these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user-cache")))
        yield


@pytest.fixture(autouse=True)
def left_as_found() -> Iterator[None]:
    """What the program changes of its process, it puts back: the next test relies on it, as notebooks do."""
    found = process_state()
    yield
    assert process_state() == found


@pytest.fixture(scope="session")
def kills(pytestconfig: pytest.Config) -> int:
    """How often something is killed."""
    return int(pytestconfig.getoption("--kills"))


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of pytest, for what they make once; what lies there is only read."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "common"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def phantom_folder(common: Path) -> Path:
    return writing.write(common / "phantom", Phantom(images=800, size=48), workers=2)


@pytest.fixture(scope="session")
def dataset(phantom_folder: Path) -> Dataset:
    return chexpert.read(phantom_folder)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the image caches of the phantom lie."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def quick() -> Recipe:
    return QUICK


@pytest.fixture(scope="session")
def fault_folder(common: Path) -> Path:
    """One folder for the whole fault suite, also where several processes of pytest share it."""
    folder = common / "faults"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def grid_of(fault_folder: Path) -> Callable[..., Grid]:
    """A function from a name, and axes of `Grid`, to a grid in a folder of that name."""
    with locked(fault_folder / "phantom.lock"):
        data = writing.write(fault_folder / "phantom", Phantom(images=600, size=48))
    return lambda name, **axes: Grid(fault_folder / name, data, fault_folder / "cache", **axes)


@pytest.fixture(scope="session")
def undisturbed(grid_of: Callable[..., Grid], fault_folder: Path) -> Callable[[int], Grid]:
    """A function from a number of seeds to the grid of so many or more, left alone; extended as needed."""

    def grid(seeds: int) -> Grid:
        left_alone = grid_of("undisturbed", seeds=max(seeds, MOST_NEED))
        with locked(fault_folder / "undisturbed.lock"):
            if len(left_alone.finished()) < left_alone.wanted():
                left_alone.finish()
        return left_alone

    return grid


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's server."""
    pytest.importorskip("moto.server")
    with s3_server_of_moto.serving() as address:
        yield address


@pytest.fixture
def store(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectStore:
    """A prefix in a new bucket; its mirror lies in `tmp_path / "home"`."""
    for name, value in s3_server_of_moto.KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return ObjectStore(s3_server_of_moto.new_bucket(s3_server))


@pytest.fixture(scope="session")
def done(common: Path) -> Path:
    """A folder as a sweep leaves it, with made-up results, and what the analysis makes of it; to be read."""
    from analysis.__main__ import main

    out = common / "grid"
    with locked(common / "grid.lock"):
        if not (common / "grid.made").exists():
            shutil.rmtree(out, ignore_errors=True)
            cell_folders.write_demo_like(out)
            (out / "sweep.json").write_text(json.dumps(cell_folders.SWEEP))
            assert main([str(out), *cell_folders.MARGINS]) == 0
            (common / "grid.made").touch()
    return out


@pytest.fixture
def unsaved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn and stand in the report, but not also in files of their own, which takes longest."""
    monkeypatch.setattr("analysis.figures.draw.save", lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process of pytest is left with one of them at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes do not name a test: some hold the time at which they were made, and processes must agree."""
    return "bytes" if isinstance(val, bytes) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    fault_table.summary(terminalreporter)
