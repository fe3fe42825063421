"""A Ray that is started is shut down; one that is found is left alone."""

from __future__ import annotations

import pytest

from jobs.cluster import ray_session


@pytest.mark.cluster
def test_starts_shuts_down_and_joins():
    import ray

    assert not ray.is_initialized()
    with ray_session(1):
        assert ray.cluster_resources()["CPU"] == 1
        with ray_session(7):  # joins what is there
            assert ray.cluster_resources()["CPU"] == 1
        assert ray.is_initialized()
        with pytest.raises(ZeroDivisionError), ray_session():
            raise ZeroDivisionError
        assert ray.is_initialized()
    assert not ray.is_initialized()
