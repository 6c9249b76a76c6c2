"""A real server of the S3 protocol on loopback, for tests of OUT in an object store."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request

KEYS = {
    "AWS_ACCESS_KEY_ID": "test-key",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


SERVER = """
import sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

store, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()

def serve(environment, respond):
    if environment["REQUEST_METHOD"] in ("PUT", "DELETE"):
        with one_at_a_time:
            return list(store(environment, respond))
    return store(environment, respond)

run_simple("127.0.0.1", int(sys.argv[1]), serve, threaded=True)
"""
"""moto's, but that a condition and what is written by it are one step, as S3 promises; moto takes two."""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def serving():
    """moto's server; yields its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        patience = time.monotonic() + 120
        while time.monotonic() < patience:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def new_bucket(server):
    """The address of a prefix in a new bucket."""
    bucket = f"bucket-{time.monotonic_ns()}"
    request = urllib.request.Request(f"http://{server}/{bucket}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    return f"s3://{bucket}/study?scheme=http&endpoint_override={server}&region=us-east-1"
