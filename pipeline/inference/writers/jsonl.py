"""JSON lines: an image a line, with everything that is known of its faces."""

from __future__ import annotations

import json

from pipeline.inference.result import ImageResult
from pipeline.inference.writers.base import DECIMALS, FileWriter, rounded


class JsonLines(FileWriter):
    """``image``, ``width``, ``height``, ``markup``, ``faces``; of a frame ``seconds`` too.

    A face has ``points`` [[x, y], …], ``covariance`` [[σ_xx, σ_xy, σ_yy], …], ``confidence`` per landmark, ``face_confidence``,
    ``calibrated``, ``box``, ``score``, and of a smoothed video ``track``.
    """

    def write(self, result: ImageResult) -> None:
        """A line."""
        faces = []
        for place, face in enumerate(result.faces):
            told: dict[str, object] = {"points": rounded(face.points_K2)}
            if face.covariance_K22 is not None and face.confidence_K is not None:
                told["covariance"] = rounded(face.covariance_K22.reshape(-1, 4)[:, [0, 1, 3]])
                told["confidence"] = rounded(face.confidence_K)
                told["face_confidence"] = round(float(face.confidence_K.mean()), DECIMALS)
                told["calibrated"] = face.calibrated
            told["box"] = [round(value, DECIMALS) for value in face.box]
            told["score"] = None if face.score is None else round(face.score, DECIMALS)
            if result.tracks is not None:
                told["track"] = result.tracks[place]
            faces.append(told)
        line: dict[str, object] = {"image": result.name, "width": result.width, "height": result.height}
        if result.seconds is not None:
            line["seconds"] = round(result.seconds, 6)
        self.file.write(
            json.dumps({**line, "markup": self.markup.name, "faces": faces}, ensure_ascii=False) + "\n"
        )


WRITER = JsonLines
