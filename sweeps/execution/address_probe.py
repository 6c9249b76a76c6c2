"""Ask a cluster who it is, in a process of its own: Ray's connections wait for minutes, and abort theirs.

    python address_probe.py gcs|client HOST:PORT

Prints JSON: `ray` and `python` versions (of a head; of a client server nothing), or what is wrong: `token`,
`silent`, or `other` with its message.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import uuid
from typing import Any

SECONDS = 4.0
"""How long it may take to answer."""


def ask_head(address: str) -> dict[str, str]:
    """Versions of the cluster whose head listens at `address`."""
    from ray.exceptions import AuthenticationError, RpcError

    private = importlib.import_module("ray._raylet")
    try:
        client = private.GcsClient(address=address)
        found = client.internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster")
    except AuthenticationError:
        return {"wrong": "token"}
    except RpcError as error:
        return {"wrong": "silent" if "Timed out" in str(error) else "other", "message": str(error)}
    versions = json.loads(found or b"{}")
    return {"ray": versions.get("ray_version", ""), "python": versions.get("python_version", "")}


def ask_client_server(address: str) -> dict[str, str]:
    """Whether Ray's client server listens at `address` and takes the token."""
    import grpc
    from ray.core.generated import ray_client_pb2, ray_client_pb2_grpc

    messages: Any = ray_client_pb2

    headers = [("client_id", uuid.uuid4().hex)]
    if os.environ.get("RAY_AUTH_MODE") == "token":
        token = importlib.import_module("ray._raylet").AuthenticationTokenLoader.instance().get_raw_token()
        headers.append(("authorization", f"Bearer {token}"))
    request = messages.ClusterInfoRequest(type=messages.ClusterInfoType.PING)
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = ray_client_pb2_grpc.RayletDriverStub(channel)
        try:
            stub.ClusterInfo(request, timeout=SECONDS, metadata=headers)
        except grpc.RpcError as error:
            code = error.code()
            if code == grpc.StatusCode.UNAUTHENTICATED:
                return {"wrong": "token"}
            if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                return {"wrong": "silent"}
            if code == grpc.StatusCode.UNIMPLEMENTED:
                return {"wrong": "other", "message": "another service"}
    return {}  # a client that it does not know yet is an answer, too


if __name__ == "__main__":
    print(json.dumps({"gcs": ask_head, "client": ask_client_server}[sys.argv[1]](sys.argv[2])))
