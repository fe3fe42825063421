"""Markups: which landmarks a data set annotates, and how they relate.

A markup is data, not code: one YAML in ``pipeline/markups`` (or anywhere, named by path). Indices are 0-based;
"left" and "right" are the viewer's, as in 300-W.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.errors import ConfigError
from pipeline.markup_difference import MarkupDifference, difference_from
from pipeline.markup_fields import check_fields, check_required, group, tuple_or_none, tuples

_PACKAGED = Path(__file__).parent / "markups"


@dataclass(frozen=True)
class Curve:
    """A chain of landmarks along one facial contour.

    Attributes:
        name: The contour, e.g. ``jaw``.
        indices: Landmarks in order along the contour.
        closed: Whether the last landmark is joined to the first.
    """

    name: str
    indices: tuple[int, ...]
    closed: bool = False

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """Consecutive landmark pairs, the closing one included for a closed curve."""
        pairs = list(zip(self.indices[:-1], self.indices[1:], strict=True))
        if self.closed:
            pairs.append((self.indices[-1], self.indices[0]))
        return tuple(pairs)


@dataclass(frozen=True)
class Markup:
    """The landmarks of a data set.

    Attributes:
        name: Stable name, written into manifests and checkpoints.
        num_landmarks: K.
        curves: Contours, for drawing and for losses that use tangents.
        flip_pairs: Landmark pairs that swap under a horizontal flip; the others map to themselves. None where nobody said:
            images of such landmarks are not mirrored.
        ocular: Left and right outer eye corners, the 300-W "inter-ocular" normalisation. None where undefined.
        pupils: For the left and the right eye, the landmarks whose mean stands for the pupil. None where undefined.
        five_points: For left pupil, right pupil, nose tip, left and right mouth corner, the landmarks whose mean is the
            point MTCNN would report. Used to place a crop where detection fails.
        names: The landmarks' own names, in order, by which annotation tools export them. None where they have none.
        mappings: (markup, groups) pairs: for each landmark of another markup the landmarks of this one whose mean stands
            for it, an empty group where none does. See ``pipeline.markup_mapping``.
        differences: (markup, difference) pairs: what was measured of some of these mappings.
    """

    name: str
    num_landmarks: int
    curves: tuple[Curve, ...]
    flip_pairs: tuple[tuple[int, int], ...] | None = None
    ocular: tuple[int, int] | None = None
    pupils: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    five_points: tuple[tuple[int, ...], ...] | None = None
    names: tuple[str, ...] | None = None
    mappings: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = ()
    differences: tuple[tuple[str, MarkupDifference], ...] = ()

    def __post_init__(self) -> None:
        if self.num_landmarks < 1:
            raise ConfigError(
                f"markup '{self.name}', field 'num_landmarks': {self.num_landmarks}, expected 1 or more"
            )
        groups: dict[str, list[int]] = {f"curves.{c.name}": list(c.indices) for c in self.curves}
        groups["flip_pairs"] = [i for pair in self.flip_pairs or () for i in pair]
        groups["ocular"] = list(self.ocular or ())
        groups["pupils"] = [i for side in self.pupils or () for i in side]
        groups["five_points"] = [i for point in self.five_points or () for i in point]
        for target, sources in self.mappings:
            groups[f"mappings.{target}"] = [i for group in sources for i in group]
        for field, indices in groups.items():
            odd = [i for i in indices if type(i) is not int]
            if odd:
                raise ConfigError(f"markup '{self.name}', field '{field}': {odd[0]!r} is no landmark number")
            outside = [i for i in indices if not 0 <= i < self.num_landmarks]
            if outside:
                raise ConfigError(
                    f"markup '{self.name}', field '{field}': landmarks {outside} are outside 0…{self.num_landmarks - 1}"
                )
        flipped = groups["flip_pairs"]
        if len(set(flipped)) != len(flipped):
            raise ConfigError(f"markup '{self.name}', field 'flip_pairs': a landmark appears in two pairs")
        for field, entries, expected in (
            ("ocular", self.ocular, 2),
            ("pupils", self.pupils, 2),
            ("five_points", self.five_points, 5),
        ):
            if entries is not None and len(entries) != expected:
                raise ConfigError(
                    f"markup '{self.name}', field '{field}': {len(entries)} entries, expected {expected}"
                )
        for field, means in (("pupils", self.pupils), ("five_points", self.five_points)):
            if not all(means or (True,)):
                raise ConfigError(f"markup '{self.name}', field '{field}': an entry names no landmark")

        self._check_names()
        self._check_differences()

    def _check_differences(self) -> None:
        sources = dict(self.mappings)
        for target, difference in self.differences:
            field = f"markup '{self.name}', field 'differences.{target}'"
            if target not in sources:
                raise ConfigError(f"{field}: there is no mapping to '{target}' that it could be of")
            if difference.offsets and self.ocular is None:
                raise ConfigError(f"{field}: offsets are in shares of 'ocular', which is not given")
            for landmark, _ in difference.offsets:
                if not (0 <= landmark < len(sources[target]) and sources[target][landmark]):
                    raise ConfigError(f"{field}: landmark {landmark} of '{target}' has no sources to be off")

    def _check_names(self) -> None:
        if self.names is None:
            return
        if len(self.names) != self.num_landmarks:
            raise ConfigError(
                f"markup '{self.name}', field 'names': {len(self.names)} names for {self.num_landmarks} landmarks"
            )
        for name in self.names:
            if not isinstance(name, str) or not name:
                raise ConfigError(
                    f"markup '{self.name}', field 'names': {name!r} is no name; write it in quotes"
                )
            if self.names.count(name) > 1:
                raise ConfigError(f"markup '{self.name}', field 'names': two landmarks are called '{name}'")

    @cached_property
    def flip_permutation(self) -> np.ndarray:
        """(K,) int64: landmark k of a mirrored image is landmark ``flip_permutation[k]`` of the original.

        Raises:
            ConfigError: The markup does not say.
        """
        if self.flip_pairs is None:
            raise ConfigError(
                f"markup '{self.name}' has no 'flip_pairs', the landmarks that swap in a mirrored image: add them to its YAML "
                "([] where none do) and prepare its sets again, or ask for nothing that mirrors images (augmentation.flip: 0)"
            )
        permutation = np.arange(self.num_landmarks, dtype=np.int64)
        for a, b in self.flip_pairs:
            permutation[a], permutation[b] = b, a
        return permutation

    @cached_property
    def neighbours(self) -> np.ndarray:
        """(K, 2) int64: the previous and the next landmark of each on its curve, −1 where there is none.

        A landmark off all curves has neither, the end of an open curve lacks one. Where curves share a landmark, the first one
        counts.
        """
        neighbours_K2 = np.full((self.num_landmarks, 2), -1, dtype=np.int64)
        seen: set[int] = set()
        for curve in self.curves:
            own = set(curve.indices) - seen
            for first, second in curve.segments:
                if first in own:
                    neighbours_K2[first, 1] = second
                if second in own:
                    neighbours_K2[second, 0] = first
            seen |= own
        return neighbours_K2

    @property
    def definition(self) -> dict[str, Any]:
        """All of it as JSON values, the fields of its YAML: ``markup_from`` reads it back."""
        fields_of: dict[str, Any] = {
            "name": self.name,
            "num_landmarks": self.num_landmarks,
            "curves": {c.name: {"indices": list(c.indices), "closed": c.closed} for c in self.curves},
            "flip_pairs": None if self.flip_pairs is None else [list(pair) for pair in self.flip_pairs],
            "ocular": self.ocular and list(self.ocular),
            "pupils": self.pupils and [list(side) for side in self.pupils],
            "five_points": self.five_points and [list(point) for point in self.five_points],
            "names": self.names and list(self.names),
            "mappings": {target: [list(group) for group in groups] for target, groups in self.mappings},
            # Left out where there are none, so that definitions kept beside data stay what they were.
            "differences": {target: of.definition for target, of in self.differences} or None,
        }
        return {field: value for field, value in fields_of.items() if value is not None}

    def five_from(self, points_K2: np.ndarray) -> np.ndarray:
        """The five points MTCNN reports (pupils, nose tip, mouth corners), as means of landmarks.

        Args:
            points_K2: (K, 2) landmarks, (x, y) px.

        Returns:
            (5, 2), (x, y) px.

        Raises:
            ConfigError: The markup does not say where they are.
        """
        if self.five_points is None:
            raise ConfigError(
                f"markup '{self.name}' has no 'five_points': add them to its YAML, or detect the faces"
            )
        return np.stack([points_K2[list(indices)].mean(axis=0) for indices in self.five_points])


def markup_from(raw: Any, path: Path | str) -> Markup:
    """A markup from the content of its YAML.

    Args:
        raw: What the YAML says.
        path: Where it is from, for messages.

    Raises:
        ConfigError: Malformed.
    """
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path}: not a markup: a mapping of fields is expected, this is a {type(raw).__name__}"
        )
    check_fields(raw, {"description", *(field.name for field in fields(Markup))}, str(path))
    try:
        for field in ("curves", "mappings", "differences"):
            if not isinstance(raw.get(field) or {}, dict):
                raise ConfigError(f"field '{field}': a mapping from names is expected")
        for name, curve in (raw.get("curves") or {}).items():
            check_fields(curve, {"indices", "closed"}, f"curve '{name}'")
        check_required(raw)
        return Markup(
            name=raw["name"],
            num_landmarks=int(raw["num_landmarks"]),
            curves=tuple(
                Curve(name, tuple(curve["indices"]), bool(curve.get("closed", False)))
                for name, curve in (raw.get("curves") or {}).items()
            ),
            flip_pairs=None if raw.get("flip_pairs") is None else tuple((a, b) for a, b in raw["flip_pairs"]),
            ocular=tuple_or_none(raw.get("ocular")),
            pupils=tuples(raw.get("pupils")),
            five_points=tuples(raw.get("five_points")),
            names=tuple_or_none(raw.get("names")),
            mappings=tuple(
                (str(target), tuple(map(group, entries)))
                for target, entries in (raw.get("mappings") or {}).items()
            ),
            differences=tuple(
                (str(target), difference_from(of)) for target, of in (raw.get("differences") or {}).items()
            ),
        )
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: not a markup: {type(error).__name__}: {error}") from error


def packaged_names() -> list[str]:
    """The markups that come with the project, sorted."""
    return sorted(path.stem for path in _PACKAGED.glob("*.yaml"))


def load_markup(name_or_path: str) -> Markup:
    """Read a markup by packaged name (``ibug68``) or by path to a YAML.

    Raises:
        ConfigError: No such markup, or a malformed one; the message lists the packaged names.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = _PACKAGED / f"{name_or_path}.yaml"
    if not path.is_file():
        raise ConfigError(
            f"no markup '{name_or_path}': packaged ones are {', '.join(packaged_names())}; or give the path of a YAML"
        )
    # A file that was edited, or the same relative path in another folder, is another markup.
    return _load(path, path.resolve(), path.stat().st_mtime_ns)


@lru_cache
def _load(path: Path, _place: Path, _mtime_ns: int) -> Markup:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        raise ConfigError(f"{path}: not a markup: {error}") from error
    return markup_from(raw, path)


def own_definition(markup: Markup | None) -> dict[str, Any] | None:
    """What must be kept beside data for its markup to be known elsewhere; None where the packaged name says it all."""
    if markup is None or (markup.name in packaged_names() and load_markup(markup.name) == markup):
        return None
    return markup.definition
