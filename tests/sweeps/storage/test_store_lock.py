"""One driver on one prefix of an object store: the conditional writes of an S3 server decide."""

import dataclasses
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweeps.processes import identity
from sweeps.storage import lock, store_lock
from sweeps.storage.lock import FILE, LockedError, Waiting
from sweeps.storage.object_store import ObjectStore, scratch
from sweeps.storage.store_lock import StoreLease, held_prefix
from transfusion.problems import SettingError
from transfusion.records.lease import LostError
from transfusion.records.results import RESULT

ANOTHER_BOOT = "00000000-0000-0000-0000-000000000000"


def at_once(say=lambda text: None, dead_after=0.3):
    return Waiting(wait=False, say=say, dead_after=dead_after)


def holder_of(store):
    content = store.content(FILE)
    return None if content is None else json.loads(content)


def another(store, **changes):
    """The lock as another machine takes it."""
    prefix = store_lock._prefix(store.uri)
    prefix.record |= {"host": "another-machine", "boot": ANOTHER_BOOT, **changes}
    while not prefix.take(prefix.read()):  # its holder has just renewed it
        continue
    return prefix


def test_the_second_machine_is_refused_and_nothing_is_left_of_the_lock(store):
    with held_prefix(store, at_once()) as look:
        look()
        with pytest.raises(LockedError, match="--wait") as refusal, held_prefix(store, at_once()):
            pass
        for word in (holder_of(store)["host"], str(holder_of(store)["pid"]), holder_of(store)["started"]):
            assert word in str(refusal.value)
    assert store.names() == {}


def test_another_machine_lives_as_long_as_it_renews_and_is_followed_once_silent(store):
    prefix, ended = another(store), threading.Event()

    def renew():
        while not ended.wait(0.1):
            prefix.renew()

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with (
            pytest.raises(LockedError, match="another-machine"),
            held_prefix(store, at_once(dead_after=20)),
        ):
            pass
    finally:
        ended.set()
        thread.join()
    said = []
    with held_prefix(store, at_once(said.append)) as look:
        assert "another-machine" in said[0]
        assert holder_of(store)["host"] != "another-machine"
        look()
        with pytest.raises(LostError, match="another sweep took"):
            prefix.renew()
        assert not prefix.release(), "who has lost it takes nothing away"
        look()


def test_a_dead_driver_of_this_machine_is_followed_at_once_a_living_one_never(store):
    me = identity.own()
    another(store, host=me.host, boot=me.boot, ticks=me.ticks - 1)
    began = time.monotonic()
    with held_prefix(store, at_once(dead_after=60)):
        assert time.monotonic() - began < 10
    another(store, host=me.host, boot=me.boot)
    with pytest.raises(LockedError), held_prefix(store, at_once(dead_after=0)):
        pass


def test_who_waits_follows(store):
    order = []

    def first():
        with held_prefix(store, at_once()):
            started.set()
            time.sleep(1)
            order.append("first")

    started = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    assert started.wait(30)
    with held_prefix(store, Waiting(wait=True, say=lambda text: None)):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_of_four_that_race_for_a_prefix_exactly_one_wins(store):
    rounds = 10
    with ThreadPoolExecutor(4) as pool:
        for number in range(rounds):
            one = dataclasses.replace(store, uri=store.uri.replace("/study", f"/study-{number}"))
            prefixes = [store_lock._prefix(one.uri) for _ in range(4)]
            barrier = threading.Barrier(4)

            def take(prefix, barrier=barrier):
                barrier.wait()
                return prefix.take(None)

            assert sorted(pool.map(take, prefixes)) == [False, False, False, True]


def test_who_lost_the_prefix_is_told_and_its_trials_send_nothing(store, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RENEWED_EVERY", 0.1)
    told, was_told = [], threading.Event()

    def lost(why):
        told.append(why)
        was_told.set()

    holding = held_prefix(store, at_once(), lost)
    look = holding.__enter__()
    with scratch(store, "one", None, tmp_path / "cache", look) as (cells, send):
        (cells / "one").mkdir(parents=True)
        (cells / "one" / "epochs.parquet").write_text("table")
        send()
        assert set(store.names("cells")) == {"cells/one/epochs.parquet"}
        another(store)
        (cells / "one" / RESULT).write_text("{}")
        (cells / "one" / "steps.parquet").write_text("table")
        with pytest.raises(LostError, match="another-machine"):
            send()
    assert set(store.names("cells")) == {"cells/one/epochs.parquet"}
    assert was_told.wait(10)
    assert "nothing more is written" in told[0]
    with pytest.raises(LostError, match="another-machine"):
        holding.__exit__(None, None, None)
    assert holder_of(store)["host"] == "another-machine"


def test_a_lock_that_is_gone_is_lost(store):
    holding = held_prefix(store, at_once())
    look = holding.__enter__()
    store.remove([FILE])
    for step in (look, lambda: holding.__exit__(None, None, None)):
        with pytest.raises(LostError, match="gone"):
            step()


def test_an_answer_that_got_lost_is_asked_for_again_and_is_still_ours(store):
    """The client sends a request again; the second time its condition is not fulfilled any more."""
    prefix = store_lock._prefix(store.uri)
    real = prefix.client.put_object

    def twice(**arguments):
        real(**arguments)
        return real(**arguments)

    prefix.client.put_object = twice
    assert prefix.take(None)
    prefix.renew()
    prefix.renew()
    StoreLease(store, prefix.record["token"]).check()
    assert prefix.release()


def test_a_renewal_that_arrived_though_its_answer_did_not_is_no_loss(store):
    from botocore.exceptions import ReadTimeoutError

    prefix = store_lock._prefix(store.uri)
    assert prefix.take(None)
    real = prefix.client.put_object

    def unheard(**arguments):
        real(**arguments)
        raise ReadTimeoutError(endpoint_url="http://store")

    prefix.client.put_object = unheard
    with pytest.raises(OSError, match="study"):
        prefix.renew()
    prefix.client.put_object = real
    for _ in range(2):
        prefix.renew()
    assert json.loads(store.content(FILE))["renewals"] == prefix.renewals
    assert prefix.release()


class Unconditional:
    """A client of a store that does not know conditions: it ignores them, or says so."""

    def __init__(self, client, says):
        self.client, self.says = client, says

    def put_object(self, **arguments):
        conditions = {name: arguments.pop(name) for name in ("IfMatch", "IfNoneMatch") if name in arguments}
        if conditions and self.says:
            from botocore.exceptions import ClientError

            raise ClientError({"Error": {"Code": "NotImplemented", "Message": "no"}}, "PutObject")
        return self.client.put_object(**arguments)

    def __getattr__(self, name):
        return getattr(self.client, name)


@pytest.mark.parametrize("says", [True, False], ids=["it says so", "it ignores them"])
def test_a_store_without_conditions_is_used_and_the_limit_told(store, monkeypatch, says):
    real, said = store_lock._prefix, []

    def prefix(uri):
        one = real(uri)
        one.client = Unconditional(one.client, says)
        return one

    monkeypatch.setattr(store_lock, "_prefix", prefix)
    with held_prefix(store, at_once(said.append)) as look:
        look()
    assert len(said) == 1
    assert "one machine only" in said[0]
    assert store.names() == {}


def test_another_kind_of_store_is_used_and_the_limit_told():
    said = []
    with held_prefix(ObjectStore("gs://bucket/study"), at_once(said.append)) as look:
        look()
    assert "gs://" in said[0]
    assert "one machine only" in said[0]


def test_without_boto3_the_store_is_refused_with_what_to_install(store, monkeypatch):
    monkeypatch.setattr(store_lock, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"transfusion-sweep\[s3\]"), held_prefix(store, at_once()):
        pass


def test_a_store_that_cannot_be_reached_is_an_error_of_storage(store):
    gone = ObjectStore(store.uri.replace("127.0.0.1:", "127.0.0.1:1"))
    with pytest.raises(OSError, match="study"), held_prefix(gone, at_once()):
        pass


@pytest.mark.parametrize(
    ("uri", "endpoint", "key"),
    [
        (
            "s3://bucket/study?endpoint_override=host:9000&scheme=http",
            "http://host:9000",
            "study/driver.json",
        ),
        ("s3://bucket/a/b/?endpoint_override=host:9000", "https://host:9000", "a/b/driver.json"),
        ("s3://bucket?endpoint_override=http://host:9000", "http://host:9000", "driver.json"),
        ("s3://bucket/study?region=eu-west-1", "https://s3.eu-west-1.amazonaws.com", "study/driver.json"),
    ],
)
def test_the_lock_lies_at_the_address_that_the_query_names(monkeypatch, uri, endpoint, key):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    prefix = store_lock._prefix(uri)
    assert (prefix.client.meta.endpoint_url, prefix.bucket, prefix.key) == (endpoint, "bucket", key)
