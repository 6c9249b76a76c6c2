"""Which code this is: version, commit, and a digest of the modules that make a result.

Two versions of the code may give the same cell different results, which nobody sees in combined tables.
So every result carries what is found here. Standard library only.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

DISTRIBUTION = "transfusion-sweep"
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("transfusion", "sweeps", "analysis")
GIT_SECONDS = 10.0
DIGITS = 12


@dataclass(frozen=True, slots=True)
class Code:
    """One state of the code.

    Attributes:
        version: of the distribution.
        commit: 40 hexadecimal digits; None where there is neither git nor a record of the installation.
        clean: whether the three packages are as committed; None where the commit is not git's own word.
        digest: of all modules of `transfusion`, whose code makes a result; the same for the same code,
            wherever it lies and however it was installed.
    """

    version: str
    commit: str | None
    clean: bool | None
    digest: str

    def record(self) -> dict[str, Any]:
        """As it stands in a cell's result."""
        return asdict(self)

    def describe(self) -> str:
        """`0.1.0, commit 72a9bf9ab0c1, with changes that are not committed`."""
        commit = f"commit {self.commit[:DIGITS]}" if self.commit else f"code {self.digest}, commit unknown"
        return f"{self.version}, {commit}{', with changes that are not committed' * (self.clean is False)}"

    def describe_unlike(self, other: Code) -> str:
        """`describe`, with the digest where the rest is the same; empty for the same code as `other`."""
        if (self.version, self.digest) == (other.version, other.digest):
            return ""
        same = self.describe() == other.describe()
        return f"{self.describe()}{f', code {self.digest}' * same}"


def of_record(record: dict[str, Any]) -> Code:
    """The code that a result names; what a later version may have added is left out."""
    return Code(**{name: record.get(name) for name in Code.__slots__})  # type: ignore[arg-type]


@cache
def code_version() -> Code:
    """The code that this process runs; looked up once."""
    return of_folder(ROOT)


def of_folder(root: Path) -> Code:
    """The code of the packages that lie in `root`: a checkout, or the folder that they are installed in."""
    installed = None
    version = _checkout_version(root)
    if version is None:
        found = importlib.metadata.distributions(name=DISTRIBUTION, path=[str(root)])
        installed = next(iter(found), None)
        version = installed.version if installed else "unknown"
    commit, clean = _git_state(root)
    if commit is None and installed is not None:
        commit = _recorded_commit(installed)
    return Code(version, commit, clean, digest(root / "transfusion"))


def digest(package: Path) -> str:
    """12 hexadecimal digits of the names and bytes of all modules of `package`."""
    every = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        content = file.read_bytes().replace(b"\r\n", b"\n")
        every.update(f"{file.relative_to(package).as_posix()} {len(content)}\n".encode())
        every.update(content)
    return every.hexdigest()[:DIGITS]


def _checkout_version(root: Path) -> str | None:
    """The version in the project's file beside the packages; None where they are installed."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return None
    return str(project.get("version")) if project.get("name") == DISTRIBUTION else None


def _git_state(root: Path) -> tuple[str | None, bool | None]:
    """HEAD, and whether the packages are as committed; None where git does not know them."""
    if _git(root, "ls-files", "--error-unmatch", Path(__file__).relative_to(ROOT).as_posix()) is None:
        return None, None  # an environment inside of somebody's repository is not that repository
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", *PACKAGES)
    return commit, None if changed is None else not changed


def _git(root: Path, *arguments: str) -> str | None:
    """What git answers; None without git, or where it knows nothing of `root`.

    It also answers for a checkout of another owner: only our own code is asked about, which runs anyway.
    """
    settings = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
    # In a hook of git these name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *settings, "-C", str(root), *arguments],
            capture_output=True, text=True, timeout=GIT_SECONDS, check=True, stdin=subprocess.DEVNULL,
            env=environment,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _recorded_commit(installed: importlib.metadata.Distribution) -> str | None:
    """The commit that pip has noted of an installation from a repository (PEP 610)."""
    try:
        noted = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    commit = noted.get("vcs_info", {}).get("commit_id") if isinstance(noted, dict) else None
    return str(commit) if commit else None
