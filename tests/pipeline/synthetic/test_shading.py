import numpy as np

from pipeline.synthetic.parameters import Light
from pipeline.synthetic.shading import shade

NORMALS = np.array([[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], dtype=np.float32).T


def lit(light, gloss=0.0, openness=1.0, key=1.0):
    count = NORMALS.shape[1]
    albedo = np.full((3, count), 0.6, np.float32)
    full = np.ones(count, np.float32)
    return shade(albedo, gloss * full, NORMALS, openness * full, key * full, light)


def test_surfaces_facing_the_light_are_brighter():
    front, right, left, *_ = lit(Light(direction=(1.0, 0.0, 0.2)))[0]
    assert right > front > left


def test_ambient_light_comes_from_above():
    *_, up, down = lit(Light(key=(0, 0, 0)))[1]
    assert up > down > 0


def test_shadows_start_later_in_red():
    grey = Light(direction=(1.0, 0.0, 0.0), key=(1, 1, 1), sky=(0, 0, 0), ground=(0, 0, 0))
    red, green, blue = lit(grey)[:, 0]  # light grazes the surface
    assert red > green > blue


def test_gloss_adds_and_cavities_remove_light():
    light = Light(direction=(0.0, 0.2, 1.0))
    plain = lit(light)
    assert (lit(light, gloss=1.0) >= plain).all()
    assert lit(light, gloss=1.0)[0, 0] > plain[0, 0]
    assert (lit(light, openness=0.4) < plain).all()


def test_values_can_be_displayed():
    bright = lit(Light(key=(9, 9, 9), sky=(5, 5, 5)), gloss=1.0)
    assert np.isfinite(bright).all()
    assert bright.min() >= 0
    assert bright.max() <= 1
