import numpy as np
import pytest

from pipeline.synthetic.parameters import Finish
from pipeline.synthetic.scene import background, finish


def smooth_image(size=64):
    y, x = np.mgrid[:size, :size] / size
    return (255 * np.stack([x, y, 0.5 + 0 * x], -1)).astype(np.uint8)


def test_backgrounds_are_images_that_follow_the_generator():
    drawn = [background(np.random.default_rng(i), 40) for i in range(40)]
    assert all(p.shape == (40, 40, 3) and p.dtype == np.uint8 for p in drawn)
    np.testing.assert_array_equal(drawn[7], background(np.random.default_rng(7), 40))
    assert np.std([p.mean() for p in drawn]) > 15
    assert len({p.tobytes() for p in drawn}) == 40


def test_finish_without_faults_only_resizes():
    image = smooth_image()
    np.testing.assert_array_equal(finish(image, Finish(), 64, np.random.default_rng(0)), image)
    assert finish(image, Finish(), 48, np.random.default_rng(0)).shape == (48, 48, 3)


def test_noise_has_the_asked_strength():
    grey = np.full((128, 128, 3), 128, np.uint8)
    noisy = finish(grey, Finish(noise=0.05), 128, np.random.default_rng(0)).astype(float)
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.05)


def test_blur_and_motion_spread_an_edge_by_their_length():
    edge = np.zeros((128, 128, 3), np.uint8)
    edge[:, 64:] = 255

    def width(settings):
        profile = finish(edge, settings, 128, np.random.default_rng(0))[64, :, 0].astype(float) / 255
        return np.sqrt(np.sum(np.diff(profile) * (np.arange(127) - 63) ** 2))

    assert width(Finish(blur=0.02)) == pytest.approx(0.02 * 128, rel=0.15)
    assert width(Finish(motion=0.05)) > 1.5
    assert width(Finish(motion=0.05, motion_angle=90)) < 0.3


def test_grey_images_have_no_colour():
    grey = finish(smooth_image(), Finish(grey=True, noise=0.03), 64, np.random.default_rng(0))
    assert np.ptp(grey.astype(int), axis=-1).max() <= 1


def test_gamma_keeps_black_and_white():
    ends = (
        np.repeat(np.array([0, 64, 255], np.uint8), 64 * 64 // 2)[: 64 * 64]
        .reshape(64, 64, 1)
        .repeat(3, axis=2)
    )
    darker = finish(ends, Finish(gamma=1.2), 64, np.random.default_rng(0))
    assert set(np.unique(darker)) <= {0, round(255 * (64 / 255) ** 1.2), 255}
