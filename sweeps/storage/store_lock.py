"""One driver at a time on one prefix of an object store, on whatever machines.

The lock is the object `driver.json` there. S3 creates it only if there is none (`If-None-Match: *`) and
replaces it only if it is still the one that was read (`If-Match`), so taking, renewing and taking over are
one step each. A trial needs no more than to read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sweeps.processes import identity
from sweeps.processes.identity import ProcessIdentity, State
from sweeps.storage.lock import FILE, Holder, Waiting, acquire, kept, owner
from sweeps.storage.object_store import ObjectStore
from transfusion.files import unwatched
from transfusion.problems import SettingError
from transfusion.records.lease import LostError, record_of
from transfusion.records.lease import lost as lost_words

NOT_AS_ASKED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
ABSENT = ("NoSuchKey", "404")
UNKNOWN_THERE = ("NotImplemented", "501")
"""How a store answers to a condition: not fulfilled, nothing there, no conditions at all."""
ANSWER_SECONDS = 10
"""How long the store may take to answer."""


@dataclass(frozen=True)
class StoreLease:
    """Permission to write below a prefix; as `transfusion.records.lease.Lease`, for any node.

    Attributes:
        token: of the holder that this lease belongs to.
    """

    store: ObjectStore
    token: str

    def check(self) -> None:
        """Look whether it still holds.

        Raises:
            LostError: another sweep has it, or the object is gone.
            OSError: the store cannot be read.
        """
        content = self.store.content(FILE)
        record = None if content is None else record_of(content)
        if record is None or record.get("token") != self.token:
            raise LostError(lost_words(self.store.uri, record))


@dataclass
class Prefix:
    """The lock of a prefix.

    Attributes:
        client: boto3's, of S3.
        record: of the one who wants it, or has it.
        tag: of the object as it was last written by us.
    """

    client: Any
    bucket: str
    key: str
    record: dict[str, Any]
    tag: str = ""
    renewals: int = 0

    def read(self) -> Holder | None:
        found = self._ask(self.client.get_object)
        if found is None:
            return None
        return Holder(record_of(found["Body"].read()), (found["ETag"],))

    def take(self, instead_of: Holder | None) -> bool:
        condition = {"IfNoneMatch": "*"} if instead_of is None else {"IfMatch": instead_of.sign[0]}
        return self._put(condition)

    def state_of(self, holder: Holder) -> State:
        return identity.state(ProcessIdentity.of_record(holder.record))

    def renew(self) -> None:
        """Show that the holder lives.

        Raises:
            LostError, OSError: as `StoreLease.check`.
        """
        self.renewals += 1
        if not self._put({"IfMatch": self.tag}):
            found = self.read()
            raise LostError(lost_words(f"{self.bucket}/{self.key}", found.record if found else None))

    def release(self) -> bool:
        """Let it go; False if it was another's."""
        found = self.read()
        if found is None or found.record.get("token") != self.record["token"]:
            return False
        try:
            return self._ask(self.client.delete_object, IfMatch=found.sign[0]) is not None
        except UnconditionalError:  # S3's younger condition; what was read just now was ours
            return self._ask(self.client.delete_object) is not None

    def keeps_conditions(self) -> bool:
        """Whether the store refuses to create what is there; after `take`."""
        return not self._put({"IfNoneMatch": "*"}, ours=False)

    def _put(self, condition: dict[str, str], *, ours: bool = True) -> bool:
        body = json.dumps({**self.record, "renewals": self.renewals}).encode()
        done = self._ask(self.client.put_object, Body=body, **condition)
        if done is not None:
            self.tag = done["ETag"]
            return True
        # Where an answer got lost, what is there has been written by us, and we have not learnt its tag.
        found = self.read() if ours else None
        if found is not None and found.record.get("token") == self.record["token"]:
            self.tag = found.sign[0]
            return True
        return False

    def _ask(self, function: Callable[..., Any], **arguments: Any) -> Any:
        """The answer of S3, or None where there is no such object or the condition is not fulfilled.

        Raises:
            UnconditionalError: the store has no conditions.
            OSError: it cannot be reached, or refuses.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return function(Bucket=self.bucket, Key=self.key, **arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in NOT_AS_ASKED + ABSENT:
                return None
            if code in UNKNOWN_THERE:
                raise UnconditionalError(code) from error
            raise OSError(f"{self.bucket}/{self.key}: {error}") from error
        except BotoCoreError as error:
            raise OSError(f"{self.bucket}/{self.key}: {error}") from error


class UnconditionalError(Exception):
    """The store knows no conditional requests."""


@contextmanager
def held_prefix(
    store: ObjectStore, waiting: Waiting, lost: Callable[[str], None] = lambda text: None
) -> Iterator[Callable[[], None]]:
    """Hold the lock of a prefix; yields the look at the lease that comes before every write there.

    Where the store has no conditional requests, that is said: two drivers are then told apart on one machine
    only, by its mirror.

    Args:
        lost: called, by a thread, with why the lock is no longer held.

    Raises:
        LockedError: another driver holds it and waiting is not wanted.
        SettingError: boto3 is missing.
        OSError: the store cannot be reached, or refuses.
        LostError: at the end, if another sweep has taken it since the last look.
    """
    parts = urlsplit(store.uri)
    prefix = _prefix(store.uri) if parts.scheme == "s3" else None
    if prefix is None or not _taken(prefix, store.uri, waiting):
        waiting.say(LIMIT.format(parts.scheme))
        yield unwatched
        return
    try:
        with kept(prefix.renew, lost):
            yield StoreLease(store, prefix.record["token"]).check
    except BaseException:
        with suppress(OSError):
            prefix.release()
        raise
    if not prefix.release():
        found = prefix.read()
        raise LostError(lost_words(store.uri, found.record if found else None))


LIMIT = (
    "this {}:// store has no conditional requests as S3 has them, so two sweeps on one prefix are told apart "
    "on one machine only: start no other one on it elsewhere"
)


def _taken(prefix: Prefix, name: str, waiting: Waiting) -> bool:
    """Take the lock; False where the store has no conditions."""
    try:
        acquire(prefix, name, waiting)
        if prefix.keeps_conditions():
            return True
    except UnconditionalError:
        pass
    prefix.release()
    return False


def _prefix(uri: str) -> Prefix:
    """The lock of `s3://bucket/prefix`, with the region and the endpoint that stand in its query."""
    if find_spec("boto3") is None:
        raise SettingError(
            f"--out {uri}: found no package boto3, which keeps two sweeps off one prefix; install it: "
            "pip install 'transfusion-sweep[s3]'"
        )
    import boto3  # a quarter of a second that only a sweep into a store needs
    from botocore.config import Config

    parts = urlsplit(uri)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    endpoint = asked.get("endpoint_override")
    if endpoint and "://" not in endpoint:
        endpoint = f"{asked.get('scheme', 'https')}://{endpoint}"
    config = Config(
        connect_timeout=ANSWER_SECONDS,
        read_timeout=ANSWER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 3},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    client = boto3.client("s3", region_name=asked.get("region"), endpoint_url=endpoint, config=config)
    key = "/".join(filter(None, [parts.path.strip("/"), FILE]))
    return Prefix(client, parts.netloc, key, {**owner(), "out": uri})
