"""What an error says of the folder in which a file is not."""

import os
from pathlib import Path

from transfusion.images.surroundings import missing


def test_a_folder_that_has_changed_is_read_again(tmp_path: Path) -> None:
    assert missing(tmp_path / "image.png") == "; that folder holds nothing"
    (tmp_path / "image.jpg").touch()
    os.utime(tmp_path, ns=(1, 1))  # however coarse this file system's clock is
    assert missing(tmp_path / "image.png") == "; 'image.jpg' is there"
