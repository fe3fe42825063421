"""An experiment for a data set of the user's own: a commented config, and a markup where none of the packaged ones fits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import yaml

from pipeline.datasets.sniff.own import OwnData, markup_text
from pipeline.errors import ConfigError, DataError
from pipeline.storage import absolute, write_text
from pipeline.training.config.shipped import FOLDER
from pipeline.words import counted, on_one_line

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_GENERIC = {
    "annotations",
    "annotation",
    "data",
    "export",
    "instances",
    "default",
    "labels",
    "result",
    "results",
}
_FILLS = 0.4  # of an image's longer side: what spans more is the image's subject, found in new images without a box
_SMALL_PX = 32.0  # prepare.min_face_px


@dataclass(frozen=True)
class Written:
    """Where the files are.

    Attributes:
        config: The experiment.
        markup: Its markup's YAML; None where a packaged one fits.
    """

    config: Path
    markup: Path | None


def name_for(path: str) -> str:
    """A run's name from that of the folder or file of its data."""
    place = Path(absolute(path))
    stems = [place.stem if place.suffix else place.name, place.parent.name]
    good = [
        re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:40] for stem in stems if stem.lower() not in _GENERIC
    ]
    return next((name for name in good if _NAME.fullmatch(name)), "mine")


def places(name: str, folder: Path) -> tuple[Path, Path]:
    """Of the experiment and of its markup, neither of which exists.

    Raises:
        ConfigError: One does, or this is no name.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"'{name}' becomes file names: use letters, digits, '-' and '_', at most 40")
    config, markup = folder / FOLDER / f"{name}.yaml", folder / FOLDER / "markups" / f"{name}.yaml"
    for path in (config, markup):
        if path.exists():
            raise ConfigError(f"{path}: there already; choose another --name, or remove it to begin anew")
    return config, markup


def write_own(own: OwnData, name: str, folder: Path) -> Written:
    """Write the files; nothing that is there is touched.

    Args:
        own: The data set.
        name: Of the experiment, the run and the prepared sets.
        folder: Gets ``configs/``.

    Raises:
        ConfigError: A file is there already.
        DataError: Too few annotations to hold some out.
        StorageError: They cannot be written.
    """
    config, markup = places(name, folder)
    text = config_text(own, name, own.markup.name if own.packaged else markup.as_posix())
    if not own.packaged:  # first: a config that is there is whole
        write_text(str(markup), markup_text(own))
    write_text(str(config), text)
    return Written(config, None if own.packaged else markup)


def crop_of(own: OwnData) -> tuple[dict[str, Any], str]:
    """How the annotated things are cut out, and why so: the values of ``crop``, and a comment."""
    seen = own.survey
    if own.markup.five_points is not None:
        why = (
            "Faces are found by a detector, in new images as in these; where it misses one, by the landmarks."
        )
        return {"points": "detector", "side_factor": 3.0}, why
    if np.isfinite(seen.boxes_N4).all():
        why = "Around the data set's boxes; a new image needs one, too (Predictor(image, boxes=…))."
        return {"points": "box", "side_factor": _factor_of_boxes(own)}, why
    if seen.most_in_image == 1 and seen.fill is not None and seen.fill >= _FILLS:
        why = f"The whole image: there is one to each, and it fills it ({seen.fill:.0%} of the longer side). No box is needed."
        return {"points": "image", "side_factor": 1.0}, why
    why = (
        "Around the landmarks; a new image needs a box around where they will be (Predictor(image, boxes=…))."
    )
    return {"points": "landmarks", "side_factor": 1.5}, why


def _factor_of_boxes(own: OwnData) -> float:
    """Sides of a square that holds the landmarks of all but a few, and some room, over the box's longer side."""
    boxes_N22 = own.survey.boxes_N4.reshape(-1, 2, 2)
    longer_N = np.ptp(boxes_N22, axis=1).max(axis=1)
    away_N = np.nanmax(np.abs(own.survey.shapes_NK2 - boxes_N22.mean(axis=1)[:, None]), axis=(1, 2))
    needed = 2.2 * float(np.quantile(away_N / longer_N, 0.95))
    return float(min(max(math.ceil(20 * needed) / 20, 1.2), 3.0))


def _flow(values: dict[str, Any]) -> str:
    """One line of YAML."""
    return yaml.safe_dump(
        values, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf
    ).strip()


def _from_here(path: PurePath) -> str:
    """Relative to where commands start, if it lies below."""
    here = absolute(".")
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()


def config_text(own: OwnData, name: str, markup: str) -> str:
    """The experiment's YAML.

    Args:
        own: The data set.
        name: Of the experiment.
        markup: Packaged name, or path of the YAML.

    Raises:
        DataError: Too few annotations to hold some out.
    """
    seen, count = own.survey, own.survey.count
    if count < 2:
        raise DataError(
            f"{own.found.path or own.found.root}: a single annotation; some are held out, so at least two are needed"
        )
    share = 0.1 if count >= 50 else 0.2 if count >= 5 else 0.5
    train = count - round(share * count)
    streams = 2 ** int(math.log2(min(max(train // 4, 1), 16)))
    crop, why = crop_of(own)
    spec = own.found.spec(markup)
    spec |= {key: _from_here(Path(spec[key])) for key in ("path", "root") if key in spec}
    if any("${" in str(value) for value in spec.values()):
        raise DataError(
            f"{own.found.path or own.found.root}: a path with '${{', which a config would replace: rename it"
        )
    sides_N = float(crop["side_factor"]) * seen.extents()
    small = (
        ""
        if crop["points"] == "image" or np.quantile(sides_N, 0.05) >= _SMALL_PX
        else ("  min_face_px: 8  # some are smaller than the 32 px below which faces are left out\n")
    )
    flip = 0.0 if own.markup.flip_pairs is None else 0.5
    flip_why = "" if flip else "  # 0.5 once the markup says which landmarks swap (flip_pairs)"
    size = "ocular" if own.markup.ocular else "pupil" if own.markup.pupils else "box"
    unlabelled = "" if crop["points"] in {"landmarks", "box"} else _UNLABELLED
    test = _flow({**spec, **({"path": "TEST"} if "path" in spec else {"root": "TEST"})})
    return _CONFIG.format(
        name=name,
        title=own.found.title,
        # Names of files stand in comments, which end with their line.
        where=on_one_line(_from_here(own.found.path or own.found.root or Path())),
        annotations=counted(count, "annotation"),
        images=counted(seen.images, "image"),
        landmarks=counted(own.markup.num_landmarks, "landmark"),
        remarks="".join(
            f"# Of the annotations: {on_one_line(' '.join(remark.split()))}.\n"
            for remark in own.found.remarks
        ),
        crop=_flow({**crop, "size": 128}),
        why=why,
        small=small,
        reader=_flow(spec),
        share=share,
        test=test,
        unlabelled=unlabelled,
        streams=streams,
        # A tenth may be left out, and still there is one for each.
        per_shard=max(min(int(0.9 * train / streams), 256), 1),
        batch=2 ** int(math.log2(min(train, 16))),
        flip=flip,
        flip_why=flip_why,
        size=size,
    )


_UNLABELLED = """\
    # Images without labels teach, too (README, "Unlabelled faces"); then also set data.unlabelled and unlabelled.objectives.
    # - {name: unlabelled, role: unlabelled, reader: {reader: folder, root: IMAGES}}
"""

_CONFIG = """\
# {name}: {annotations} in {images}, {landmarks} ({title}).
# Written by `landmarks new data {where}`. Every key and what it means: `landmarks help`; every value can be overridden on the
# command line (training.steps=5000). Relative paths start at the folder that commands run in.
{remarks}name: {name}
seed: 0
prepare:
  out: outputs/data/{name}
  # {why}
  # points: detector (faces), landmarks, box or image; side_factor: the square's side over that of what it lies around.
  crop: {crop}
{small}  samples_per_shard: {per_shard}  # each of data.streams reads shards of its own
  sets:
    - name: train
      role: labelled
      split: train
      reader: {reader}
      # Held out to choose the best model. Images that resemble training images are left out of it; where all are alike (a fixed
      # camera, frames of a video) too few would be left: set drop_near_duplicates to false, and beware of the number it gives.
      validation: {{share: {share}, seed: 0, drop_near_duplicates: true}}
    # What `landmarks evaluate` measures, never trained on; then also set data.test.
    # - {{name: test, role: labelled, split: test, reader: {test}}}
{unlabelled}data:
  train: outputs/data/{name}/train
  validation: outputs/data/{name}/validation
  # test: outputs/data/{name}/test
  streams: {streams}  # the number of workers must divide it
# A small network, for a first look on a CPU. With a GPU: width 128, stacks 2, cluster.gpu: true; others: `landmarks help model`.
input_size: 128
model:
  name: hourglass
  stacks: 1
  width: 32
  levels: 3
  stride: 4
  coord_conv: first
loss: {{name: laplace_kl}}
augmentation:
  name: custom
  rotation: 30        # degrees
  scale: 0.2          # shares
  translation: 0.08   # of the side
  flip: {flip}{flip_why}
  brightness: 0.4
  contrast: 0.3
  saturation: 0.3
  blur: 0.2
  occlusion: 0.4
optimizer: {{lr: 0.01}}
schedule: {{name: cosine}}
training:
  epochs: null
  steps: 1500
  batch: {batch}
  ema_decay: 0.99
  cadence: steps
  validate_every: 100
  checkpoint_every: 250
  image_every: 500
  log_every: 20
evaluation:
  normalisation: {size}  # what errors are divided by; box: the side of the landmarks' own box
cluster:
  workers: 1
  gpu: false
  storage: outputs/runs
"""
