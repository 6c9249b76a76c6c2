"""What is known of the bytes of a data set's images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Content:
    """The bytes of a data set's images, in its frame's order.

    Attributes:
        source: the reader's fingerprint, without what is below.
        digests: uint8 [N, 16]; of an image that is not known, of its size alone.
        stamps: int64 [N, 3], as `STAMP`; the last is -1 where the file may have changed right after.
        certain: bool [N]: read, or of the very size and times that it was read with.
        assumed: bool [N]: neither, but of the size that a record has.
        changed: bool [N]: known to differ from the record.
        record: fingerprint of the record that the files were compared with, or None.
        pixels: uint8 [N, 16]: of each image as it lies in a cache; zeros of one that is not known or shows
            nothing; None where no cache has been built.
    """

    source: str
    digests: Array
    stamps: Array
    certain: Array
    assumed: Array
    changed: Array
    record: str | None = None
    pixels: Array | None = None

    @property
    def known(self) -> bool:
        """Whether every image has the digest of its bytes, be it assumed."""
        return bool((self.certain | self.assumed).all())
