"""Mappings of one markup's landmarks to another's, for protocols across data sets: train on 300-W, measure on WFLW.

A mapping is linear: a target landmark is the mean of source landmarks, or has no counterpart. Each markup's YAML says what it
maps to (``mappings``); what is not said directly is found through the packaged markups between (98 → 68 → 19). A markup of one's
own that maps to ``ibug68`` thereby maps to all that ``ibug68`` maps to.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup, packaged_names


@dataclass(frozen=True, eq=False)
class MarkupMapping:
    """How the landmarks of one markup stand for those of another.

    Attributes:
        source: S landmarks.
        target: T landmarks.
        weights_TS: (T, S) float64; a row sums to 1, or to 0 where the target landmark has no counterpart.
    """

    source: Markup
    target: Markup
    weights_TS: np.ndarray

    @property
    def common_T(self) -> np.ndarray:  # noqa: N802 -- a shape suffix
        """(T,) bool: target landmarks that have a counterpart; a protocol measures these."""
        return np.asarray(self.weights_TS.any(axis=1))

    def points(self, points_S2: np.ndarray) -> np.ndarray:
        """Map positions.

        Args:
            points_S2: (…, S, 2), (x, y) px; NaN where unknown.

        Returns:
            (…, T, 2), (x, y) px; NaN where there is no counterpart, or one that counts is unknown.
        """
        known_S = np.isfinite(points_S2).all(axis=-1)
        # 0 · NaN is NaN: unknown landmarks must not reach those that do not depend on them.
        mapped_T2 = self.weights_TS @ np.where(known_S[..., None], points_S2, 0.0)
        return np.where(self._whole(known_S)[..., None], mapped_T2, np.nan)

    def visible(self, visible_S: np.ndarray) -> np.ndarray:
        """Map visibility, (…, S) bool → (…, T) bool: all that count must be visible."""
        return self._whole(np.asarray(visible_S, dtype=bool))

    def then(self, following: MarkupMapping) -> MarkupMapping:
        """This mapping followed by another. A mean over a landmark without counterpart has none either."""
        weights_TS = following.weights_TS @ self.weights_TS
        weights_TS[~following._whole(self.common_T)] = 0.0
        return MarkupMapping(self.source, following.target, weights_TS)

    def _whole(self, given_S: np.ndarray) -> np.ndarray:
        missing_T = (~given_S).astype(np.float64) @ (self.weights_TS.T > 0)
        return np.asarray((missing_T == 0) & self.common_T)


def _declared(source: Markup, target: Markup, groups: tuple[tuple[int, ...], ...]) -> MarkupMapping:
    if len(groups) != target.num_landmarks:
        raise ConfigError(
            f"markup '{source.name}', field 'mappings.{target.name}': {len(groups)} entries, '{target.name}' has "
            f"{target.num_landmarks} landmarks; give one entry each, null where there is no counterpart"
        )
    weights_TS = np.zeros((target.num_landmarks, source.num_landmarks))
    for row_S, group in zip(weights_TS, groups, strict=True):
        for index in group:
            row_S[index] += 1 / len(group)
    return MarkupMapping(source, target, weights_TS)


def find_mapping(source: Markup, target: Markup) -> MarkupMapping:
    """The mapping between two markups: the identity, the one declared, or the shortest chain.

    Raises:
        ConfigError: There is none, or a declared one does not fit its target.
    """
    waiting = deque([MarkupMapping(source, source, np.eye(source.num_landmarks))])
    seen = {source.name}
    while waiting:
        found = waiting.popleft()
        if found.target.name == target.name:
            return found
        declared = dict(found.target.mappings)
        if target.name in declared:
            return found.then(_declared(found.target, target, declared[target.name]))
        for name in [n for n in declared if n not in seen and n in packaged_names()]:
            waiting.append(found.then(_declared(found.target, load_markup(name), declared[name])))
        seen.update(declared)
    raise ConfigError(
        f"markup '{source.name}' maps to {', '.join(sorted(seen - {source.name})) or 'no other'}, not to "
        f"'{target.name}'; add 'mappings: {{{target.name}: […]}}' to its YAML"
    )
