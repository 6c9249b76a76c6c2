"""Signals of a process that goes on after a sweep."""

import signal

from sweeps.processes.stop import SIGNALS, Stop, on_signals


def blocked():
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_was_blocked_is_heard_in_a_sweep_and_blocked_after_it():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    handlers = [signal.getsignal(number) for number in SIGNALS]
    try:
        with on_signals(Stop()):
            assert not blocked() & set(SIGNALS)
            assert [signal.getsignal(number) for number in SIGNALS] != handlers
        assert signal.SIGTERM in blocked()
        assert [signal.getsignal(number) for number in SIGNALS] == handlers
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
