"""A skeleton's edges as chains of landmarks, which is how a markup has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pipeline.markup import Curve


def chains(edges: Iterable[tuple[int, int]]) -> tuple[Curve, ...]:
    """Every edge in one chain, each as long as it gets; those that end where they began are closed.

    Args:
        edges: Pairs of landmarks; an edge that is given twice, or joins a landmark to itself, counts once, or not.
    """
    joined: dict[int, list[int]] = defaultdict(list)
    for a, b in dict.fromkeys((min(pair), max(pair)) for pair in edges if pair[0] != pair[1]):
        joined[a].append(b)
        joined[b].append(a)
    found: list[Curve] = []
    while any(joined.values()):
        # A chain begins where edges are odd in number: what is left then are closed ones.
        odd = [landmark for landmark, others in joined.items() if len(others) % 2]
        place = min(odd or [landmark for landmark, others in joined.items() if others])
        walked = [place]
        while joined[place]:
            following = min(joined[place])
            joined[place].remove(following)
            joined[following].remove(place)
            walked.append(place := following)
        closed = walked[0] == walked[-1]
        found.append(Curve(f"line{len(found)}", tuple(walked[:-1] if closed else walked), closed))
    return tuple(found)
