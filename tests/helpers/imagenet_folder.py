"""A small folder in ImageNet's layout whose classes are colours."""

from pathlib import Path

from PIL import Image

COLOURS = {"n01": (220, 30, 30), "n02": (30, 220, 30), "n03": (30, 30, 220)}


def write_images(folder: Path, per_class: int = 15) -> Path:
    """A class for each of `COLOURS`; one image of it in CMYK, one in a folder below it."""
    for name, colour in COLOURS.items():
        images = folder / "train" / name
        (images / "images").mkdir(parents=True)
        for number in range(per_class):
            image = Image.new("RGB", (40 + number, 32), colour)
            place = images / "images" if number == 0 else images
            (image.convert("CMYK") if number == 1 else image).save(
                place / f"{name}_{number}.JPEG", format="JPEG", quality=95
            )
    return folder
