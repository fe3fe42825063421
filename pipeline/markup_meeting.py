"""Where models and a data set of different markups meet: the landmarks that all of them have, in one markup.

A model of 68 landmarks is measured on faces with 98 in the 68; on faces with 29 in those of the 29 that 68 can tell. Models that
are compared meet the set in one place, or their numbers would not compare: one of 98, one of 68 and one of 19 landmarks are
measured on what all three have (Yan et al., Pattern Recognition 2021, table 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup, packaged_names
from pipeline.markup_mapping import MarkupMapping, find_mapping


@dataclass(frozen=True, eq=False)
class Meeting:
    """A markup that predictions and truth are mapped to.

    Attributes:
        markup: T landmarks.
        common_T: (T,) bool, landmarks that the set and every model have.
        labelled: From the set's markup.
        predicted: From each model's, in the models' order.
    """

    markup: Markup
    common_T: np.ndarray
    labelled: MarkupMapping
    predicted: tuple[MarkupMapping, ...]

    @property
    def plain(self) -> bool:
        """Whether there is nothing to map: all have this markup."""
        return all(len(mapping.links) == 1 for mapping in (self.labelled, *self.predicted))


def meet(models: Sequence[Markup], data: Markup, target: Markup | None = None) -> Meeting:
    """The markup in which most landmarks are common; of several, the set's own, then the models', then packaged ones.

    Args:
        models: What the models predict.
        data: What the set is labelled with.
        target: The markup to measure in, where it is to be another.

    Raises:
        ConfigError: There is none that all map to, or not a single landmark in common.
    """
    candidates = [target] if target is not None else _candidates([data, *models])
    found: list[Meeting] = []
    problem: ConfigError | None = None
    for candidate in candidates:
        try:
            labelled = find_mapping(data, candidate)
            predicted = tuple(find_mapping(model, candidate) for model in models)
        except ConfigError as error:
            problem = problem or error
            continue
        common_T = np.logical_and.reduce([mapping.common_T for mapping in (labelled, *predicted)])
        found.append(Meeting(candidate, common_T, labelled, predicted))
    best = max(found, key=lambda meeting: int(meeting.common_T.sum()), default=None)
    if best is None or not best.common_T.any():
        names = ", ".join(f"'{name}'" for name in dict.fromkeys(markup.name for markup in (data, *models)))
        where = f"'{target.name}'" if target is not None else "any markup"
        raise ConfigError(
            f"{names} cannot be measured in {where}, with no landmark in common"
            + (f": {problem}" if problem else "")
        )
    return best


def _candidates(own: Sequence[Markup]) -> list[Markup]:
    named = {markup.name: markup for markup in reversed(own)}
    ordered = [named[name] for name in dict.fromkeys(markup.name for markup in own)]
    return ordered + [load_markup(name) for name in packaged_names() if name not in named]
