"""The log of attempts survives what cuts its lines off."""

import pytest

from transfusion.records import attempts


def test_a_first_line_cut_off_after_one_byte_does_not_swallow_the_next(tmp_path):
    (tmp_path / attempts.ATTEMPTS).write_bytes(b"{")
    attempts.add(tmp_path, "lost", 0.5)
    assert [line["event"] for line in attempts.read(tmp_path)] == ["lost"]


@pytest.mark.parametrize("torn", [b'{"event": "started", "sha', b'{"event": "started", "host": "\xc3', b"\n"])
def test_a_line_that_was_cut_off_does_not_swallow_the_next(tmp_path, torn):
    attempts.add(tmp_path, "started", 0.5)
    with (tmp_path / attempts.ATTEMPTS).open("ab") as file:
        file.write(torn)
    attempts.add(tmp_path, "out_of_memory", 0.25)
    attempts.add(tmp_path, "lost", 0.5)
    assert [line["event"] for line in attempts.read(tmp_path)] == ["started", "out_of_memory", "lost"]
    assert attempts.exhausted_share(tmp_path) == 0.25
