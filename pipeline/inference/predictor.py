"""The predictor: a trained model, or several as one, from an image to faces with landmarks in the image's pixels.

Faces are detected, or given as boxes; each is cut out as the model's training faces were, and what the model says of the crop is
mapped back. An ensemble's members may have been trained on crops and inputs of different sizes: each gets its own, and their
answers meet in the image's pixels.

    predictor = Predictor("outputs/runs/demo-supervised")
    for face in predictor("photo.jpg"):
        print(face.points_K2, face.confidence)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Any, Literal

import numpy as np
import torch

from pipeline.errors import ConfigError, DataError, TrainingError
from pipeline.faces.crop import Crop, crop_around, extract
from pipeline.inference.calibration import Calibration, load_calibration
from pipeline.inference.confidence import TOLERANCE, disc_probability, variances
from pipeline.inference.crops import answer
from pipeline.inference.images import ImageLike, read_image
from pipeline.inference.mixture import mixture
from pipeline.inference.predicted_face import Box, FoundFace, PredictedFace, from_box, from_image
from pipeline.methods.model_file import DESCRIPTION, LandmarkModel, load_model
from pipeline.shards.manifest import Manifest, join
from pipeline.shards.place import Detector
from pipeline.storage import absolute, exists

_Told = tuple[Box, float | None, float]  # box, score, side of the face
ModelLike = str | PathLike[str] | LandmarkModel

_BATCH = 32


class Predictor:
    """See the module's text. Loading takes a moment: make one and keep it.

    Args:
        model: What ``landmarks evaluate`` takes (a run's folder, a model's folder, a config, ``models:/NAME@ALIAS``) or a loaded
            model; several are an ensemble.
        flip: Average over the mirror image: twice the time, a little more exact.
        device: Where to compute.
        tolerance: Share of the face's side within which a landmark counts as right, for confidences.
        detector: Another than ``pipeline.faces.detect.FaceDetector``.

    Raises:
        DataError: No model there, or one that cannot be loaded.
        ConfigError: Models of different markups; a tolerance that is no share.
    """

    def __init__(
        self,
        model: ModelLike | Sequence[ModelLike],
        *,
        flip: bool = False,
        device: torch.device | str = "cpu",
        tolerance: float = TOLERANCE,
        detector: Detector | None = None,
    ) -> None:
        if not 0.0 < tolerance < 1.0:
            raise ConfigError(f"tolerance {tolerance}: a share of the face's side, between 0 and 1")
        given = [model] if isinstance(model, str | PathLike | LandmarkModel) else list(model)
        if not given:
            raise ConfigError("no model given")
        opened = [_open(each, device) for each in given]
        self.models = [each for each, _ in opened]
        self.flip, self.tolerance = flip, tolerance
        self._device, self._detector = device, detector
        first = self.models[0].description
        self.markup = first.layout
        for other in self.models[1:]:
            if other.description.layout != self.markup:
                raise ConfigError(
                    f"'{first.name}' predicts markup '{first.markup}', '{other.description.name}' '{other.description.markup}': "
                    "an ensemble's models have one markup"
                )
            if other.description.placed_around != self.models[0].description.placed_around:
                raise ConfigError(
                    f"'{first.name}' was trained on squares placed by {first.crop.points}, '{other.description.name}' by "
                    f"{other.description.crop.points}: an ensemble's models look at the same things"
                )
        self.temperature, self.uncalibrated = self._calibration([calibration for _, calibration in opened])

    def _calibration(self, found: list[Calibration | None]) -> tuple[float | None, str | None]:
        """The temperature, or why there is none."""
        if len(found) > 1:
            return None, "a mixture of several models has no calibration"
        if found[0] is None:
            return None, "the model has no calibration.json: run 'landmarks calibrate'"
        temperature = found[0].temperature(self.models[0].description, self.flip, self.tolerance)
        if temperature is None:
            asked = f"{'with' if self.flip else 'without'} the mirror image, tolerance {self.tolerance:g}"
            return (
                None,
                f"the model's calibration.json is not for this ({asked}) or not for these weights: run 'landmarks calibrate'",
            )
        return temperature, None

    def __call__(
        self, image: ImageLike, boxes: Sequence[Sequence[float]] | None = None
    ) -> list[PredictedFace]:
        """The faces of one image, largest first; see ``predict``."""
        return self.predict([image], None if boxes is None else [boxes])[0]

    def predict(
        self,
        images: Sequence[ImageLike],
        boxes: Sequence[Sequence[Sequence[float]]] | None = None,
    ) -> list[list[PredictedFace]]:
        """The faces of each image.

        Args:
            images: See ``read_image``.
            boxes: Of each image's faces, (left, top, right, bottom) px, about as MTCNN draws them: from the middle of the
                forehead to the chin. Of a model that was trained around boxes (``crop.points: box``), or around all landmarks
                of a markup without five points, boxes as its data set's, or around the landmarks. None detects, or, for a
                model of whole images, takes each as one.

        Returns:
            A list per image: detected faces, largest first, none where none is found; or the boxes' faces, in order.

        Raises:
            ConfigError: No boxes for a model that needs them: only faces are detected; boxes for a model of whole images.
            DataError: An image that cannot be read or is none; a box that spans no area.
            TrainingError: Landmarks that are not finite.
        """
        if boxes is not None and len(boxes) != len(images):
            raise DataError(f"{len(boxes)} lists of boxes for {len(images)} images: give one for each")
        around = self._what_is_cropped(boxes)
        read = [read_image(image, f"image {place}") for place, image in enumerate(images)]
        if around == "image":
            found = [[from_image(image)] for image in read]
        elif boxes is None:
            found = [
                [FoundFace(image, np.asarray(face.five_52), face.box, face.confidence) for face in faces]
                for image, faces in zip(read, self._detect(read), strict=True)
            ]
        else:
            found = [
                [from_box(image, box, face=around == "face") for box in own]
                for image, own in zip(read, boxes, strict=True)
            ]
        everyone = [face for faces in found for face in faces]
        predicted = iter(
            [
                face
                for start in range(0, len(everyone), _BATCH)
                for face in self._faces(everyone[start : start + _BATCH])
            ]
        )
        return [[next(predicted) for _ in faces] for faces in found]

    def on_crops(self, images_BSS3: np.ndarray, crops: Sequence[Crop]) -> list[PredictedFace]:
        """Faces that are cut out already, as those of a prepared set are.

        Args:
            images_BSS3: uint8 squares.
            crops: Where each lies in its image.
        """
        images = torch.from_numpy(np.ascontiguousarray(images_BSS3)).permute(0, 3, 1, 2)
        factor = self.models[0].description.crop.side_factor
        boxes: list[Box] = [(c.left, c.top, c.left + c.side, c.top + c.side) for c in crops]
        told: list[_Told] = [(box, None, crop.side / factor) for box, crop in zip(boxes, crops, strict=True)]
        answers = [self._in_image(model, images, crops) for model in self.models]
        return self._assembled(answers, told, crops, images_BSS3)

    def check_fits(self, manifest: Manifest, data: str) -> None:
        """Refuse a prepared set that is cropped otherwise than a model's training faces.

        Raises:
            ConfigError: Naming both.
        """
        for model in self.models:
            own = model.description.crop.side_factor
            if own != manifest.crop.side_factor:
                raise ConfigError(
                    f"{data} is cropped with side_factor {manifest.crop.side_factor}, '{model.description.name}' was trained on "
                    f"{own}: prepare the set alike, or predict on the images themselves"
                )

    def answered(
        self, face: PredictedFace, points_K2: np.ndarray, covariance_K22: np.ndarray
    ) -> PredictedFace:
        """A face with other landmarks, as a filter makes them of several frames; its confidences are not calibrated any more."""
        confidence_K = self._confidence(covariance_K22[None], np.array([face.size]))[0]
        return replace(
            face,
            points_K2=points_K2,
            covariance_K22=covariance_K22,
            confidence_K=confidence_K,
            confidence=float(confidence_K.mean()),
            calibrated=False,
        )

    def _what_is_cropped(self, boxes: Any) -> Literal["face", "box", "image"]:
        """What the models' squares are placed around; refuses boxes where there must be none, and none where they are needed."""
        around, name = self.models[0].description.placed_around, self.models[0].description.name
        if around == "image" and boxes is not None:
            raise ConfigError(
                f"'{name}' was trained on whole images: give no boxes, cut the images out instead"
            )
        if around == "box" and boxes is None:
            raise ConfigError(
                f"'{name}' was trained on squares around boxes or landmarks of its data set, and only faces are detected: give "
                "boxes to Predictor, or a prepared set"
            )
        return around

    def _detect(self, images: list[np.ndarray]) -> Sequence[Sequence[Any]]:
        if self._detector is None:
            # MTCNN's networks are loaded only where no boxes are given.
            from pipeline.faces.detect import FaceDetector
            from pipeline.faces.detector_config import DetectorConfig

            self._detector = FaceDetector(DetectorConfig(device=str(self._device)))
        return self._detector.detect(images)

    def _faces(self, found: list[FoundFace]) -> list[PredictedFace]:
        answers, first_crops, first_images = [], [], np.empty(0)
        for model in self.models:
            policy = model.description.crop
            crops = [
                crop_around(f.around_N2, side_factor=policy.side_factor, size=policy.size) for f in found
            ]
            images_BSS3 = np.stack([extract(f.image_HW3, crop) for f, crop in zip(found, crops, strict=True)])
            images = torch.from_numpy(images_BSS3).permute(0, 3, 1, 2)
            answers.append(self._in_image(model, images, crops))
            if len(answers) == 1:
                first_crops, first_images = crops, images_BSS3
        factor = self.models[0].description.crop.side_factor
        told = [(f.box, f.score, crop.side / factor) for f, crop in zip(found, first_crops, strict=True)]
        return self._assembled(answers, told, first_crops, first_images)

    def _in_image(
        self, model: LandmarkModel, images_B3SS: torch.Tensor, crops: Sequence[Crop]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """One model's points and covariances, px of the images the crops are of."""
        points_BK2, covariance_BK22 = answer(model, images_B3SS, self._device, self.flip)
        if not bool(points_BK2.isfinite().all()):
            raise TrainingError(
                f"model '{model.description.name}': its landmarks are not finite: its training diverged"
            )
        mapped = np.stack(
            [crop.to_original(points) for crop, points in zip(crops, points_BK2.numpy(), strict=True)]
        )
        if covariance_BK22 is None:
            return torch.from_numpy(mapped), None
        scale_B = torch.tensor([crop.scale for crop in crops], dtype=torch.float64)
        return torch.from_numpy(mapped), covariance_BK22 / scale_B[:, None, None, None] ** 2

    def _confidence(self, covariance_BK22: np.ndarray, size_B: np.ndarray) -> np.ndarray:
        return disc_probability(variances(covariance_BK22, size_B), self.tolerance, self.temperature or 1.0)

    def _assembled(
        self,
        answers: list[tuple[torch.Tensor, torch.Tensor | None]],
        told: list[_Told],
        crops: Sequence[Crop],
        images_BSS3: np.ndarray,
    ) -> list[PredictedFace]:
        points, stated = mixture([points for points, _ in answers], [covariance for _, covariance in answers])
        points_BK2, covariance_BK22 = points.numpy(), None if stated is None else stated.numpy()
        confidence_BK = None
        if covariance_BK22 is not None:
            confidence_BK = self._confidence(covariance_BK22, np.array([size for _, _, size in told]))
        return [
            PredictedFace(
                points_K2=points_BK2[place],
                covariance_K22=None if covariance_BK22 is None else covariance_BK22[place],
                confidence_K=None if confidence_BK is None else confidence_BK[place],
                confidence=None if confidence_BK is None else float(confidence_BK[place].mean()),
                calibrated=self.temperature is not None and confidence_BK is not None,
                box=box,
                score=score,
                crop=crops[place],
                image_SS3=images_BSS3[place],
                size=size,
            )
            for place, (box, score, size) in enumerate(told)
        ]


def _open(model: ModelLike, device: torch.device | str) -> tuple[LandmarkModel, Calibration | None]:
    if isinstance(model, LandmarkModel):
        return model.to(device).eval(), None
    folder = absolute(fspath(model))
    if not exists(join(folder, DESCRIPTION)):
        # What knows runs and registries knows configs, too: not needed for a model's own folder.
        from pipeline.inference.trained import find_trained

        folder = find_trained(fspath(model)).folder
    return load_model(folder, device), load_calibration(folder)
