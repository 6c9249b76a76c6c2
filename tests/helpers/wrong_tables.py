"""Tables and folders of images that cannot be used, one for each way to be wrong: name -> what makes it."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from transfusion.data.checks import check
from transfusion.data.dataset import Dataset
from transfusion.data.splits import Shares, assign
from transfusion.layouts import chexpert, csv_table, imagenet, nih
from transfusion.problems import InputError

HEADER = "file,person,Edema"
ROWS = [f"im{n}.png,p{n // 2},{n % 2}" for n in range(16)]
TABLE = "\n".join([HEADER, *ROWS]) + "\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
ENTRIES = "Image Index,Finding Labels,Patient ID\n"


def picture(file: Path, size: tuple[int, int] = (16, 16)) -> None:
    """An image of noise, the same for the same size."""
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, size[::-1], dtype=np.uint8)
    Image.fromarray(noise).save(file)


def said(call: Callable[[], object]) -> str:
    """What the error of this call says; nothing where there is none."""
    try:
        call()
    except InputError as error:
        return str(error)
    return ""


def table(content: str | bytes, *, images: bool = True, name: str = "t.csv") -> Callable[[Path], str]:
    """A table of one's own with these bytes, beside sixteen images if wanted."""

    def make(folder: Path) -> str:
        if images:
            for n in range(16):
                picture(folder / f"im{n}.png")
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
        return said(lambda: read(folder / name))

    return make


def read(file: Path) -> None:
    """As `--dataset table --path-column file --patient-column person --finding Edema` does it."""
    found = csv_table.read(file, path_column="file", patient_column="person", findings=["Edema"])
    checked(assign(found, "Edema", found.labels("Edema"), Shares(None, None)))


def checked(found: Dataset) -> None:
    """As the command does it with what a reader made."""
    check(found, findings=[], train_images=1)


def row(number: int, text: str) -> str:
    """The table with another row; the header is row 1."""
    lines = TABLE.splitlines()
    return "\n".join([*lines[: number - 1], text, *lines[number:]]) + "\n"


def image(content: bytes, name: str = "im3.png", *, every: bool = False) -> Callable[[Path], str]:
    """The sound table, and one image, or every one, of these bytes."""

    def make(folder: Path) -> str:
        table(TABLE)(folder)
        for n in range(16) if every else (3,):
            (folder / f"im{n}.png").unlink()
            (folder / name.replace("3", str(n))).write_bytes(content)
        return said(lambda: read(folder / "t.csv"))

    return make


def zipped(*names: str) -> bytes:
    """An archive of files of these names."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, TABLE)
    return stream.getvalue()


def sound_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(stream, "PNG")
    return stream.getvalue()


def black_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


TABLES: dict[str, Callable[[Path], str]] = {
    "no such table": lambda folder: said(lambda: read(folder / "t.csv")),
    "a folder in place of the table": lambda folder: (table(TABLE)(folder), said(lambda: read(folder)))[1],
    "an empty table": table(""),
    "blank lines only": table("\n\n\n"),
    "nothing below the header": table(HEADER + "\n"),
    "a web page in place of the table": table("<!DOCTYPE html><html>Sign in</html>"),
    "a pointer of Git LFS": table(POINTER),
    "an Excel workbook": table(zipped("[Content_Types].xml", "xl/workbook.xml")),
    "an archive of two tables": table(zipped("a.csv", "b.csv")),
    "a Parquet file": table(b"PAR1" + bytes(40)),
    "a cut gzip": table(gzip.compress(TABLE.encode(), mtime=0)[:-12]),
    "bytes that are no text": table(b"file,person,Edema\n\x00\x01\x02"),
    "a column misspelled": table(TABLE.replace("Edema", "Oedema")),
    "a column in another case": table(TABLE.replace("person", "Person")),
    "columns with other names": table(TABLE.replace("file,person", "image,subject")),
    "no header": table("\n".join(ROWS)),
    "one column": table("file\nim0.png\n"),
    "spaces between the fields": table(TABLE.replace(",", " ")),
    "a title above the header": table("My data,,\n" + TABLE),
    "a comment above the header": table("# exported\n# by hand\n" + TABLE),
    "JSON": table('[{"file": "im0.png", "person": "p0", "Edema": 0}]'),
    "a column twice": table("\n".join([f"{HEADER},Edema", *(f"{line},1" for line in ROWS)]) + "\n"),
    "short rows": table(row(5, "im3.png,p1")),
    "long rows": table(row(5, "im3.png,p1,1,9")),
    "row names without a header": table(
        "\n".join([HEADER, *(f"{n},{line}" for n, line in enumerate(ROWS))]) + "\n"
    ),
    "a comma in a name": table(row(5, "im3,b.png,p1,1")),
    "quotes that do not close": table(row(5, 'im3.png,"p1,1')),
    "a patient in Latin-1": table(TABLE.encode().replace(b"p1", b"M\xfcller")),
    "labels in words": table(TABLE.replace(",1\n", ",yes\n").replace(",0\n", ",no\n")),
    "labels in per cent": table(TABLE.replace(",1\n", ",0.87\n")),
    "labels not available": table(row(5, "im3.png,p1,NA")),
    "patients without a name": table(TABLE.replace("p1", "").replace("p2", "unknown")),
    "patients rounded by a spreadsheet": table(TABLE.replace("p1", "1.23E+12")),
    "patients spelled in two ways": table(
        "\n".join([HEADER, *(f"im{n}.png,{'0' * (n % 2)}{n // 2 + 1},{n % 2}" for n in range(16))])
    ),
    "a path twice": table(TABLE + "./im3.png,p1,1\n"),
    "every path twice": table(TABLE + "".join(f"./{line}\n" for line in ROWS)),
    "no path": table(row(5, ",p1,1")),
    "a path from the root": table(row(5, "/data/im3.png,p1,1")),
    "addresses of a bucket": table(TABLE.replace("im", "s3://bucket/im")),
    "a path that leaves the folder": table(row(5, "../im3.png,p1,1")),
    "one image that is not there": table(row(5, "im33.png,p1,1")),
    "images in a folder of masks": lambda folder: moved(folder, "masks"),
    "images two folders below": lambda folder: moved(folder, "a/b"),
    "images that are nowhere": table(TABLE, images=False),
    "names that fit two files": lambda folder: doubled(folder),
    "one class only": table(TABLE.replace(",1\n", ",0\n")),
}  # fmt: skip
"""Name of a wrong table -> what makes it in a folder and says what the error is."""


def moved(folder: Path, below: str) -> str:
    table(TABLE)(folder)
    (folder / below).mkdir(parents=True)
    for n in range(16):
        (folder / f"im{n}.png").rename(folder / below / f"im{n}.png")
    return said(lambda: read(folder / "t.csv"))


def doubled(folder: Path) -> str:
    table(TABLE.replace(".png", ""))(folder)
    picture(folder / "im3.jpg")
    return said(lambda: read(folder / "t.csv"))


IMAGES: dict[str, Callable[[Path], str]] = {
    "an image of 0 bytes": image(b""),
    "a web page in place of an image": image(b"<html>404 Not Found</html>"),
    "a pointer of Git LFS in place of every image": image(POINTER, every=True),
    "an archive in place of an image": image(zipped("im3.png")),
    "a text in place of an image": image(b"Not Found"),
    "an HDF5 file in place of an image": image(b"\x89HDF\r\n\x1a\n" + bytes(100)),
    "a volume in place of an image": image(b"\x5c\x01\x00\x00" + bytes(340) + b"n+1\x00" + bytes(100)),
    "zero bytes in place of an image": image(bytes(1000)),
    "a cut PNG": image(sound_png()[:-30]),
    "a damaged PNG": image(sound_png()[:60] + bytes(40) + sound_png()[100:]),
    "a cut JPEG": image(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(20)),
    "black images": image(black_png(), every=True),
    "DICOM without pixels": image(bytes(128) + b"DICM" + bytes(200)),
    "an image too large": lambda folder: large(folder),
}  # fmt: skip
"""Name of a wrong image -> what makes it in a sound table and says what the error is."""


def large(folder: Path) -> str:
    table(TABLE)(folder)
    Image.new("L", (9000, 9000)).save(folder / "im3.png")
    return said(lambda: read(folder / "t.csv"))


def files(contents: dict[str, str], call: Callable[[Path], object]) -> Callable[[Path], str]:
    """A folder of texts and, for names of images, images."""

    def make(folder: Path) -> str:
        for name, text in contents.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix in (".png", ".jpg", ".JPEG"):
                picture(file)
            else:
                file.write_text(text)
        return said(lambda: call(folder))

    return make


CHEXPERT = "Path,Sex,Age,Frontal/Lateral,AP/PA,Edema\n"
PATIENTS = "".join(
    f"CheXpert-v1.0-small/train/patient0000{n}/study1/view1_frontal.jpg,Male,40,Frontal,AP,1\n"
    for n in range(3)
)
NIH = "".join(f"0000000{n}_000.png,Edema,{n}\n" for n in range(3))


def chexpert_read(folder: Path) -> None:
    checked(chexpert.read(folder, findings=("Edema",)))


def nih_read(folder: Path) -> None:
    checked(nih.read(folder))


FOLDERS: dict[str, Callable[[Path], str]] = {
    "CheXpert: no such folder": lambda folder: said(lambda: chexpert_read(folder / "CheXpert")),
    "CheXpert: an empty folder": lambda folder: said(lambda: chexpert_read(folder)),
    "CheXpert: a table of one's own": files({"labels.csv": TABLE, "images/im0.png": ""}, chexpert_read),
    "CheXpert: a folder too high": files(
        {
            "data/CheXpert-v1.0-small/train.csv": CHEXPERT + PATIENTS,
            "data/CheXpert-v1.0-small/valid.csv": CHEXPERT,
        },
        chexpert_read,
    ),
    "CheXpert: ChestX-ray14 in place of it": files(
        {"Data_Entry_2017_v2020.csv": ENTRIES + NIH, "images/00000000_000.png": ""}, chexpert_read
    ),
    "CheXpert: an archive that was not unpacked": files({"CheXpert-v1.0-small.zip": "PK"}, chexpert_read),
    "CheXpert: no valid.csv": files({"train.csv": CHEXPERT + PATIENTS}, chexpert_read),
    "CheXpert: paths of one's own": files(
        {"train.csv": CHEXPERT + "scans/a.jpg,Male,4,Frontal,AP,1\n" * 9, "valid.csv": CHEXPERT + PATIENTS},
        chexpert_read,
    ),
    "CheXpert: no images": files(
        {"train.csv": CHEXPERT + PATIENTS, "valid.csv": CHEXPERT + PATIENTS.replace("0000", "9000")},
        chexpert_read,
    ),
    "CheXpert: a patient on both sides": files(
        {"train.csv": CHEXPERT + PATIENTS, "valid.csv": CHEXPERT + PATIENTS.replace("/train/", "/valid/")},
        chexpert_read,
    ),
    "NIH: no entries": files({"images/00000000_000.png": ""}, nih_read),
    "NIH: another finding": files(
        {"Data_Entry_2017.csv": ENTRIES + NIH.replace("Edema", "Oedema")}, nih_read
    ),
    "NIH: CheXpert in place of it": files({"train.csv": CHEXPERT, "valid.csv": CHEXPERT}, nih_read),
    "NIH: no images": files({"Data_Entry_2017.csv": ENTRIES + NIH}, nih_read),
    "NIH: a part of the images": files(
        {"Data_Entry_2017.csv": ENTRIES + NIH, "images_001/images/00000000_000.png": ""}, nih_read
    ),
    "NIH: images in a folder of one's own": files(
        {"Data_Entry_2017.csv": ENTRIES + NIH, **{f"scans/0000000{n}_000.png": "" for n in range(3)}},
        nih_read,
    ),
    "NIH: images in two folders": files(
        {
            "Data_Entry_2017.csv": ENTRIES + NIH,
            **{f"images/0000000{n}_000.png": "" for n in range(3)},
            "images_001/images/00000000_000.png": "",
        },
        nih_read,
    ),
    "NIH: lists of another set": files(
        {
            "Data_Entry_2017.csv": ENTRIES + NIH,
            **{f"images/0000000{n}_000.png": "" for n in range(3)},
            "test_list.txt": "x.png\ny.png\n",
        },
        nih_read,
    ),
    "ImageNet: no such folder": lambda folder: said(lambda: imagenet.read(folder / "ImageNet", 4)),
    "ImageNet: archives that were not unpacked": files(
        {"ILSVRC2012_img_train.tar": "", "ILSVRC2012_img_val.tar": ""},
        lambda folder: imagenet.read(folder, 4),
    ),
    "ImageNet: too few images": files(
        {"train/a/0.JPEG": "", "train/b/0.JPEG": ""}, lambda folder: imagenet.read(folder, 4)
    ),
    "ImageNet: one class": files({"train/a/0.JPEG": ""}, lambda folder: imagenet.read(folder, 4)),
}
"""Name of a wrong folder of a known layout -> what makes it and says what the error is."""
