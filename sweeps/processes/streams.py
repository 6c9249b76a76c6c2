"""Standard output and error that outlast their reader: `| head`, a closed ssh, a terminal that is gone."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NO_READER = (errno.EPIPE, errno.EIO, errno.ESHUTDOWN, errno.ECONNRESET)
"""What writing gives when nobody reads any more: a pipe, a terminal, a socket."""


class Lasting(io.FileIO):
    """A file descriptor that takes whatever is written, and drops it once nobody reads it any more."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in NO_READER:
                raise
            with suppress(OSError):  # so that children, which share it, do not stumble either
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
            return memoryview(data).nbytes


def outlast_readers() -> None:
    """Make `sys.stdout` and `sys.stderr` outlast their readers; what is written later is then lost."""
    sys.stdout = _lasting(sys.stdout)
    sys.stderr = _lasting(sys.stderr)


def _lasting(stream: TextIO) -> TextIO:
    """`stream`, over a descriptor that lasts; as it is where it stands over none."""
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (AttributeError, OSError, ValueError):  # closed, or none at all
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(Lasting(descriptor, "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace" if stream.errors == "strict" else stream.errors,
        line_buffering=getattr(stream, "line_buffering", False),
        write_through=getattr(stream, "write_through", False),
    )
