import numpy as np

from pipeline.synthetic.rasterise import interpolate, rasterise


def _reference(screen, depth, triangles, size):
    """Per pixel, per triangle: the textbook edge-function rasteriser."""
    nearest, owner = np.full((size, size), -np.inf), np.full((size, size), -1)
    for t, (a, b, c) in enumerate(triangles):
        pa, pb, pc = screen[a], screen[b], screen[c]
        area = (pb[0] - pa[0]) * (pc[1] - pa[1]) - (pc[0] - pa[0]) * (pb[1] - pa[1])
        if abs(area) < 0.01:
            continue
        for y in range(size):
            for x in range(size):
                v = ((x - pa[0]) * (pc[1] - pa[1]) - (y - pa[1]) * (pc[0] - pa[0])) / area
                w = ((y - pa[1]) * (pb[0] - pa[0]) - (x - pa[0]) * (pb[1] - pa[1])) / area
                if v > 0 and w > 0 and v + w < 1:
                    z = depth[a] + v * (depth[b] - depth[a]) + w * (depth[c] - depth[a])
                    if z > nearest[y, x]:
                        nearest[y, x], owner[y, x] = z, t
    return nearest, owner


def test_matches_a_brute_force_rasteriser():
    rng = np.random.default_rng(1)
    screen = rng.uniform(-4, 28, (36, 2)).astype(np.float32)
    depth = rng.uniform(-5, 5, 36).astype(np.float32)
    triangles = np.arange(36).reshape(12, 3)
    nearest, owner = _reference(screen.astype(float), depth.astype(float), triangles, 24)
    visible = rasterise(screen, depth, triangles, np.ones(12, dtype=bool), 24, 24)
    drawn = np.full(24 * 24, -1)
    drawn[visible.pixels_P] = visible.triangles_P
    assert (owner >= 0).sum() > 200
    np.testing.assert_array_equal(drawn, owner.ravel())
    np.testing.assert_allclose(visible.depth_HW[owner >= 0], nearest[owner >= 0], atol=1e-3)


def test_interpolation_is_affine():
    rng = np.random.default_rng(2)
    screen = rng.uniform(0, 20, (9, 2)).astype(np.float32)
    visible = rasterise(
        screen, np.zeros(9, np.float32), np.arange(9).reshape(3, 3), np.ones(3, dtype=bool), 20, 20
    )
    values = np.stack([2 * screen[:, 0] - screen[:, 1] + 3, screen[:, 1]])
    rows, columns = np.divmod(visible.pixels_P, 20)
    got = interpolate(values, np.arange(9).reshape(3, 3), visible)
    np.testing.assert_allclose(got, [2 * columns - rows + 3, rows], atol=2e-3)


def test_a_triangulated_square_has_no_cracks_and_no_overlap():
    corners = np.array([[2.3, 1.7], [17.6, 3.1], [15.2, 18.4], [1.1, 14.9]], dtype=np.float32)
    screen = np.concatenate([corners, corners.mean(axis=0, keepdims=True)])
    fan = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    everything = rasterise(screen, np.zeros(5, np.float32), fan, np.ones(4, dtype=bool), 20, 20)
    halves = rasterise(
        screen, np.zeros(5, np.float32), np.array([[0, 1, 2], [0, 2, 3]]), np.ones(2, dtype=bool), 20, 20
    )
    np.testing.assert_array_equal(everything.pixels_P, halves.pixels_P)


def test_culls_triangles_seen_from_behind():
    screen = np.array([[1, 1], [1, 9], [9, 9]], dtype=np.float32)
    flat, one_sided = np.zeros(3, np.float32), np.zeros(1, dtype=bool)
    front = rasterise(screen, flat, np.array([[0, 1, 2]]), one_sided, 10, 10)
    back = rasterise(screen, flat, np.array([[2, 1, 0]]), one_sided, 10, 10)
    assert len(front.pixels_P) > 20
    assert len(back.pixels_P) == 0
