"""Processes that measure, several at once as trials would be; any of them may die."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from transfusion.records.failures import Failure

PATIENCE = 600.0
"""Seconds that an answer may take."""

ROOT = Path(__file__).resolve().parents[2]
START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from transfusion.training.probe_worker import main; main()"
)


class ProbeError(Exception):
    """A measurement that failed.

    Attributes:
        kind: as of a cell that fails; `lost` of a process that died or hangs.
    """

    def __init__(self, text: str, kind: Failure) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class Workers:
    """Up to as many processes as are asked for at once, started when they are needed, ended on leaving."""

    patience: float = PATIENCE
    _started: list[_Worker] = field(default_factory=list)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._started:
            worker.end()

    def start(self, count: int) -> None:
        """Let so many be there."""
        while len(self._started) < count:
            self._started.append(_Worker())

    def release(self) -> None:
        """Let all give back what they hold."""
        for worker in self._started:
            worker.tell({"what": "release"})
        deadline = time.monotonic() + self.patience
        for worker in self._started:
            worker.answer(deadline)
        self._started = [worker for worker in self._started if worker.alive]

    def ask(self, count: int, question: dict[str, Any]) -> list[dict[str, Any]]:
        """What `count` processes answer that are asked the same at once.

        Raises:
            ProbeError: one of them fails; those that died are replaced when they are next needed.
        """
        self.start(count)
        asked = self._started[:count]
        for worker in asked:
            worker.tell(question)
        deadline = time.monotonic() + self.patience
        answers = [worker.answer(deadline) for worker in asked]
        self._started = [worker for worker in self._started if worker.alive]
        for answer in answers:
            if "error" in answer:
                raise ProbeError(answer["error"], answer["kind"])
        return answers


class _Worker:
    def __init__(self) -> None:
        self.messages = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed at its end)
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.messages,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        self.alive = True

    def tell(self, question: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has died, which its answer will say
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()

    def answer(self, deadline: float) -> dict[str, Any]:
        """Its one line; that of a dead or hanging process says so."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if ready and (line := self.process.stdout.readline()).endswith("\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        if not ready:
            text = "no answer in time: the process was ended"
        else:
            code = self.process.wait()
            text = f"the process died ({_death(code)})" + self._last_words()
        self.end()
        return {"error": text, "kind": "lost"}

    def end(self) -> None:
        """End the process, whatever it does."""
        self.alive = False
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.messages):
            if pipe is not None and not pipe.closed:
                _close(pipe)

    def _last_words(self) -> str:
        self.messages.seek(0)
        lines: Sequence[str] = [line.strip() for line in self.messages if line.strip()]
        return f": {lines[-1][:200]}" if lines else ""


def _close(pipe: Any) -> None:
    with suppress(BrokenPipeError):  # of what was still to be said to a dead process
        pipe.close()


def _death(code: int) -> str:
    if code == -9:
        return "killed, as the system does where memory ends"
    return f"signal {-code}" if code < 0 else f"exit status {code}"
