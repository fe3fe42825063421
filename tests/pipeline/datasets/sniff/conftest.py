"""Where exports are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder with two images in a subfolder."""
    (tmp_path / "pictures").mkdir()
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / "pictures" / name)
    return tmp_path
