"""What travels between a store and its mirror, and what stays; a local folder stands for the store."""

from pathlib import Path

import pytest

from sweeps.storage import object_store
from sweeps.storage.object_store import ObjectStore, pull, push, scratch
from transfusion.records.attempts import ATTEMPTS
from transfusion.records.results import CHECKPOINT, RESULT, WEIGHTS


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The store's folder, with a result, weights and a checkpoint."""
    folder = tmp_path / "store"
    for name in (f"cells/a/{RESULT}", f"cells/a/{WEIGHTS}", f"cells/a/{ATTEMPTS}", f"cells/b/{CHECKPOINT}"):
        put(folder, name, name)
    (folder / "cache").mkdir()
    return folder


@pytest.fixture
def store(there: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The store, which writes down what it fetches."""
    fetched: list[str] = []
    real = ObjectStore.fetch

    def fetch(self: ObjectStore, name: str, file: Path) -> bool:
        fetched.append(name)
        return real(self, name, file)

    monkeypatch.setattr(ObjectStore, "fetch", fetch)
    made = ObjectStore(f"file://{there}")
    object.__setattr__(made, "fetched", fetched)
    return made


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def files(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*") if one.is_file()}


def test_a_mirror_becomes_equal_and_what_cannot_have_changed_is_not_fetched_again(store, there, tmp_path):
    mirror = tmp_path / "mirror"
    put(there, "cells/a/epochs.parquet", "12345")
    put(there, "cells/a/steps.parquet", "longer")
    put(there, "content/one.parquet", "of the store")
    put(there, "content/two.parquet", "of the store")
    put(there, "looks.json", "{}")
    put(mirror, "cells/a/epochs.parquet", "54321")  # as large: the same table
    put(mirror, "cells/a/steps.parquet", "short")
    put(mirror, "cells/gone/result.json", "{}")
    put(mirror, "content/two.parquet", "named by what is in it")
    put(mirror, "judged.json", "of another life")
    pull(store, mirror)
    assert files(mirror) == {
        f"cells/a/{RESULT}": f"cells/a/{RESULT}",
        f"cells/a/{ATTEMPTS}": f"cells/a/{ATTEMPTS}",
        "cells/a/epochs.parquet": "54321",
        "cells/a/steps.parquet": "longer",
        "content/one.parquet": "of the store",
        "content/two.parquet": "named by what is in it",
        "looks.json": "{}",
    }
    store.fetched.clear()
    put(there, f"cells/a/{RESULT}", f"CELLS/A/{RESULT}")
    pull(store, mirror)
    assert files(mirror)[f"cells/a/{RESULT}"] == f"CELLS/A/{RESULT}", "a result of the same size may be new"
    assert sorted(store.fetched) == [f"cells/a/{ATTEMPTS}", f"cells/a/{RESULT}", "judged.json", "looks.json"]


def test_a_driver_sends_its_records_evidence_and_figures_alone(store, there, tmp_path):
    mirror, before = tmp_path / "mirror", files(there)
    names = ["plan.parquet", "sweep.json", "report.html", "looks.json", "judged.json", "evidence/a.parquet",
             "figures/b.png", "cells/a/result.json", "tune/state", "evidence.txt", "driver.json"]  # fmt: skip
    for folder in ("evidence", "figures"):
        (there / folder).mkdir()
    for name in names:
        put(mirror, name, "ours")
    push(store, mirror)
    sent = {name for name, text in files(there).items() if before.get(name) != text}
    assert sent == set(names[:7])


def test_an_attempt_sends_its_files_and_then_its_result_and_its_checkpoint_goes(store, there, tmp_path):
    looks = []
    with scratch(store, "b", "a", tmp_path / "cache", lambda: looks.append(1)) as (cells, send):
        assert files(cells) == {
            f"b/{CHECKPOINT}": f"cells/b/{CHECKPOINT}",
            f"a/{WEIGHTS}": f"cells/a/{WEIGHTS}",
        }
        put(cells, f"b/{CHECKPOINT}", "later")
        put(cells, "b/.draft", "not whole")
        send()
        assert (there / f"cells/b/{CHECKPOINT}").read_text() == "later"
        assert len(looks) == 1
        (cells / "b" / CHECKPOINT).unlink()
        put(cells, f"b/{RESULT}", "{}")
        send()
        assert {file.name for file in (there / "cells/b").iterdir()} == {RESULT}
        send()
        assert len(looks) == 3, "a checkpoint that is gone goes no second time"


def test_a_result_beside_a_checkpoint_leaves_it(store, there, tmp_path):
    with scratch(store, "b", None, tmp_path / "cache") as (cells, send):
        put(cells, f"b/{RESULT}", "{}")
        send()
    assert {file.name for file in (there / "cells/b").iterdir()} == {RESULT, CHECKPOINT}


def test_images_travel_once_either_way(store, there, tmp_path, monkeypatch):
    here, other = tmp_path / "cache", tmp_path / "other"
    put(here, "24px.cache", "pixels")
    put(here, "24px.lock", "")
    sent = []
    real = object_store.ObjectStore.send
    monkeypatch.setattr(
        object_store.ObjectStore, "send", lambda self, file, name: sent.append(name) or real(self, file, name)
    )
    store.share_cache(here)
    store.share_cache(here)
    put(there, "cache/24px.cache", "cut off")
    store.share_cache(here)
    assert sent == ["cache/24px.cache"] * 2
    store.fetch_cache(other)
    store.fetch_cache(other)
    assert store.fetched == ["cache/24px.cache"]
    assert (other / "24px.cache").read_text() == "pixels"
