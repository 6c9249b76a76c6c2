"""DICOM images through pydicom: from stored values to what a viewer shows (DICOM PS3.3 C.7.6.3, C.11).

Nothing in a header is used as a path, and nothing that a file refers to is opened.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np

from transfusion.images import jpeg
from transfusion.images.picture import INSTALL, Picture, PictureError, check_frames, check_size

Array = np.ndarray

GRAY = ("MONOCHROME1", "MONOCHROME2")
BASELINE = "1.2.840.10008.1.2.4.50"
DEFLATED = "1.2.840.10008.1.2.1.99"
LARGEST_INFLATED = 2**30
"""Bytes of a data set that is stored deflated."""

WINDOW, STORED, INVERTED = (
    "DICOM, shown by the window that it gives (the first)",
    "DICOM without a window, shown by its bits stored",
    "DICOM with white as zero (MONOCHROME1), inverted",
)
RAW, CONTRADICTED = (
    "DICOM made for processing and not for viewing (FOR PROCESSING): often inverted, or without contrast",
    "DICOM whose PresentationLUTShape contradicts its MONOCHROME1 or 2, read by the latter: is white black?",
)
"""What a plan counts."""


def read(data: bytes, frame: int | None = None, window: bool = True) -> Picture:
    """The picture in the bytes of a DICOM file.

    Gray values come after rescaling (or its table). The range is the file's window, its table of values of
    interest, or its bits stored; of 16 bits or more without a window it is not stated.

    Args:
        data: the file.
        frame: which of several frames, from 1; None refuses several.
        window: whether the window, or the table of values of interest, is applied.

    Raises:
        PictureError: pydicom is not there, or what the file holds is not read.
    """
    try:
        from pydicom import pixels as pipeline
    except ImportError:
        raise PictureError("DICOM", INSTALL) from None
    try:
        return _picture(_dataset(data), frame, window, pipeline)
    except PictureError:
        raise
    except Exception as error:  # a value of the wrong kind in a header may raise anything in pydicom
        advice = "correct its header, or drop its row"
        raise PictureError(f"DICOM with a broken header ({_short(error)})", advice) from error


def _picture(dataset: Any, frame: int | None, window: bool, pipeline: Any) -> Picture:
    """What a data set of pydicom's shows."""
    for name in ("Rows", "Columns", "PhotometricInterpretation", "SamplesPerPixel"):
        if getattr(dataset, name, None) in (None, ""):
            raise PictureError("DICOM that holds no image", "name a file with pixels, or drop its row")
    check_size(int(dataset.Columns), int(dataset.Rows))
    number = check_frames(int(getattr(dataset, "NumberOfFrames", None) or 1), frame)
    _name_syntax(dataset)
    try:
        _check_jpeg(dataset, number)
        stored = _stored(dataset, number, pipeline)
    except PictureError:
        raise
    except Exception as error:  # pydicom and its decoders raise whatever they like on broken pixels
        raise PictureError(
            f"DICOM whose pixels cannot be decoded ({_short(error)})", _decoding_advice(dataset)
        ) from error
    colours = str(dataset.PhotometricInterpretation)
    if colours == "PALETTE COLOR":
        mapped = pipeline.apply_color_lut(stored, dataset)
        return _colour(mapped, float(np.iinfo(mapped.dtype).max))
    if int(dataset.SamplesPerPixel) == 3 and stored.ndim == 3:
        bits = int(dataset.BitsStored)
        return _colour(stored, float(2**bits - 1), known=bits < 16)
    if colours not in GRAY or stored.ndim != 2:
        raise PictureError(f"DICOM in the colours {colours}", "convert it to gray or RGB")
    return _gray(dataset, stored, pipeline, window)


def _dataset(data: bytes) -> Any:
    """pydicom's data set; its type is only there with the extra."""
    import pydicom

    try:
        _check_deflated(data)
        return pydicom.dcmread(io.BytesIO(data), force=True)
    except PictureError:
        raise
    except Exception as error:  # a broken header may raise anything in pydicom
        raise PictureError(
            f"broken DICOM ({_short(error)})", "fetch the file again, or drop its row"
        ) from error


def _check_deflated(data: bytes) -> None:
    """Refuses a small file that would unpack to gigabytes."""
    if DEFLATED.encode() not in data[:1024] or data[132:136] != b"\x02\x00\x00\x00":
        return
    start = 144 + int.from_bytes(data[140:144], "little")
    if len(zlib.decompressobj(-15).decompress(data[start:], LARGEST_INFLATED + 1)) > LARGEST_INFLATED:
        found = f"DICOM of more than {LARGEST_INFLATED:,} bytes once inflated"
        raise PictureError(found, "store it smaller, or drop its row")


def _gray(dataset: Any, stored: Array, pipeline: Any, shown: bool) -> Picture:
    """Modality table or rescaling, then what the window or table of values of interest says of the range."""
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    for name in ("ModalityLUTSequence", "VOILUTSequence"):
        for one in getattr(dataset, name, None) or ():
            _widen(one)
    values = pipeline.apply_modality_lut(stored, dataset)
    bits = int(dataset.BitsStored)
    signed = int(getattr(dataset, "PixelRepresentation", 0) or 0) == 1
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])
    full = _rescaled(dataset, ends, pipeline)
    stated = full if bits < 16 else None
    note = (STORED,) if bits < 16 else ()
    tables = getattr(dataset, "VOILUTSequence", None) if shown else None
    window = _window(dataset) if shown and not tables else None
    if tables:
        values = pipeline.apply_voi(values, dataset)
        largest = int(pipeline.apply_voi(_entries(tables[0]), dataset).max())
        stated, note = (0.0, float(2 ** max(1, largest.bit_length()) - 1)), (WINDOW,)
    elif window is not None:
        values, stated = _windowed(values, *window)
        note = (WINDOW,)
    return Picture(
        values=values,
        stated=stated,
        full=full,
        inverted=inverted,
        black=_padding(dataset, stored),
        clipped=bool(tables) or window is not None,
        notes=(*note, *((INVERTED,) if inverted else ()), *_doubts(dataset, inverted)),
    )


def _doubts(dataset: Any, inverted: bool) -> tuple[str, ...]:
    """What speaks against black being black (PS3.3 C.8.11.3.1.2: INVERSE goes with MONOCHROME1)."""
    intent, shape = (
        str(getattr(dataset, name, None) or "") for name in ("PresentationIntentType", "PresentationLUTShape")
    )
    raw = (RAW,) if intent == "FOR PROCESSING" else ()
    return (*raw, *((CONTRADICTED,) if shape == ("IDENTITY" if inverted else "INVERSE") else ()))


def _windowed(values: Array, centre: float, width: float, function: str) -> tuple[Array, tuple[float, float]]:
    """Values and those of them that are black and white (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values.astype(np.float64) - centre) / width)), (0.0, 1.0)
    if function == "LINEAR_EXACT":
        return values, (centre - width / 2, centre + width / 2)
    return values, (centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _window(dataset: Any) -> tuple[float, float, str] | None:
    """Centre, width and function of the first window."""
    centre, width = (getattr(dataset, name, None) for name in ("WindowCenter", "WindowWidth"))
    if centre in (None, "") or width in (None, ""):
        return None
    first = [float(np.atleast_1d(np.asarray(value, dtype=float))[0]) for value in (centre, width)]
    function = str(getattr(dataset, "VOILUTFunction", None) or "LINEAR").strip().upper()
    smallest = 1 if function == "LINEAR" else 0
    if not np.isfinite(first).all() or first[1] <= smallest:
        found = f"DICOM with a window of width {first[1]:g}"
        raise PictureError(found, "correct its header, or give the range (--intensity LOW:HIGH)")
    return first[0], first[1], function


def _padding(dataset: Any, stored: Array) -> Array | None:
    """Where the stored values are padding."""
    low = getattr(dataset, "PixelPaddingValue", None)
    if low is None or not isinstance(low, int):
        return None
    high = getattr(dataset, "PixelPaddingRangeLimit", None)
    ends = sorted((low, high if isinstance(high, int) else low))
    padded = (stored >= ends[0]) & (stored <= ends[1])
    return padded if padded.any() and not padded.all() else None


def _rescaled(dataset: Any, ends: Array, pipeline: Any) -> tuple[float, float] | None:
    """The smallest and the largest value that the stored bits can mean."""
    if "ModalityLUTSequence" in dataset:
        ends = _entries(dataset.ModalityLUTSequence[0])
    meant = pipeline.apply_modality_lut(ends, dataset)
    return float(meant.min()), float(meant.max())


def _widen(table: Any) -> None:
    """Tables of 8 bits may have their entries in words of 16 (C.11.1.1.1), which pydicom takes for bytes."""
    data = table.LUTData
    entries, first, bits = map(int, table.LUTDescriptor)
    if bits == 8 and isinstance(data, bytes) and len(data) == 2 * (entries or 2**16):
        table.LUTDescriptor = [entries, first, 16]


def _entries(table: Any) -> Array:
    """Every value that a table of a header maps."""
    entries, first = int(table.LUTDescriptor[0]) or 2**16, int(table.LUTDescriptor[1])
    return np.arange(first, first + entries)


def _colour(pixels: Array, largest: float, known: bool = True) -> Picture:
    return Picture(values=pixels, stated=(0.0, largest) if known else None, full=(0.0, largest))


def _name_syntax(dataset: Any) -> None:
    """Names the transfer syntax of a file without the group that names it, where its pixels are plain."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    meta = dataset.file_meta
    implicit, little = dataset.original_encoding
    if "TransferSyntaxUID" in meta or dataset["PixelData"].is_undefined_length:
        return
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _stored(dataset: Any, number: int, pipeline: Any) -> Array:
    """The stored values of a frame, also where they do not begin at the lowest bit (before 2014)."""
    bits, high = int(dataset.BitsStored), int(getattr(dataset, "HighBit", dataset.BitsStored - 1))
    shift = high + 1 - bits
    if shift <= 0 or high >= int(dataset.BitsAllocated):
        return pipeline.pixel_array(dataset, index=number - 1)
    dataset.BitsStored = high + 1
    shifted = pipeline.pixel_array(dataset, index=number - 1) >> shift
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    return shifted


def _check_jpeg(dataset: Any, number: int) -> None:
    """Refuses a frame of a baseline JPEG that lacks a part of its data, which decoders paint gray."""
    if getattr(dataset.file_meta, "TransferSyntaxUID", None) != BASELINE:
        return
    from pydicom.encaps import get_frame

    frames = int(getattr(dataset, "NumberOfFrames", None) or 1)
    data = get_frame(dataset.PixelData, number - 1, number_of_frames=frames)
    if cut := jpeg.cut(data):
        raise PictureError(f"DICOM with {cut}", "fetch the file again: it was cut off")


def _decoding_advice(dataset: Any) -> str:
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    name = getattr(syntax, "name", "an unnamed transfer syntax")
    return f"its transfer syntax is {name}: {INSTALL}, fetch the file again, or store it uncompressed"


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}"
