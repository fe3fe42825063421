"""A model's predictions on a labelled set: everything the metrics, plots and reports need, without the model.

Saved as one ``.npz`` of plain arrays, read back without pickle.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import MISSING, dataclass, fields

import numpy as np

from pipeline.errors import DataError
from pipeline.faces.crop import Crop
from pipeline.storage import open_binary, write_bytes

FORMAT = "landmark-pipeline/predictions/1"
_ROUNDING = 1e-5
"""Share of a covariance's trace by which float32 may take an eigenvalue below 0, or its halves apart."""


@dataclass(frozen=True)
class Predictions:
    """A model's answers on N faces of a set with K landmarks, beside the truth.

    Attributes:
        keys: (N,) str, the samples' keys, unique.
        points_NK2: (N, K, 2) float64 predicted landmarks, (x, y) px of the ORIGINAL image.
        target_NK2: (N, K, 2) float64 true landmarks, same pixels; anything where masked.
        mask_NK: (N, K) bool, True where the landmark counts.
        scale_N: (N,) float64, network px per original px.
        scatter_NK: (N, K) float64, heatmap scatter in px of the network's INPUT grid; None for a model
            without heatmaps.
        covariance_NK22: (N, K, 2, 2) float32 covariance of each predicted landmark, axes (x, y), px² of the
            ORIGINAL image, symmetric and positive semidefinite; None for a model that states none.
        images_NSS3: (N, S, S, 3) uint8 small crops for the report; None where not kept.
        crops_N3: (N, 3) float64, left, top and side of each small crop in original px; given exactly when
            images are.
        visible_NK: (N, K) bool, landmarks that can be seen; None where the set was not asked.
        sizes_N4: (N, 4) float64, each face's size by the data set's own landmarks, px, in the order of ``NORMALISATIONS``, NaN
            where undefined; None where the landmarks above are the set's own and say it themselves.
        facts_N: (N,) str, what else the set says of each face, see ``facts.FaceFacts``; None where it was not asked.
    """

    keys: np.ndarray
    points_NK2: np.ndarray
    target_NK2: np.ndarray
    mask_NK: np.ndarray
    scale_N: np.ndarray
    scatter_NK: np.ndarray | None = None
    covariance_NK22: np.ndarray | None = None
    images_NSS3: np.ndarray | None = None
    crops_N3: np.ndarray | None = None
    visible_NK: np.ndarray | None = None
    sizes_N4: np.ndarray | None = None
    facts_N: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.keys)
        if self.keys.dtype.kind != "U" or self.keys.ndim != 1:
            raise DataError(
                f"predictions, field 'keys': expected (N,) str, got {self.keys.shape} {self.keys.dtype}"
            )
        if n == 0:
            raise DataError("predictions hold no face: the evaluated set is empty")
        if self.points_NK2.ndim != 3:
            raise DataError(
                f"predictions, field 'points_NK2': shape {self.points_NK2.shape}, expected (N, K, 2)"
            )
        k = self.points_NK2.shape[1]
        expected: dict[str, tuple[int | None, ...]] = {
            "points_NK2": (n, k, 2),
            "target_NK2": (n, k, 2),
            "mask_NK": (n, k),
            "scale_N": (n,),
            "scatter_NK": (n, k),
            "covariance_NK22": (n, k, 2, 2),
            "images_NSS3": (n, None, None, 3),
            "crops_N3": (n, 3),
            "visible_NK": (n, k),
            "sizes_N4": (n, 4),
            "facts_N": (n,),
        }
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is None:
                continue
            if value.ndim != len(shape) or any(
                w is not None and g != w for g, w in zip(value.shape, shape, strict=True)
            ):
                wanted = ", ".join("S" if w is None else str(w) for w in shape)
                raise DataError(f"predictions, field '{name}': shape {value.shape}, expected ({wanted})")
        self._check_values()

    def _check_values(self) -> None:
        if self.mask_NK.dtype != bool:
            raise DataError(f"predictions, field 'mask_NK': {self.mask_NK.dtype}, expected bool")
        if (self.images_NSS3 is None) != (self.crops_N3 is None):
            raise DataError("predictions: 'images_NSS3' and 'crops_N3' go together, one of them is missing")
        if self.images_NSS3 is not None:
            if self.images_NSS3.dtype != np.uint8:
                raise DataError(f"predictions, field 'images_NSS3': {self.images_NSS3.dtype}, expected uint8")
            if self.images_NSS3.shape[1] != self.images_NSS3.shape[2]:
                raise DataError(
                    f"predictions, field 'images_NSS3': crops are not square, {self.images_NSS3.shape[1:3]}"
                )
        unique, counts = np.unique(self.keys, return_counts=True)
        if len(unique) != len(self.keys):
            raise DataError(
                f"predictions, field 'keys': '{unique[counts > 1][0]}' appears twice: evaluate each face once"
            )
        self._require_finite(
            "points_NK2", self.points_NK2, "the checkpoint is broken or training diverged: use an earlier one"
        )
        truth = np.where(self.mask_NK[..., None], self.target_NK2, 0.0)
        self._require_finite("target_NK2", truth, "mask unknown landmarks out")
        self._require_finite(
            "scale_N", np.where(self.scale_N > 0, self.scale_N, np.nan), "a crop's scale must be positive"
        )
        if self.scatter_NK is not None:
            self._require_finite("scatter_NK", self.scatter_NK, "leave it None for a model without heatmaps")
        self._check_covariance()

    def _check_covariance(self) -> None:
        name, values = "covariance_NK22", self.covariance_NK22
        if values is None:
            return
        if values.dtype != np.float32:
            raise DataError(f"predictions, field '{name}': {values.dtype}, expected float32")
        self._require_finite(name, values, "leave it None for a model that states no uncertainty")
        wide = values.astype(np.float64)
        tolerance_NK = _ROUNDING * np.abs(np.trace(wide, axis1=-2, axis2=-1))
        symmetric_NK = np.abs(wide[..., 0, 1] - wide[..., 1, 0]) <= tolerance_NK
        semidefinite_NK = np.linalg.eigvalsh(wide)[..., 0] >= -tolerance_NK
        sound = np.where(symmetric_NK & semidefinite_NK, 0.0, np.nan)
        self._require_finite(name, sound, "a covariance is symmetric and positive semidefinite", "sound")

    def _require_finite(self, field: str, values: np.ndarray, remedy: str, what: str = "finite") -> None:
        bad_N = ~np.isfinite(values).reshape(len(self.keys), -1).all(axis=1)
        if bad_N.any():
            raise DataError(
                f"predictions, field '{field}': not {what} for {int(bad_N.sum())} of {len(self.keys)} faces, "
                f"first '{self.keys[bad_N][0]}'; {remedy}"
            )

    def __len__(self) -> int:
        return len(self.keys)

    def on_thumbnail(self, index: int, points_K2: np.ndarray) -> np.ndarray:
        """Map original-image points of face ``index`` onto its small crop.

        Args:
            index: Row of the face.
            points_K2: (K, 2), (x, y) px of the original image.

        Returns:
            (K, 2) float64, (x, y) px of ``images_NSS3[index]``.

        Raises:
            DataError: No small crops were kept.
        """
        if self.images_NSS3 is None or self.crops_N3 is None:
            raise DataError("these predictions keep no images: evaluate again with images kept")
        left, top, side = (float(value) for value in self.crops_N3[index])
        return Crop(left, top, side, self.images_NSS3.shape[1]).to_crop(points_K2)

    def covariance_on_thumbnail(self, index: int) -> np.ndarray:
        """Covariances of face ``index`` in the pixels of its small crop.

        Args:
            index: Row of the face.

        Returns:
            (K, 2, 2) float64, px² of ``images_NSS3[index]``.

        Raises:
            DataError: No small crops, or no covariances were kept.
        """
        if self.images_NSS3 is None or self.crops_N3 is None or self.covariance_NK22 is None:
            raise DataError("these predictions keep no images or no covariances: evaluate again")
        # A crop is a square, never turned: the map to it is a scaling.
        factor = self.images_NSS3.shape[1] / float(self.crops_N3[index, 2])
        return np.asarray(self.covariance_NK22[index], dtype=np.float64) * factor**2

    def save(self, url: str) -> None:
        """Write one compressed ``.npz``, atomically; local path or URL.

        Raises:
            StorageError: The disk or store refuses the write.
        """
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        buffer = io.BytesIO()
        kept = {name: array for name, array in arrays.items() if array is not None}
        np.savez_compressed(buffer, allow_pickle=False, format=np.array(FORMAT), **kept)
        write_bytes(url, buffer.getvalue())

    @classmethod
    def load(cls, url: str) -> Predictions:
        """Read what ``save`` wrote. Nothing in the file is executed.

        Raises:
            DataError: Missing, truncated, not of this format, or with inconsistent arrays; the message names
            the file.
        """
        try:
            with (
                open_binary(url) as file,
                np.load(io.BytesIO(file.read()), allow_pickle=False) as archive,
            ):
                arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError as error:
            raise DataError(
                f"{url}: no such predictions; run 'landmarks evaluate' first, or correct the path"
            ) from error
        except (ValueError, EOFError, OSError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{url}: not readable as predictions ({error}); evaluate again") from error
        if str(arrays.pop("format", "")) != FORMAT:
            raise DataError(f"{url}: field 'format' is not '{FORMAT}'; evaluate again with this release")
        known = {f.name for f in fields(cls)}
        required = {f.name for f in fields(cls) if f.default is MISSING}
        if not required <= set(arrays) <= known:
            odd = sorted((required - set(arrays)) | (set(arrays) - known))
            raise DataError(f"{url}: missing or unknown arrays {odd}; evaluate again")
        try:
            return cls(**arrays)
        except DataError as error:
            raise DataError(f"{url}: {error}") from error
