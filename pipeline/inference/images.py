"""Images as users hold them: a path, a URL, a Pillow image or an array, as RGB bytes; whatever is none is refused."""

from __future__ import annotations

from os import PathLike, fspath

import numpy as np
from PIL import Image

from pipeline.datasets._decode import decode_image
from pipeline.errors import DataError, StorageError
from pipeline.storage import open_binary

ImageLike = str | PathLike[str] | Image.Image | np.ndarray


def read_image(image: ImageLike, name: str = "image") -> np.ndarray:
    """An image's pixels, upright.

    Args:
        image: Path or URL (``https://``, ``s3://``, … through fsspec); Pillow image; or (H, W, 3) uint8 RGB.
        name: What errors call an image without a path.

    Returns:
        (H, W, 3) uint8 RGB. Files are turned as their EXIF says; Pillow images and arrays are taken as they are.

    Raises:
        DataError: Unreadable, no image, or an array of another type or shape.
    """
    if isinstance(image, np.ndarray):
        return _checked(image, name)
    if isinstance(image, Image.Image):
        if image.mode in {"F", "I"} or image.mode.startswith("I;"):
            raise DataError(
                f"{name}: a Pillow image of mode '{image.mode}' has no agreed range; convert it to 8-bit RGB"
            )
        return np.asarray(image.convert("RGB"))
    if not isinstance(image, str | PathLike):
        raise DataError(
            f"{name} is a {type(image).__name__}: give a path, a URL, a Pillow image or an (H, W, 3) uint8 array"
        )
    path = fspath(image)
    try:
        with open_binary(path) as file:
            content = file.read()
    except (OSError, ValueError, StorageError) as error:
        # The reason first: what object stores and web servers raise often has none of the usual fields.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: cannot read: {reason}; correct the path") from error
    return decode_image(content, path, upright=True)


def _checked(image: np.ndarray, name: str) -> np.ndarray:
    if image.dtype != np.uint8:
        hint = "multiply by 255, round and cast" if np.issubdtype(image.dtype, np.floating) else "cast"
        raise DataError(f"{name} is an array of {image.dtype}: expected uint8, 0 … 255; {hint}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        hint = "; put the channels last" if image.ndim == 3 and image.shape[0] == 3 else "; convert it to RGB"
        raise DataError(f"{name} has shape {image.shape}: expected (H, W, 3) RGB{hint}")
    return image
