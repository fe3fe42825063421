"""Where a value stands on the axis of its key, and how values, keys and durations are written. Knows no matplotlib."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.studies.search.compare import same
from pipeline.training.config.tune import ParameterConfig, Value

_ROUND = (1.0, 2.0, 5.0)


def show(value: Value, digits: int = 4) -> str:
    """A value as one would type it; of a float so many significant digits."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value)


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Each dotted key's shortest telling ending that no other key shares: ``optimizer.lr`` → ``lr``."""
    parts = {key: key.split(".") for key in keys}
    short = {}
    for key, own in parts.items():
        for count in range(1, len(own) + 1):
            tail = own[-count:]
            if tail != ["name"] and all(
                other[-count:] != tail for name, other in parts.items() if name != key
            ):
                break
        short[key] = ".".join(tail)
    return short


def wrapped(key: str, width: int = 13) -> str:
    """A dotted key over several lines, broken after dots."""
    lines = [""]
    for part in key.replace(".", ".\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


@dataclass(frozen=True)
class Scale:
    """An axis from 0 to 1.

    Attributes:
        low: Value at 0; for categories 0.
        high: Value at 1; for categories their number − 1.
        log: Even in orders of magnitude.
        categories: The choices, in order; None for numbers.
        whole: Integers only.
    """

    low: float
    high: float
    log: bool = False
    categories: tuple[Value, ...] | None = None
    whole: bool = False

    @property
    def few(self) -> bool:
        """Whether so few values are possible that lines lie on one another."""
        return self.categories is not None or (self.whole and self.high - self.low <= 8)

    def number(self, value: Value) -> float:
        """What is drawn for a value on an axis of ``low`` to ``high``: itself, or a category's place.

        Raises:
            ValueError: Not a category of this scale.
        """
        if self.categories is None:
            assert isinstance(value, int | float)  # scale_of saw every value
            return float(value)
        for index, category in enumerate(self.categories):
            if same(category, value):
                return float(index)
        raise ValueError(f"{value!r} is none of {self.categories}")

    def position(self, value: Value) -> float:
        """Where a value stands, 0 to 1."""
        return self._place(self.number(value))

    def _place(self, number: float) -> float:
        if self.low == self.high:
            return 0.5
        if self.log:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """(position, label), ascending: every category, both ends, and round numbers that keep their distance."""
        if self.categories is not None:
            return [(self.position(c), show(c)) for c in self.categories]
        ends = [self.low, self.high] if self.low != self.high else [self.low]
        chosen = list(ends)
        for number in self._round(most):
            place = self._place(number)
            if all(abs(place - self._place(c)) >= 0.8 / most for c in chosen):
                chosen.append(number)
        return [(self._place(n), self._text(n)) for n in sorted(chosen)]

    def _text(self, number: float) -> str:
        return f"{number:.0f}" if self.whole else f"{number:.3g}"

    def _round(self, most: int) -> list[float]:
        """Round numbers strictly inside, the roundest first."""
        if self.low == self.high:
            return []
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            tens = [10.0**e for e in range(first, last + 1)]
            candidates = [m * ten for m in _ROUND for ten in tens]
        else:
            step = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
            step *= next(m for m in (*_ROUND, 10.0) if (self.high - self.low) / (m * step) <= most)
            if self.whole:
                step = max(1.0, round(step))
            start = math.ceil(self.low / step)
            candidates = [step * i for i in range(start, math.floor(self.high / step) + 1)]
        return [c for c in candidates if self.low < c < self.high]


def scale_of(parameter: ParameterConfig, values: Sequence[Value]) -> Scale:
    """The axis of a key, wide enough for values that lie outside its present space, too.

    A key whose numbers and other values mix becomes an axis of categories.
    """
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if parameter.type == "choice" or len(numbers) < len(values):
        categories = list(parameter.values)
        for value in values:
            if not any(same(value, category) for category in categories):
                categories.append(value)
        return Scale(0.0, float(len(categories) - 1), categories=tuple(categories))
    assert parameter.low is not None  # checked by the config
    assert parameter.high is not None
    low, high = min([parameter.low, *numbers]), max([parameter.high, *numbers])
    return Scale(low, high, parameter.log and low > 0, whole=parameter.type == "int")
