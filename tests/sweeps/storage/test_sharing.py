"""An OUT that several people share: written for all of them, or refused with the bit that is missing."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.storage import sharing
from transfusion.files import atomic
from transfusion.problems import SettingError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def umask():
    """The umask of another, for the length of a test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(
    ("mode", "shared"), [(0o2775, True), (0o755, False), (0o2755, False), (0o777, False)]
)
def test_a_folder_that_is_shared_by_its_bits_is_written_for_the_group(tmp_path, umask, mode, shared):
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(mode)
    umask(0o077)
    with sharing.written_for_the_group(out / "study"):
        (out / "study/cells").mkdir(parents=True)
        with atomic(out / "study/cells/result.json") as temporary:
            temporary.write_text("{}")
    assert umask(0o077) == 0o077, "what this process writes elsewhere is its own again"
    found = stat.S_IMODE((out / "study/cells/result.json").stat().st_mode)
    assert found == (0o660 if shared else 0o600)
    assert bool(stat.S_IMODE((out / "study/cells").stat().st_mode) & stat.S_IWGRP) == shared
    assert not (out / "study/cells").stat().st_mode & stat.S_IRWXO, "others are none of the group"


def test_a_file_is_for_whom_its_folder_is(tmp_path):
    for mode, expected in ((0o755, 0o644), (0o700, 0o600), (0o2775, 0o664)):
        tmp_path.chmod(mode)
        with atomic(tmp_path / f"{mode}") as temporary:
            temporary.write_text("")
        assert stat.S_IMODE((tmp_path / f"{mode}").stat().st_mode) == expected


def test_what_another_wrote_for_himself_is_refused_with_the_bit_that_is_missing(tmp_path):
    if os.getuid() != 0:
        pytest.skip("needs root, to be another user")
    out = tmp_path / "out"
    (out / "cells").mkdir(parents=True)
    (out / "cells").chmod(0o750)
    out.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); from sweeps.storage import sharing;"
        "from transfusion.problems import SettingError\n"
        "from pathlib import Path\n"
        "os.setgroups([]); os.setgid(12001); os.setuid(12001)\n"
        f"try: sharing.refuse_unwritable(Path({str(out)!r}))\nexcept SettingError as e: print(e)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert f"found {out}/cells of user root and group" in said
    assert "with mode 0750, expected to be allowed to read and write and enter there" in said
    assert f"`chmod -R g+rwX {out}`" in said


def test_an_own_folder_is_not_refused(tmp_path):
    (tmp_path / "cells/a").mkdir(parents=True)
    sharing.refuse_unwritable(tmp_path)
    sharing.refuse_unwritable(tmp_path / "nowhere")


def test_the_first_place_is_named_and_the_others_counted(tmp_path, monkeypatch):
    for name in ("cells/a", "cells/b"):
        (tmp_path / name).mkdir(parents=True)
    closed = {tmp_path / "cells", tmp_path / "cells/b"}
    monkeypatch.setattr(
        sharing.os, "access", lambda place, bit, **_: not (place in closed and bit == os.W_OK)
    )
    with pytest.raises(SettingError) as refused:
        sharing.refuse_unwritable(tmp_path)
    assert f"found {tmp_path}/cells (and 1 more places) of user" in str(refused.value)
    assert "expected to be allowed to write there" in str(refused.value)
    closed.remove(tmp_path / "cells")
    with pytest.raises(SettingError, match="cells/b of user"):
        sharing.refuse_unwritable(tmp_path)
