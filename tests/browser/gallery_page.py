"""The scenes of docs/gallery.md: the cells that make each picture, and where the picture goes."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "gallery.md"
IMAGES = DOCS / "images" / "gallery"
MOST_BYTES = 150_000
_GAP = 24  # pixels between pictures beside each other


def sections() -> dict[str, tuple[list[str], list[str]]]:
    """Return heading -> (cells, names of pictures)."""
    found = {}
    for part in re.split(r"^## ", "\n" + PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        cells = re.findall(r"^```python\n(.*?)\n```$", part, re.MULTILINE | re.DOTALL)
        found[part.partition("\n")[0]] = cells, re.findall(r"\(images/gallery/(\w+)\.png\)", part)
    return found


def cells_of(picture: str) -> list[str]:
    """Return the cells of the section that has this picture; those before all others have no name."""
    return next(
        cells for cells, pictures in sections().values() if picture in pictures or not (picture or pictures)
    )


class Album:
    """Where pictures go: into docs/ where NBTASKS_DOC_IMAGES is 1, else into a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = IMAGES if os.environ.get("NBTASKS_DOC_IMAGES") == "1" else folder

    def keep(self, name: str, *shots: bytes) -> None:
        """Write a picture, or several beside each other, with a palette of its own: a fifth of the bytes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        image = beside([Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots])
        path = self.folder / f"{name}.png"
        image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size:,} bytes"


def beside(images: Sequence[Image.Image]) -> Image.Image:
    """Return one picture of several from left to right, on white."""
    width = sum(image.width for image in images) + _GAP * (len(images) - 1)
    whole = Image.new("RGB", (width, max(image.height for image in images)), "white")
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width + _GAP
    return whole
