"""What a user forgot to say of a table is told with the names to choose from."""

from pathlib import Path

import pytest

from transfusion.layouts.readers import READERS, Request
from transfusion.problems import SettingError


@pytest.mark.parametrize(
    "content", ["file;person;Edema\r\na.png;p;1\r\n", "sep=,\nfile,person,Edema\na.png,p,1\n"]
)
def test_columns_that_were_not_named_are_listed(tmp_path: Path, content: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b"\xef\xbb\xbf" + content.encode())
    with pytest.raises(SettingError, match=r"--patient-column: found nothing.*'file', 'person', 'Edema'"):
        READERS["table"].read(Request(data=table, findings=("Edema",), path_column="file"))
