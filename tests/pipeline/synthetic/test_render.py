import dataclasses

import numpy as np
import pytest

from pipeline.markup import load_markup
from pipeline.synthetic.landmarks import Brow, Eye, landmark_weights, surface_coordinates
from pipeline.synthetic.modes import deform
from pipeline.synthetic.parameters import (
    Camera,
    FaceParameters,
    Finish,
    Hair,
    Occluder,
    Pose,
    Skin,
    Wear,
)
from pipeline.synthetic.render import FACE_MIDDLE, render_face, render_parameters
from pipeline.synthetic.sampling import sample_parameters

SIZE = 128
PLAIN = FaceParameters(hair=Hair(style="bald"))


def draw(parameters=PLAIN, size=SIZE):
    return render_parameters(parameters, size, np.random.default_rng(0))


def colour(face, k, reach=0):
    x, y = np.rint(face.points_K2[k]).astype(int)
    patch = face.image_HW3[y - reach : y + reach + 1, x - reach : x + reach + 1]
    return patch.reshape(-1, 3).mean(axis=0)


def by_hand(parameters, size):
    """Landmarks from textbook Euler angles and a homogeneous camera matrix, sharing no code with the renderer's projection."""
    eyes = parameters.left_eye, parameters.right_eye
    indices, weights = landmark_weights(
        surface_coordinates(*eyes, parameters.left_brow, parameters.right_brow)
    )
    points = np.stack(
        [w @ deform(parameters.shape)[i].astype(float) for i, w in zip(indices, weights, strict=True)]
    )
    yaw, pitch, roll = np.radians([parameters.pose.yaw, parameters.pose.pitch, parameters.pose.roll])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    camera = (points - FACE_MIDDLE) @ (about_z @ about_x @ about_y).T
    focal, d = parameters.camera.distance * size / parameters.camera.span, parameters.camera.distance
    cx, cy = (size - 1) / 2 + np.array(parameters.camera.shift) * size
    matrix = np.array([[focal, 0, -cx, cx * d], [0, -focal, -cy, cy * d], [0, 0, -1, d]])
    image = np.concatenate([camera, np.ones((68, 1))], axis=1) @ matrix.T
    return image[:, :2] / image[:, 2:]


@pytest.mark.parametrize("index", [0, 3, 7, 12])
def test_landmarks_equal_an_independent_projection(index):
    face = render_face(5, index, SIZE)
    np.testing.assert_allclose(face.points_K2, by_hand(face.parameters, SIZE), atol=1e-3)


@pytest.mark.parametrize("pose", [Pose(25, 10, 8), Pose(-60, -5, -12)])
def test_opposite_poses_give_mirrored_landmarks(pose):
    there = draw(dataclasses.replace(PLAIN, pose=pose))
    back = draw(dataclasses.replace(PLAIN, pose=Pose(-pose.yaw, pose.pitch, -pose.roll)))
    mirrored = there.points_K2[load_markup("ibug68").flip_permutation]
    mirrored = np.stack([SIZE - 1 - mirrored[:, 0], mirrored[:, 1]], -1)
    np.testing.assert_allclose(mirrored, back.points_K2, atol=0.25)


def test_the_sign_of_each_angle():
    rest, turned = draw(), draw(dataclasses.replace(PLAIN, pose=Pose(yaw=30)))
    assert turned.points_K2[30, 0] - turned.points_K2[27, 0] > 5  # the nose points to the image's right
    lifted = draw(dataclasses.replace(PLAIN, pose=Pose(pitch=20)))
    assert lifted.points_K2[30, 1] - lifted.points_K2[27, 1] < rest.points_K2[30, 1] - rest.points_K2[27, 1]
    rolled = draw(dataclasses.replace(PLAIN, pose=Pose(roll=20)))
    eyes = rolled.points_K2[45] - rolled.points_K2[36]
    assert np.degrees(np.arctan2(eyes[1], eyes[0])) == pytest.approx(20, abs=0.5)  # clockwise


def test_landmarks_scale_with_the_image_by_pixel_edges():
    small, large = draw(size=96), draw(size=192)
    np.testing.assert_allclose((small.points_K2 + 0.5) * 2, large.points_K2 + 0.5, atol=1e-4)


def test_features_are_painted_where_their_landmarks_are():
    red = dataclasses.replace(PLAIN, skin=Skin(lip=(0.85, 0.05, 0.05), lipstick=1.0), iris=(0.05, 0.1, 0.6))
    face = draw(red, 256)
    redness = {k: colour(face, k)[0] - colour(face, k)[1:].mean() for k in (8, 30, 62)}
    lip = np.rint((face.points_K2[51] + face.points_K2[62]) / 2).astype(int)
    lip_colour = face.image_HW3[lip[1], lip[0]].astype(float)
    assert lip_colour[0] - lip_colour[1:].mean() > max(redness[8], redness[30]) + 40
    for upper, lower in (((37, 38), (40, 41)), ((43, 44), (46, 47))):
        centre = face.points_K2[[*upper, *lower]].mean(axis=0)
        x, y = np.rint(centre).astype(int)
        window = face.image_HW3[y - 4 : y + 5, x - 7 : x + 8].astype(float)
        assert (window[..., 2] > window[..., 0] + 10).any()  # the blue iris
        assert window.min() < 40  # the pupil
    brow_row = face.points_K2[19]
    forehead = face.image_HW3[int(brow_row[1]) - 12, int(brow_row[0])].mean()
    assert colour(face, 19, 1).mean() < 0.7 * forehead


def test_an_open_mouth_is_dark_or_toothed_between_the_inner_lips():
    face = draw(dataclasses.replace(PLAIN, shape={"jaw_open": 1.0}), 256)
    top, bottom = face.points_K2[62], face.points_K2[66]
    assert bottom[1] - top[1] > 15
    x, y = np.rint(0.45 * top + 0.55 * bottom).astype(int)
    assert face.image_HW3[y, x].mean() < 0.6 * colour(face, 30, 1).mean()


def test_closed_eyes_show_no_white():
    open_, shut = (
        draw(size=256),
        draw(dataclasses.replace(PLAIN, left_eye=Eye(closure=1), right_eye=Eye(closure=1)), 256),
    )
    x, y = np.rint(open_.points_K2[36:42].mean(axis=0)).astype(int)
    region = np.s_[y - 5 : y + 5, x - 10 : x + 10]
    assert (open_.image_HW3[region].min(axis=-1) > 190).sum() > 5
    assert (shut.image_HW3[region].min(axis=-1) > 190).sum() == 0


def test_a_frontal_unoccluded_face_shows_everything():
    assert draw().visible_K.all()


@pytest.mark.parametrize(("yaw", "jaw", "eye"), [(60, [13, 14, 15, 16], 45), (-60, [0, 1, 2, 3], 36)])
def test_a_turned_face_hides_the_far_side_only(yaw, jaw, eye):
    visible = draw(dataclasses.replace(PLAIN, pose=Pose(yaw=yaw))).visible_K
    assert not visible[[*jaw, eye]].any()
    flip = load_markup("ibug68").flip_permutation
    assert visible[flip[jaw]].all()
    assert visible[flip[eye]]
    assert visible[[8, 27, 28, 29, 30, 51, 57]].all()


def test_dark_lenses_hide_the_eyes_and_clear_ones_do_not():
    clear = draw(dataclasses.replace(PLAIN, wear=Wear(glasses="clear"))).visible_K
    dark = draw(dataclasses.replace(PLAIN, wear=Wear(glasses="sunglasses"))).visible_K
    assert clear.all()
    assert not dark[36:48].any()
    assert dark[48:68].all()


def test_a_mask_hides_mouth_and_chin():
    visible = draw(dataclasses.replace(PLAIN, wear=Wear(mask=True))).visible_K
    assert not visible[[8, 33, *range(48, 68)]].any()
    assert visible[17:27].all()
    assert visible[36:48].all()


@pytest.mark.parametrize(("kind", "height"), [("fist", -2.0), ("phone", -7.0)])
def test_what_is_held_before_the_mouth_hides_it(kind, height):
    held = Occluder(kind, (0.0, height, 8.0), (0.0, 0.0, 0.0), 1.0, (0.1, 0.8, 0.1))
    face = draw(dataclasses.replace(PLAIN, occluder=held))
    assert not face.visible_K[[51, 57, 62, 66]].any()
    assert face.visible_K[[0, 16, *range(17, 27)]].all()


def test_a_fringe_hides_high_brows():
    fringe = dataclasses.replace(
        PLAIN, hair=Hair(style="fringe"), left_brow=Brow(height=1.6), right_brow=Brow(height=1.6)
    )
    assert not draw(fringe).visible_K[[19, 24]].any()


def test_finish_settings_change_the_image_and_not_the_landmarks():
    sharp = draw()
    for finish in (
        Finish(blur=0.02),
        Finish(motion=0.05),
        Finish(noise=0.05),
        Finish(jpeg=20),
        Finish(resolution=0.3),
        Finish(grey=True),
    ):
        face = draw(dataclasses.replace(PLAIN, finish=finish))
        np.testing.assert_array_equal(face.points_K2, sharp.points_K2)
        assert face.image_HW3.shape == sharp.image_HW3.shape
        assert np.abs(face.image_HW3.astype(int) - sharp.image_HW3).mean() > 0.5


def test_blur_and_low_resolution_do_not_shift_the_image():
    sharp = draw().image_HW3.astype(float)
    for finish in (Finish(resolution=0.5), Finish(blur=0.01), Finish(motion=0.04)):
        image = draw(dataclasses.replace(PLAIN, finish=finish)).image_HW3.astype(float)
        inner = np.s_[8:-8, 8:-8]
        errors = {
            (dx, dy): np.abs(np.roll(image, (dy, dx), (0, 1))[inner] - sharp[inner]).mean()
            for dx in (-1, 0, 1)
            for dy in (-1, 0, 1)
        }
        assert min(errors, key=errors.get) == (0, 0)


def test_nearly_all_points_lie_in_the_image_with_room_around():
    markup, inside, room = load_markup("ibug68"), [], []
    for i in range(80):
        points = by_hand(sample_parameters(np.random.default_rng([9, i])), SIZE)
        inside.append(((points > -0.5) & (points < SIZE - 0.5)).all(axis=1).mean())
        five = markup.five_from(points)
        low, high = five.min(axis=0), five.max(axis=0)
        side = 3 * (high - low).max()
        edges = np.clip([(low + high - side) / 2, (low + high + side) / 2], -0.5, SIZE - 0.5)
        room.append(np.prod(edges[1] - edges[0]) / side**2)
    assert np.mean(inside) > 0.995
    assert np.mean(room) > 0.85


def test_camera_distance_changes_perspective_and_not_size():
    near, far = (draw(dataclasses.replace(PLAIN, camera=Camera(distance=d))).points_K2 for d in (50, 400))
    assert np.ptp(near[:, 0]) == pytest.approx(np.ptp(far[:, 0]), rel=0.15)
    nose = [np.linalg.norm(p[31] - p[35]) / np.linalg.norm(p[0] - p[16]) for p in (near, far)]
    assert nose[0] > 1.1 * nose[1]
