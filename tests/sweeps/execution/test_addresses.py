"""`--address`: whatever is wrong with it is found in seconds, and said with where the address comes from."""

import http.server
import os
import socket
import threading
import time

import pytest
from ray import _raylet as raylet

from sweeps import full_grid
from sweeps.execution import addresses
from sweeps.execution.addresses import Address, reach, resolve
from transfusion.problems import SettingError


@pytest.fixture
def no_address(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return port


@pytest.mark.parametrize("text", ["{}", "ray://{}"])
def test_where_nobody_listens_is_told_at_once(no_address, closed_port, text):
    address = text.format(f"127.0.0.1:{closed_port}")
    begun = time.monotonic()
    with pytest.raises(SettingError, match=f"--address {address}: found no answer .*refused"):
        reach(resolve(address))
    assert time.monotonic() - begun < 3


def test_auto_says_that_the_address_comes_from_the_environment(no_address, closed_port):
    no_address.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    with pytest.raises(SettingError, match=r"--address auto: RAY_ADDRESS=127.*unset RAY_ADDRESS"):
        reach(resolve("auto"))


@pytest.mark.parametrize("text", ["nowhere", "host:", ":6379", "host:http", "ray://host", "host:70000"])
def test_what_is_no_address_is_told(text):
    with pytest.raises(SettingError, match="found no HOST:PORT"):
        reach(resolve(text))


@pytest.mark.parametrize("prefix", [pytest.param("", marks=pytest.mark.slow), "ray://"])
def test_what_listens_but_is_no_ray_is_told_in_seconds(no_address, prefix):
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(SettingError, match="found something that is no cluster of Ray's at this port"):
            reach(Address(f"{prefix}127.0.0.1:{server.server_port}", "--address"))
        server.shutdown()


def test_what_does_not_answer_at_all_is_given_up_after_five_seconds(no_address):
    def silent(place, timeout):
        raise TimeoutError(f"timed out after {timeout:g} s")

    no_address.setattr(socket, "create_connection", silent)
    with pytest.raises(SettingError, match="timed out after 5 s"):
        reach(Address("192.0.2.1:6379", "--address"))


@pytest.mark.parametrize(
    ("answers", "token", "said"),
    [
        ([{"wrong": "token"}], False, "asks for a token, and none here; copy"),
        ([{"wrong": "token"}, {"wrong": "token"}], True, "does not take the token that is here"),
        ([{"ray": "1.0.0", "python": "3.11.2"}], False, "found a cluster of Ray 1.0.0 on Python 3.11.2"),
        ([{"wrong": "token"}, {}], True, ""),
        ([{}], True, ""),
    ],
)
def test_tokens_are_found_and_versions_compared(no_address, answers, token, said):
    """The same for a head and a client server, named or found; what they answer is made up here."""
    asked = []

    def ask(service, place, mode):
        asked.append(mode)
        return answers[len(asked) - 1]

    no_address.setattr(addresses, "_ask", ask)
    no_address.setattr(addresses, "probe", lambda _: None)
    no_address.setattr(addresses, "_has_token", lambda: token)
    no_address.setattr(addresses, "_use_token", lambda: asked.append("used"))
    if said:
        with pytest.raises(SettingError, match=said):
            reach(Address("host:6379", "--address host:6379"))
        assert "used" not in asked
    else:
        reach(Address("host:6379", "--address host:6379"))
        assert ("used" in asked) == (answers[0] != {}), "a token is used where one is asked for"


def test_a_token_that_was_used_for_a_cluster_is_not_used_for_the_next_ray_of_this_process(
    no_address, tmp_path, capsys
):
    """Here the command ends at data that are not there, once the cluster has been reached."""
    answers = iter([{"wrong": "token"}, {}])
    no_address.setattr(addresses, "_ask", lambda *_: next(answers))
    no_address.setattr(addresses, "probe", lambda _: None)
    no_address.setattr(addresses, "_has_token", lambda: True)
    modes = []

    def run(sweep):
        modes.append((os.environ.get("RAY_AUTH_MODE"), raylet.get_authentication_mode()))
        raise SettingError("enough")

    no_address.setattr(full_grid, "run", run)
    raylet.Config.initialize("")  # whatever an earlier Ray of this process has left
    before = raylet.get_authentication_mode()
    assert full_grid.main(["--preset", "smoke", "--address", "host:6379", "--out", str(tmp_path)]) == 2
    assert "enough" in capsys.readouterr().err
    assert modes == [("token", raylet.AuthenticationMode.TOKEN)]
    assert "RAY_AUTH_MODE" not in os.environ
    assert raylet.get_authentication_mode() == before != raylet.AuthenticationMode.TOKEN
