"""DICOM: the gray levels are those of pydicom's own pipeline, and what is not read says why."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transfusion.data.dataset import Dataset as Images
from transfusion.data.survey import survey
from transfusion.images.decoding import ImageError, decode
from transfusion.images.inspection import look_at
from transfusion.images.picture import PictureError
from transfusion.images.reading import Reading, parse
from transfusion.layouts import csv_table
from transfusion.problems import InputError

pydicom = pytest.importorskip("pydicom")
from pydicom import pixels as pipeline  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless  # noqa: E402

from transfusion.images import dicom  # noqa: E402

SIDE = 64
FILES = Path(pydicom.__file__).parent / "data" / "test_files"

REFUSED = {
    "JPEG-lossy.dcm": "pixels cannot be decoded",
    "JPGExtended.dcm": "pixels cannot be decoded",
    "MR_truncated.dcm": "less than expected",
    "SC_rgb_rle_2frame.dcm": "2 pages or frames",
    "rtdose.dcm": "15 pages or frames",
    "rtplan.dcm": "holds no image",
    "waveform_ecg.dcm": "holds no image",
    "badVR.dcm": "broken header",
}
"""Files of pydicom's that are not read, and why."""


def drawing(bits: int = 12) -> np.ndarray:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    return np.rint((0.8 * rows + 0.2 * columns) * (2**bits - 1)).astype(np.int64)


def write(file: Path, stored: np.ndarray, bits: int = 12, **elements: Any) -> Dataset:
    """A DICOM file of one frame, or of several where `stored` is [frames, H, W]."""
    kind = stored.dtype
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = elements.pop("syntax", ExplicitVRLittleEndian)
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    image.PatientID = elements.pop("PatientID", "somebody")
    colour = stored.shape[-1] == 3
    image.Rows, image.Columns = stored.shape[-3:-1] if colour else stored.shape[-2:]
    image.SamplesPerPixel = 3 if colour else 1
    image.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        image.PlanarConfiguration = 0
    if stored.ndim - colour == 3:
        image.NumberOfFrames = len(stored)
    image.BitsAllocated, image.BitsStored, image.HighBit = 8 * kind.itemsize, bits, bits - 1
    image.PixelRepresentation = int(kind.kind == "i")
    for name, value in elements.items():
        setattr(image, name, value)
    image.PixelData = stored.tobytes()
    if image.file_meta.TransferSyntaxUID == RLELossless:
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.compress(RLELossless)
    image.save_as(file, enforce_file_format=True)
    return image


def read(folder: Path, names: list[str], asked: Reading | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    found = survey(folder, names, look_at(folder, names), asked or Reading())
    if found.problems:
        raise ImageError(found.problems)
    return decode([folder / name for name in names], SIDE, 1, found.reading), found.notes


def table(descriptor: list[int], data: np.ndarray) -> Sequence:
    item = Dataset()
    item.LUTDescriptor, item.LUTData, item.ModalityLUTType = (
        descriptor,
        data.astype(np.uint16).tobytes(),
        "US",
    )
    return Sequence([item])


@pytest.mark.parametrize(
    ("stored", "bits", "elements"),
    [
        (drawing().astype(np.uint16), 12, {}),
        (drawing().astype(np.uint16), 12, {"PhotometricInterpretation": "MONOCHROME1"}),
        (drawing().astype(np.uint16), 12, {"WindowCenter": 2000, "WindowWidth": 1500}),
        (drawing().astype(np.uint16), 12, {"WindowCenter": [2000, 9], "WindowWidth": [1500, 9]}),
        (
            drawing().astype(np.uint16),
            12,
            {"WindowCenter": 1500, "WindowWidth": 3000, "VOILUTFunction": "SIGMOID"},
        ),
        (
            drawing().astype(np.uint16),
            12,
            {"WindowCenter": 1500, "WindowWidth": 3000, "VOILUTFunction": "LINEAR_EXACT"},
        ),
        ((drawing() - 1024).astype(np.int16), 16, {"RescaleSlope": 1, "RescaleIntercept": -10}),
        (
            drawing().astype(np.uint16),
            16,
            {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 4000},
        ),
        (drawing(8).astype(np.uint8), 8, {"PhotometricInterpretation": "MONOCHROME1"}),
        (drawing().astype(np.uint16), 12, {"VOILUTSequence": table([4096, 0, 16], np.arange(4096))}),
        (
            drawing().astype(np.uint16),
            12,
            {"ModalityLUTSequence": table([4096, 0, 16], np.sqrt(np.arange(4096) * 4096))},
        ),
        (drawing().astype(np.uint16), 12, {"syntax": RLELossless}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_gray_levels_are_those_of_pydicom(
    tmp_path: Path, stored: np.ndarray, bits: int, elements: dict[str, Any]
) -> None:
    image = write(tmp_path / "image", stored, bits, **elements)
    (found,), _ = read(tmp_path, ["image"])
    shown = pipeline.apply_voi_lut(pipeline.apply_modality_lut(stored, image), image).astype(float)
    if elements.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = shown.max() - shown
    shown = (shown - shown.min()) / (shown.max() - shown.min()) * 255
    assert np.corrcoef(shown.ravel(), found.ravel())[0, 1] > 0.999
    assert len(np.unique(found)) >= min(200, 0.99 * len(np.unique(np.rint(shown))))


def files_with_gray_images() -> list[str]:
    """pydicom's own files of one gray frame."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    names = []
    for file in sorted(FILES.rglob("*.dcm")):
        if file.stat().st_size < 2**20 and file.name not in REFUSED:
            image = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            several = int(image.get("NumberOfFrames") or 1) > 1
            if str(image.get("PhotometricInterpretation", "")).startswith("MONO") and not several:
                names.append(str(file.relative_to(FILES)))
    return names


@pytest.mark.parametrize("name", files_with_gray_images())
@pytest.mark.filterwarnings("ignore")
def test_files_that_pydicom_ships(name: str) -> None:
    if name == "JPEG2000-embedded-sequence-delimiter.dcm":
        pytest.skip("pydicom's own decoders refuse it")
    data = (FILES / name).read_bytes()
    try:
        image = pydicom.dcmread(io.BytesIO(data), force=True)
        shown = pipeline.apply_voi_lut(pipeline.apply_modality_lut(image.pixel_array, image), image)
    except Exception as error:
        with pytest.raises(PictureError):
            dicom.read(data)
        pytest.skip(f"pydicom itself: {error}")
    found = dicom.read(data)
    values = found.values
    assert values is not None
    ends = found.stated or (float(values.min()), float(values.max()))
    gray = np.clip((values - ends[0]) / ((ends[1] - ends[0]) or 1), 0, 1)
    expected = (shown - shown.min()) / (float(np.ptp(shown)) or 1.0)
    if shown.min() != shown.max():
        assert np.corrcoef(gray.ravel(), expected.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_read_says_why(name: str) -> None:
    with pytest.raises(PictureError, match=REFUSED[name]):
        dicom.read((FILES / name).read_bytes())


def test_padding_is_black_and_does_not_widen_the_range(tmp_path: Path) -> None:
    stored = (drawing() - 1000).astype(np.int16)
    stored[:8] = -32000
    write(tmp_path / "a.dcm", stored, 16, PixelPaddingValue=-32000)
    (found,), notes = read(tmp_path, ["a.dcm"])
    assert (found[:8] == 0).all()
    assert len(np.unique(found)) >= 200
    assert "-32" not in "".join(notes)


def test_a_range_that_is_given_holds_instead_of_the_window(tmp_path: Path) -> None:
    stored = (drawing() - 1024).astype(np.int16)
    write(tmp_path / "a.dcm", stored, 16, WindowCenter=40, WindowWidth=80)
    (found,), _ = read(tmp_path, ["a.dcm"], parse("-1000:400"))
    expected = np.clip((stored + 1000) / 1400, 0, 1) * 255
    assert np.abs(found - expected).max() <= 1


def test_frames_colours_and_sizes(tmp_path: Path) -> None:
    frames = np.stack([drawing(), drawing()[::-1]]).astype(np.uint16)
    write(tmp_path / "two.dcm", frames)
    with pytest.raises(ImageError, match="2 pages or frames"):
        read(tmp_path, ["two.dcm"])
    (found,), _ = read(tmp_path, ["two.dcm"], parse(None, 2))
    assert np.corrcoef(frames[1].ravel(), found.ravel())[0, 1] > 0.99
    colour = np.stack([drawing(8)] * 3, axis=2).astype(np.uint8)
    write(tmp_path / "rgb.dcm", colour, 8)
    np.testing.assert_allclose(read(tmp_path, ["rgb.dcm"])[0][0], drawing(8), atol=1)
    write(tmp_path / "huge.dcm", drawing().astype(np.uint16), Rows=60000, Columns=60000)
    with pytest.raises(ImageError, match="60000 x 60000 pixels"):
        read(tmp_path, ["huge.dcm"])


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / f"{number}.dcm", drawing().astype(np.uint16))
    code = f"""
        import sys
        from importlib.abc import MetaPathFinder
        class Hide(MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name.split('.')[0] == 'pydicom':
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Hide())
        import importlib.util
        importlib.util.find_spec = lambda name: None
        from pathlib import Path
        from transfusion.images.inspection import look_at
        from transfusion.images.reading import Reading
        from transfusion.data import survey
        survey.find_spec = lambda name: None
        names = [f"{{n}}.dcm" for n in range(30)]
        root = Path({str(tmp_path)!r})
        found = survey.survey(root, names, look_at(root, names), Reading())
        print(*found.problems, sep="\\n")
        """
    import textwrap

    run = [sys.executable, "-c", textwrap.dedent(code)]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 1
    assert 'pip install "transfusion-sweep[dicom]"' in lines[0]


def test_other_kinds_are_told_apart(tmp_path: Path) -> None:
    files = {
        "page.png": (b"<!DOCTYPE html><html><body>sign in</body></html>", "a web page"),
        "lfs.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        "zip.png": (b"PK\x03\x04" + bytes(50), "a zip archive"),
        "nifti.png": (b"\x5c\x01\x00\x00" + bytes(340) + b"n+1\x00" + bytes(200), "a NIfTI volume"),
        "zeros.png": (bytes(1000), "zero bytes"),
    }
    for name, (data, said) in files.items():
        (tmp_path / name).write_bytes(data)
        (look,) = look_at(tmp_path, [name])
        assert said in str(look.problem), name
    Image.fromarray(drawing(8).astype(np.uint8)).save(tmp_path / "good.png")
    assert look_at(tmp_path, ["good.png"])[0].problem is None


@pytest.mark.parametrize("colours", ["HSV", "ARGB"])
def test_one_sample_in_unknown_colours_is_not_taken_for_gray(tmp_path: Path, colours: str) -> None:
    write(tmp_path / "a.dcm", drawing().astype(np.uint16), PhotometricInterpretation=colours)
    with pytest.raises(ImageError, match=f"DICOM in the colours {colours}"):
        read(tmp_path, ["a.dcm"])


def own(folder: Path, ids: list[str]) -> Images:
    """A table of DICOM files, one with a name without extension, whose patients stand in their headers."""
    lines = ["file,Edema"]
    for number, patient in enumerate(ids):
        name = f"image{number}" + (".dcm" if number else "")
        write(folder / name, drawing().astype(np.uint16), PatientID=patient)
        lines.append(f"{name},{number % 2}")
    (folder / "t.csv").write_text("\n".join(lines))
    return csv_table.read(
        folder / "t.csv", path_column="file", patient_column="dicom:PatientID", findings=["Edema"]
    )


def test_patients_of_the_headers(tmp_path: Path) -> None:
    dataset = own(tmp_path, ["007", "7b", "007", "c", "d", "d"])
    assert dataset.frame["patient"].tolist() == ["007", "7b", "007", "c", "d", "d"]
    assert dataset.frame.groupby("patient")["part"].nunique().max() == 1


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["ANON"] * 4, "'ANON' in all 4 files"),
        (["ANON"] * 2, "'ANON' in all 2 files"),
        (["a", "", "b", "c"], "row 3"),
        (["a", "A", "b", "c"], "row"),
    ],
)
def test_headers_that_tell_nobody_apart_are_refused(tmp_path: Path, ids: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        own(tmp_path, ids)


def test_patients_of_files_that_are_no_dicom(tmp_path: Path) -> None:
    Image.fromarray(drawing(8).astype(np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("file,Edema\na.png,1\n")
    for column, said in {"dicom:PatientID": "DICOM with PatientID", "dicom:Nobody": "dictionary"}.items():
        with pytest.raises(InputError, match=said):
            csv_table.read(tmp_path / "t.csv", path_column="file", patient_column=column, findings=["Edema"])


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_bits_that_do_not_begin_at_the_lowest(tmp_path: Path, kind: type) -> None:
    drawn = drawing() - (2048 if kind is np.int16 else 0)
    stored = ((drawn << 4) | 5).astype(kind)
    write(tmp_path / "a.dcm", stored, 12, HighBit=15)
    np.testing.assert_allclose(read(tmp_path, ["a.dcm"])[0][0], drawing() / 4095 * 255, atol=1)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_data_set_without_its_first_group(tmp_path: Path, implicit: bool) -> None:
    image = write(tmp_path / "a.dcm", drawing().astype(np.uint16))
    del image.file_meta
    image.save_as(tmp_path / "a", implicit_vr=implicit, little_endian=True)
    np.testing.assert_allclose(read(tmp_path, ["a"])[0][0], drawing() / 4095 * 255, atol=1)


def test_colours_of_twelve_bits_in_sixteen_keep_their_levels(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", np.stack([drawing()] * 3, axis=2).astype(np.uint16), 16)
    np.testing.assert_allclose(read(tmp_path, ["a.dcm"])[0][0], drawing() / 4095 * 255, atol=1)


def test_a_part_of_a_jpeg_in_a_dicom_file_is_found(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(drawing(8).astype(np.uint8)).save(stream, "JPEG", quality=95)
    whole = stream.getvalue()
    image = write(tmp_path / "a.dcm", drawing(8).astype(np.uint8), 8)
    image.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    for data, cut in ((whole, False), (whole[: len(whole) // 2] + b"\xff\xd9", True)):
        image.PixelData = encapsulate([data])
        image["PixelData"].VR = "OB"
        image.save_as(tmp_path / "a.dcm", enforce_file_format=True)
        found = survey(tmp_path, ["a.dcm"], look_at(tmp_path, ["a.dcm"]), Reading())
        assert ("lacks a part of its data" in str(found.problems)) is cut
        assert bool(found.problems) is cut


def test_a_window_beside_all_values_shows_nothing_and_is_said(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", drawing().astype(np.uint16), WindowCenter=90000, WindowWidth=100)
    found = survey(tmp_path, ["a.dcm"], look_at(tmp_path, ["a.dcm"]), Reading())
    assert "the same value in every pixel" in str(found.empty)


@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_table_of_eight_bits_in_words_of_sixteen(tmp_path: Path, name: str) -> None:
    write(
        tmp_path / "a.dcm", drawing().astype(np.uint16), **{name: table([4096, 0, 8], np.arange(4096) // 16)}
    )
    np.testing.assert_allclose(read(tmp_path, ["a.dcm"])[0][0], drawing() // 16, atol=1)


def test_no_header_is_read_by_a_path_that_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_text("not to be opened")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "t.csv").write_text("file,Edema\n../a.dcm,1\n")
    with pytest.raises(InputError) as caught:
        csv_table.read(
            tmp_path / "in" / "t.csv",
            path_column="file",
            patient_column="dicom:PatientID",
            findings=["Edema"],
        )
    assert "row 2: found ../a.dcm, expected a path inside the data folder" in str(caught.value)
    assert "DICOM with PatientID" not in str(caught.value)


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"PresentationIntentType": "FOR PROCESSING"}, dicom.RAW),
        ({"PresentationLUTShape": "INVERSE"}, dicom.CONTRADICTED),
        (
            {"PresentationLUTShape": "IDENTITY", "PhotometricInterpretation": "MONOCHROME1"},
            dicom.CONTRADICTED,
        ),
        ({"PresentationIntentType": "FOR PRESENTATION", "PresentationLUTShape": "IDENTITY"}, None),
        ({"PresentationLUTShape": "INVERSE", "PhotometricInterpretation": "MONOCHROME1"}, None),
    ],
)
def test_headers_that_doubt_that_black_is_black_are_told(
    tmp_path: Path, elements: dict[str, str], note: str | None
) -> None:
    write(tmp_path / "a.dcm", drawing().astype(np.uint16), **elements)
    notes = read(tmp_path, ["a.dcm"])[1]
    assert [one for one in notes if dicom.RAW in one or dicom.CONTRADICTED in one] == (
        [f"1 of 1 images {note}"] if note else []
    )
