"""Processes that measure: whatever becomes of one is an answer, and the next question finds another."""

import time

import pytest

from sweeps.measuring import probing
from sweeps.measuring.probing import ProbeError, Workers

FATES = """
import json, os, sys, time
for line in sys.stdin:
    what = json.loads(line)["what"]
    if what == "hang":
        time.sleep(60)
    if what == "end":
        print("Traceback", "ImportError: no torch", sep="\\n", file=sys.stderr)
        sys.exit(3)
    if what == "crash":
        os.kill(os.getpid(), 11)
    if what == "killed":
        os.kill(os.getpid(), 9)
    answer = {"error": "no room", "kind": "out_of_memory"} if what == "fail" else {"process": os.getpid()}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Processes that answer at once, in place of those that import torch."""
    monkeypatch.setattr(probing, "START", FATES)


@pytest.mark.parametrize(
    ("what", "words", "kind"),
    [
        ("end", r"the process died \(exit status 3\): ImportError: no torch", "lost"),
        ("crash", r"the process died \(signal 11\)", "lost"),
        ("killed", "killed, as the system does where memory ends", "lost"),
        ("hang", "no answer in time", "lost"),
        ("fail", "no room", "out_of_memory"),
    ],
)
def test_whatever_becomes_of_a_process_is_an_answer_and_the_next_question_finds_one(what, words, kind):
    with Workers(patience=20.0) as workers:
        workers.start(2)
        workers.patience = 0.5 if what == "hang" else 20.0
        start = time.monotonic()
        with pytest.raises(ProbeError, match=words) as error:
            workers.ask(2, {"what": what})
        assert time.monotonic() - start < 30
        assert error.value.kind == kind
        workers.patience = 20.0
        assert len({answer["process"] for answer in workers.ask(2, {"what": "say"})}) == 2


def test_one_that_died_between_two_questions_is_replaced():
    with Workers(patience=20.0) as workers:
        (first,) = workers.ask(1, {"what": "say"})
        workers._started[0].process.kill()
        workers.release()
        (second,) = workers.ask(1, {"what": "say"})
        assert first != second
    assert [worker.process.poll() for worker in workers._started] == [-9], "none is left"
