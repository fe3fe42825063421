import numpy as np

from pipeline.synthetic.sampling import sample_parameters


def test_sampled_faces_span_the_poses_and_stay_in_the_image():
    drawn = [sample_parameters(np.random.default_rng(i)) for i in range(600)]
    yaw = np.array([p.pose.yaw for p in drawn])
    assert yaw.min() < -60
    assert yaw.max() > 60
    assert np.abs(yaw).max() <= 75
    assert 0.4 < np.mean(np.abs(yaw) < 20) < 0.7
    near = [sample_parameters(np.random.default_rng(i), near_frontal=True).pose for i in range(300)]
    assert max(abs(p.yaw) for p in near) <= 20
    assert max(max(abs(p.pitch), abs(p.roll)) for p in near) <= 15
    assert len({p.hair.style for p in drawn}) == 9
    tones = np.array([sum(p.skin.tone) / 3 for p in drawn])
    assert tones.min() < 0.25
    assert tones.max() > 0.75


def test_near_frontal_changes_nothing_but_the_pose():
    wide, near = (sample_parameters(np.random.default_rng(4), near_frontal=flag) for flag in (False, True))
    assert wide.pose != near.pose
    assert (wide.shape, wide.skin, wide.hair, wide.wear, wide.light) == (
        near.shape,
        near.skin,
        near.hair,
        near.wear,
        near.light,
    )
    assert (wide.occluder, wide.finish, wide.texture_seed) == (near.occluder, near.finish, near.texture_seed)


def test_every_kind_of_occlusion_occurs_and_most_faces_are_free():
    drawn = [sample_parameters(np.random.default_rng([8, i])) for i in range(400)]
    held = [p.occluder.kind for p in drawn if p.occluder]
    assert 0.08 < len(held) / 400 < 0.28
    assert len(set(held)) > 5
    assert {p.wear.glasses for p in drawn} == {"", "clear", "sunglasses"}
    assert {p.wear.headwear for p in drawn} == {"", "beanie", "cap", "scarf"}
    assert 0 < sum(p.wear.mask for p in drawn) < 40
    assert 0.1 < np.mean([p.beard.moustache > 0 for p in drawn]) < 0.5
