"""Mappings of one markup's landmarks to another's, for protocols across data sets: train on 300-W, measure on WFLW.

A mapping is linear: a target landmark is the mean of source landmarks, where one was measured with an offset that turns and grows
with the face, or has no counterpart. Each markup's YAML says what it maps to (``mappings``, ``differences``); what is not said
directly is found through the packaged markups between (98 → 68 → 19). A markup of one's
own that maps to ``ibug68`` thereby maps to all that ``ibug68`` maps to.

Weights are complex, as points are when x + iy stands for (x, y): to multiply by a + ib is to turn and scale, so that an offset of
o times the vector between the eye corners L and R is the weight o on R and −o on L.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup, packaged_names
from pipeline.markup_difference import MarkupDifference


@dataclass(frozen=True, eq=False)
class MarkupMapping:
    """How the landmarks of one markup stand for those of another.

    Attributes:
        source: S landmarks.
        target: T landmarks.
        weights_TS: (T, S) complex128; a row sums to 1, or to 0 where the target landmark has no counterpart.
        links: The markups of the chain, source and target among them.
        differences: What was measured of the chain's links; None where nobody has.
    """

    source: Markup
    target: Markup
    weights_TS: np.ndarray
    links: tuple[str, ...]
    differences: tuple[MarkupDifference | None, ...] = ()

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
        x_S, y_S = np.moveaxis(np.where(known_S[..., None], points_S2, 0.0), -1, 0)
        mapped_T = (x_S + 1j * y_S) @ self.weights_TS.T
        mapped_T2 = np.stack([mapped_T.real, mapped_T.imag], axis=-1)
        return np.where(self._whole(known_S)[..., None], mapped_T2, np.nan)

    def covariances(self, covariance_S22: np.ndarray) -> np.ndarray:
        """Map covariances: WΣWᵀ, the landmarks' errors taken as independent, since a model states no covariance between them.

        Neighbours err alike, so that a mean's covariance comes out too small rather than too large.

        Args:
            covariance_S22: (…, S, 2, 2) px².

        Returns:
            (…, T, 2, 2) px²; 0 where there is no counterpart.
        """
        mapped_T22 = np.zeros((*covariance_S22.shape[:-3], len(self.weights_TS), 2, 2))
        for t, s in np.argwhere(self.weights_TS):
            a, b = self.weights_TS[t, s].real, self.weights_TS[t, s].imag
            turn_22 = np.array([[a, -b], [b, a]])
            mapped_T22[..., t, :, :] += turn_22 @ covariance_S22[..., s, :, :] @ turn_22.T
        return mapped_T22

    def means(self, values_S: np.ndarray) -> np.ndarray:
        """(…, T) mean of a value, e.g. a heatmap's scatter, over the landmarks that a target depends on, by weight; else 0."""
        share_TS = np.abs(self.weights_TS)
        total_T1 = share_TS.sum(axis=1, keepdims=True)
        return np.asarray(values_S @ (share_TS / np.where(total_T1 > 0, total_T1, 1.0)).T)

    def visible(self, visible_S: np.ndarray) -> np.ndarray:
        """Map visibility, (…, S) bool → (…, T) bool: all that count must be visible."""
        return self._whole(np.asarray(visible_S, dtype=bool))

    def then(self, following: MarkupMapping) -> MarkupMapping:
        """This mapping followed by another. A mean over a landmark without counterpart has none either."""
        weights_TS = following.weights_TS @ self.weights_TS
        weights_TS[~following._whole(self.common_T)] = 0.0
        return MarkupMapping(
            self.source,
            following.target,
            weights_TS,
            (*self.links, *following.links[1:]),
            (*self.differences, *following.differences),
        )

    def _whole(self, given_S: np.ndarray) -> np.ndarray:
        missing_T = (~given_S).astype(np.float64) @ (self.weights_TS.T != 0)
        return np.asarray((missing_T == 0) & self.common_T)


def _declared(source: Markup, target: Markup, groups: tuple[tuple[int, ...], ...]) -> MarkupMapping:
    if len(groups) != target.num_landmarks:
        raise ConfigError(
            f"markup '{source.name}', field 'mappings.{target.name}': {len(groups)} entries, '{target.name}' has "
            f"{target.num_landmarks} landmarks; give one entry each, null where there is no counterpart"
        )
    weights_TS = np.zeros((target.num_landmarks, source.num_landmarks), dtype=np.complex128)
    for row_S, group in zip(weights_TS, groups, strict=True):
        for index in group:
            row_S[index] += 1 / len(group)
    difference = dict(source.differences).get(target.name)
    if difference is not None and source.ocular is not None:
        for landmark, (along, down) in difference.offsets:
            weights_TS[landmark, source.ocular] += complex(along, down) * np.array([-1, 1])
    return MarkupMapping(source, target, weights_TS, (source.name, target.name), (difference,))


def _identity(markup: Markup) -> MarkupMapping:
    weights_KK = np.eye(markup.num_landmarks, dtype=np.complex128)
    return MarkupMapping(markup, markup, weights_KK, (markup.name,))


def find_mapping(source: Markup, target: Markup) -> MarkupMapping:
    """The mapping between two markups: the identity, the one declared, or the shortest chain.

    Raises:
        ConfigError: There is none, or a declared one does not fit its target.
    """
    waiting = deque([_identity(source)])
    seen = {source.name}
    while waiting:
        found = waiting.popleft()
        if found.target.name == target.name:
            if found.target.num_landmarks != target.num_landmarks:
                raise ConfigError(
                    f"two markups are called '{target.name}', of {found.target.num_landmarks} and of "
                    f"{target.num_landmarks} landmarks; rename one"
                )
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
