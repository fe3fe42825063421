import numpy as np
import pytest

from pipeline.synthetic import texture


@pytest.mark.parametrize("table", [texture.clouds(), texture.strands(), texture.grain()])
def test_noise_is_normalised_and_tiles(table):
    assert table.mean() == pytest.approx(0, abs=1e-4)
    assert table.std() == pytest.approx(1, abs=1e-3)
    inside = np.abs(np.diff(table, axis=0)).mean()
    seam = np.abs(table[0] - table[-1]).mean()
    assert seam < 1.5 * inside


def test_strands_run_along_the_second_axis():
    table = texture.strands()
    assert np.abs(np.diff(table, axis=1)).mean() < 0.5 * np.abs(np.diff(table, axis=0)).mean()


def test_look_up_wraps_around():
    table = texture.grain()
    u, v = np.array([3.7, 259.2, -253.0]), np.array([10.0, 266.9, -246.0])
    np.testing.assert_array_equal(texture.look_up(table, u, v), table[3, 10])
