"""The lowest versions that pyproject.toml allows, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for bound in sorted({*project["dependencies"], *extras["test"]}):
    name, version = re.match(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)", bound).groups()
    print(f"{name}=={version}{'.*' if version.count('.') < 2 else ''}")
