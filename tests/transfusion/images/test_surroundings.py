"""What an error says of the folder in which a file is not."""

import os
from pathlib import Path

from transfusion.images.surroundings import listed, missing


def test_a_folder_that_has_changed_is_read_again(tmp_path: Path) -> None:
    assert missing(tmp_path / "image.png") == "; that folder holds nothing"
    (tmp_path / "image.jpg").touch()
    os.utime(tmp_path, ns=(1, 1))  # however coarse this file system's clock is
    assert missing(tmp_path / "image.png") == "; 'image.jpg' is there"


def test_the_first_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    there = f"; {tmp_path} holds no 'image', but 'images'"
    assert missing(tmp_path / "image" / "train" / "a.png") == there
    assert missing(tmp_path / "image" / "a.png") == there


def test_four_names_are_listed_and_the_others_counted() -> None:
    assert listed(()) == "nothing"
    assert listed(tuple("abcd")) == "'a', 'b', 'c', 'd'"
    assert listed(tuple("abcdefg")) == "'a', 'b', 'c', 'd' and 3 more"
