"""`--address`: which cluster is meant, and within seconds whether it answers, takes the token, runs this Ray.

Ray itself waits for minutes where nobody answers, hears no signal meanwhile, and looks for a token in some of
these cases alone. Here `auto`, `HOST:PORT`, `ray://HOST:PORT` and RAY_ADDRESS behave alike.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray._private import services

from transfusion import restored
from transfusion.problems import SettingError

PRIVATE: Any = importlib.import_module("ray._raylet")
"""Ray's own extension module, which has no types."""

PREFIX = "ray://"
VARIABLE, MODE = "RAY_ADDRESS", "RAY_AUTH_MODE"

PROBE_SECONDS = 5.0
"""How long an address may take to answer at all."""
ANSWER_SECONDS = 20.0
"""How long the process that asks who answers may take, with its imports; it waits for 5 s itself."""

EXPECTED = "expected auto on a node of the cluster, HOST:6379 of its head, or ray://HOST:10001"


@dataclass(frozen=True)
class Address:
    """A cluster's address.

    Attributes:
        text: `[ray://]HOST:PORT`.
        told: how it is named in messages: the option, or where it comes from instead.
    """

    text: str
    told: str

    @property
    def through_client(self) -> bool:
        """Whether the command is to run there, through Ray's client server."""
        return self.text.startswith(PREFIX)

    @property
    def place(self) -> tuple[str, int]:
        """Host and port.

        Raises:
            SettingError: it has none.
        """
        host, _, port = self.text.removeprefix(PREFIX).rpartition(":")
        if not host.strip("[]") or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise SettingError(f"{self.told}: found no HOST:PORT, {EXPECTED}")
        return host.strip("[]"), int(port)


def resolve(option: str) -> Address:
    """The address that `--address` means: itself, or for `auto` RAY_ADDRESS, or the cluster of this machine.

    Raises:
        SettingError: none is running here.
    """
    if option != "auto":
        return Address(option, f"--address {option}")
    named = os.environ.get(VARIABLE, "")
    if named not in ("", "auto", "local"):
        return Address(named, f"--address auto: {VARIABLE}={named}")
    try:
        found = services.canonicalize_bootstrap_address_or_die("auto")
    except (ConnectionError, ValueError) as error:
        raise SettingError(
            "--address auto: found no Ray running on this machine, expected one; start it (ray start --head, "
            "or ray start --address=HEAD:6379), name HOST:6379 of a head, or leave --address out"
        ) from error
    return Address(found, f"--address auto: {found}, as Ray's files and processes on this machine say")


def reach(address: Address) -> None:
    """Make sure that a cluster answers, takes the token that is here and has this Ray; sets `RAY_AUTH_MODE`.

    Raises:
        SettingError: what is wrong, and what to do.
    """
    probe(address)
    service = "client" if address.through_client else "gcs"
    host, port = address.place
    asked = service, f"{host}:{port}"
    given = os.environ.get(MODE)
    has_token = _has_token()
    if (given or "").lower() == "token" and not has_token:
        raise SettingError(f"{address.told}: {MODE}=token, but found no token, expected one; {TOKEN_ADVICE}")
    answer = _ask(*asked, given or "disabled")
    if answer.get("wrong") == "token" and given is None and has_token:
        answer = _ask(*asked, "token")
        if "wrong" not in answer:
            _use_token()
    if wrong := answer.get("wrong"):
        raise SettingError(f"{address.told}: {_words(wrong, answer, has_token)}")
    _compare(address, answer)


TOKEN_ADVICE = "copy the head's ~/.ray/auth_token to here, or set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"


def probe(address: Address) -> None:
    """Find out in seconds that nobody listens.

    Raises:
        SettingError: nobody does.
    """
    try:
        socket.create_connection(address.place, timeout=PROBE_SECONDS).close()
    except OSError as error:
        cure = f"; unset {VARIABLE}, or set it to a cluster that runs" if VARIABLE in address.told else ""
        raise SettingError(
            f"{address.told}: found no answer ({error}), {EXPECTED}; check it, and that its port is open to "
            f"this machine{cure}"
        ) from error


def _ask(service: str, place: str, mode: str) -> dict[str, Any]:
    """What `address_probe` answers, in `mode` of authentication."""
    script = str(Path(__file__).with_name("address_probe.py"))
    environment = {**os.environ, MODE: mode, "RAY_gcs_rpc_server_connect_timeout_s": "2"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", script, service, place],
            capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"wrong": "silent"}
    lines = done.stdout.strip().splitlines()
    try:
        return dict(json.loads(lines[-1]))
    except (IndexError, ValueError):
        message = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return {"wrong": "other", "message": message}


def _has_token() -> bool:
    loader = PRIVATE.AuthenticationTokenLoader.instance()
    found = bool(loader.has_token(ignore_auth_mode=True))
    loader.reset_cache()  # else this driver asks a cluster without tokens for one, and is taken for dead
    return found


def _use_token() -> None:
    """Let this process, and those that it starts, use the token, as Ray does for its own `auto`."""
    os.environ[MODE] = "token"
    PRIVATE.Config.initialize("")  # reads the variable again


@contextmanager
def mode_restored() -> Iterator[None]:
    """At the end `RAY_AUTH_MODE` is what it was before, and Ray in this process takes it so."""
    try:
        with restored.variables(MODE):
            yield
    finally:
        PRIVATE.Config.initialize("")


def _words(wrong: str, answer: Mapping[str, Any], has_token: bool) -> str:
    if wrong == "token" and has_token:
        return f"found a cluster that does not take the token that is here, expected its own; {TOKEN_ADVICE}"
    if wrong == "token":
        return f"found a cluster that asks for a token, and none here; {TOKEN_ADVICE}"
    message = f" ({' '.join(str(answer['message']).split())[:200]})" if answer.get("message") else ""
    return f"found something that is no cluster of Ray's at this port{message}, {EXPECTED}; check the port"


def _compare(address: Address, answer: Mapping[str, Any]) -> None:
    """Refuse a cluster of another Ray or Python; a client server compares on connecting."""
    here = {"ray": ray.__version__, "python": platform.python_version()}
    theirs = {name: str(answer.get(name) or here[name]) for name in here}
    same_python = theirs["python"].split(".")[:2] == here["python"].split(".")[:2]
    if theirs["ray"] != here["ray"] or not same_python:
        raise SettingError(
            f"{address.told}: found a cluster of Ray {theirs['ray']} on Python {theirs['python']}, expected "
            f"Ray {here['ray']} on Python {here['python']} as here; install the same on both (pip install "
            f"'ray[default]=={theirs['ray']}' here, or start the cluster from this environment)"
        )
