"""What many tests share: a small phantom, its table, and a recipe of seconds."""

from pathlib import Path

import pytest

from transfusion import chexpert, phantom
from transfusion.cell import Recipe
from transfusion.table import Table

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


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom.write(tmp_path_factory.mktemp("phantom"), images=800, size=48, workers=2)


@pytest.fixture(scope="session")
def table(phantom_folder: Path) -> Table:
    return chexpert.read(phantom_folder)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the image caches of the phantom lie."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def quick() -> Recipe:
    return QUICK


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The fault suite as a table: what was done to a sweep, and what came of it."""
    rows = [
        (value, outcome)
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call"
        for name, value in report.user_properties
        if name == "fault"
    ]
    if rows:
        terminalreporter.section("faults")
        for text, outcome in rows:
            terminalreporter.line(f"{outcome:7} {text}")
