"""A data set of the user's own: the export, the markup that fits it, and what its annotations are like."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.datasets.open import open_reader
from pipeline.datasets.sniff.chains import chains
from pipeline.datasets.sniff.found import Found
from pipeline.datasets.sniff.sides import pairs_by_name
from pipeline.datasets.sniff.survey import Survey, looks_like, survey
from pipeline.errors import ConfigError
from pipeline.faces.mirror import wrong_partner
from pipeline.markup import Markup, load_markup, packaged_names
from pipeline.words import on_one_line


@dataclass(frozen=True)
class OwnData:
    """All that a config is written from.

    Attributes:
        found: The export.
        markup: A packaged one, or the export's own.
        packaged: Which.
        survey: Of the annotations, by the reader that will read them.
        doubt: Why the pairs that the names give are not believed; None where they are, or give none.
    """

    found: Found
    markup: Markup
    packaged: bool
    survey: Survey
    doubt: str | None = None


def own_data(found: Found, name: str) -> OwnData:
    """Read all annotations as a preparation will, and choose their markup.

    Args:
        found: The export, with its folder of images.
        name: Of the markup, if it is to be the export's own.

    Raises:
        DataError: What the reader finds wrong with the whole, or none of the annotations can be used.
        ConfigError: Landmarks that make no markup: two of one name.
    """
    if found.markup is not None:
        markup = load_markup(found.markup)
        return OwnData(found, markup, True, _read(found, found.markup))
    for known in map(load_markup, packaged_names()):
        if found.names is not None and known.names == found.names:
            return OwnData(found, known, True, _read(found, known.name))
    markup = Markup(
        name,
        found.num_landmarks,
        chains(found.edges),
        None if found.names is None else pairs_by_name(found.names),
        names=found.names,
    )
    with tempfile.TemporaryDirectory(prefix="landmarks-") as folder:
        path = Path(folder, "markup.yaml")
        path.write_text(json.dumps(markup.definition), encoding="utf-8")  # JSON is YAML, too
        seen = _read(found, str(path))
    if found.names is None:
        for known in map(load_markup, packaged_names()):
            if looks_like(known, seen.shapes_NK2):
                remark = f"the {known.num_landmarks} landmarks lie as those of '{known.name}' and are taken for them"
                return OwnData(found.remarking(remark), known, True, seen)
    if markup.flip_pairs is None:
        return OwnData(found, markup, False, seen)
    wrong = wrong_partner(seen.shapes_NK2, markup.flip_permutation)
    return OwnData(found, replace(markup, flip_pairs=None) if wrong else markup, False, seen, wrong)


def _read(found: Found, markup: str) -> Survey:
    try:
        records = open_reader(found.spec(markup)).records()
    except ConfigError as error:
        raise ConfigError(f"{found.path or found.root}: {error}") from error
    return survey(records, str(found.path or found.root))


def markup_text(own: OwnData) -> str:
    """The YAML of a markup of the export's own, with what is optional in comments."""
    markup, found = own.markup, own.found
    where = on_one_line((found.path or found.root or Path()).name)
    text = [
        f"# The {markup.num_landmarks} landmarks of {where} ({found.title}). Numbers count from 0.",
        f"name: {markup.name}",
        f"num_landmarks: {markup.num_landmarks}",
    ]
    if markup.names is not None:
        text += [
            "# As the export names them: the reader finds landmarks by these.",
            "names:",
            *(f"  - {_quoted(name)}  # {place}" for place, name in enumerate(markup.names)),
        ]
    if markup.curves:
        text += [
            "# The export's skeleton: lines along which landmarks follow each other. Name them as you like.",
            "curves:",
        ]
        text += [
            f"  {curve.name}: {{indices: {list(curve.indices)}{', closed: true' * curve.closed}}}"
            for curve in markup.curves
        ]
    else:
        text += [
            "# Optional: contours, drawn in reports, and needed by losses that run along them.",
            "# curves:",
            f"#   outline: {{indices: {list(range(min(3, markup.num_landmarks)))}, closed: true}}",
        ]
    text += _flip_lines(own)
    text += [
        "# Optional, of faces alone; left is the viewer's. five_points: the landmarks whose mean is the left pupil, the right,",
        "# the nose tip, the left and the right mouth corner: with them a face detector may place the crops. ocular: the outer",
        "# eye corners, pupils: the landmarks around each; errors are given in shares of their distance.",
        "# five_points: [[0], [1], [2], [3], [4]]",
        "# ocular: [0, 1]",
        "# pupils: [[0], [1]]",
    ]
    return "\n".join(text) + "\n"


def _flip_lines(own: OwnData) -> list[str]:
    markup = own.markup
    if markup.flip_pairs is not None:
        return [
            "# Landmarks that swap in a mirrored image, by the sides in their names; the others keep their place.",
            "flip_pairs:",
            *(f"  - {list(pair)}{_named(markup.names, pair)}" for pair in markup.flip_pairs),
        ]
    why = "nothing says which"
    proposed: Sequence[tuple[int, int]] = [(0, 1)]
    if own.found.names is not None and (by_name := pairs_by_name(own.found.names)) is not None:
        why, proposed = f"the names pair them so, but {own.doubt}", by_name
    return [
        f"# Optional: landmarks that swap in a mirrored image ([] where none do); {why}. Without them no image is mirrored.",
        "# flip_pairs:",
        *(f"#   - {list(pair)}{_named(markup.names, pair)}" for pair in proposed),
    ]


def _named(names: Sequence[str] | None, pair: tuple[int, int]) -> str:
    return "" if names is None else f"  # {_quoted(names[pair[0]])}, {_quoted(names[pair[1]])}"


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
