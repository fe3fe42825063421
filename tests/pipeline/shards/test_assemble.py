"""Shards are dealt from chunks as if all samples stood in one row, whoever writes them."""

from __future__ import annotations

from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shards.assemble import shard_parts


def plan(samples_per_shard: int) -> Any:
    return SimpleNamespace(name="u", folder="sets/u", samples_per_shard=samples_per_shard)


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 20))
def test_every_sample_is_in_one_shard_and_in_its_place(chunk_samples, size):
    chunks = [[(chunk, place) for place in range(n)] for chunk, n in enumerate(chunk_samples)]
    row = [sample for chunk in chunks for sample in chunk]
    parts = shard_parts(plan(size), "0123456789", chunk_samples)
    written = []
    for part in parts:
        read = (sample for chunk in part.chunks for sample in chunks[chunk])
        written.append(list(islice(read, part.skip, part.skip + part.samples)))
    assert written == [row[start : start + size] for start in range(0, len(row), size)]
    # Nobody reads a chunk for nothing; of an empty one there is nothing to read.
    assert all(not part.skip or part.skip < chunk_samples[part.chunks[0]] for part in parts)
    assert all(chunk_samples[part.chunks[-1]] for part in parts)


@pytest.mark.parametrize("number", [0, 11])
def test_names_are_numbered_and_carry_the_sets_hash(number):
    part = shard_parts(plan(1), "89abcdef01", [12])[number]
    assert part.url == f"sets/u/u-89abcdef-{number:06d}.tar"
