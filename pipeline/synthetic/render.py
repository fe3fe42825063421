"""One synthetic face: from parameters to an image with its landmarks.

The head is posed before a pinhole camera, rasterised together with everything around it, painted in surface coordinates and
lit once per visible pixel. Landmarks are points of the same surface through the same projection, so that they are exact.
A landmark is visible when nothing in the depth buffer lies in front of it; rims of glasses do not count, dark lenses do.
Jaw landmarks are the true points of the 3-D surface: on a turned head those of the far side are hidden and say so, rather
than sliding along the outline as hand-placed ones do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.brush import clamp
from pipeline.synthetic.grid import grid_normals
from pipeline.synthetic.hair import hair_edge, hat_edge, lifted
from pipeline.synthetic.head import mean_head
from pipeline.synthetic.landmarks import landmark_weights, surface_coordinates
from pipeline.synthetic.modes import deform
from pipeline.synthetic.occluders import turn
from pipeline.synthetic.paint import paint
from pipeline.synthetic.parameters import Camera, FaceParameters, Pose
from pipeline.synthetic.parts import Material, Mesh
from pipeline.synthetic.rasterise import Visible, interpolate, rasterise
from pipeline.synthetic.sampling import sample_parameters
from pipeline.synthetic.scene import background, finish
from pipeline.synthetic.shading import shade
from pipeline.synthetic.skin import cavities, complexion_maps
from pipeline.synthetic.wardrobe import dress, hold

FACE_MIDDLE = np.array([0.0, -2.8, -3.0], dtype=np.float32)  # what the camera looks at, head axes, cm
_NECK = np.array([0.0, -6.0, -9.0], dtype=np.float32)  # where the head turns on the body
OVERSAMPLING = 1.25  # enough to soften outlines; the time goes with its square
_DEPTH_TOLERANCE = (
    0.45  # cm; less than a nose or a hand stands off, more than a pixel's width of a steep surface
)


@dataclass(frozen=True)
class RenderedFace:
    """An image and what is exactly known of it.

    Attributes:
        image_HW3: (size, size, 3) uint8 RGB.
        points_K2: (68, 2) float64 landmarks, (x, y) px, pixel-centre convention.
        visible_K: (68,) bool.
        points_K3: (68, 3) float64 the same landmarks in space: camera axes (x right, y up, z to the camera), origin at the
            middle of the face, cm.
        parameters: What was drawn.
    """

    image_HW3: np.ndarray
    points_K2: np.ndarray
    visible_K: np.ndarray
    points_K3: np.ndarray
    parameters: FaceParameters


def rotation(pose: Pose) -> np.ndarray:
    """(3, 3) float32 from head axes to camera axes: yaw first, then pitch, then roll."""
    return turn(2, -pose.roll) @ turn(0, -pose.pitch) @ turn(1, pose.yaw)


def project(points_N3: np.ndarray, camera: Camera, size: int) -> np.ndarray:
    """Pinhole projection of points in camera axes (cm, origin at the middle of the face).

    Returns:
        (N, 2) (x, y) px of an image ``size`` px wide, pixel-centre convention.
    """
    scale = (size / camera.span) * camera.distance / (camera.distance - points_N3[:, 2])
    middle = np.array(camera.shift) * size + (size - 1) / 2
    x = middle[0] + points_N3[:, 0] * scale
    y = middle[1] - points_N3[:, 1] * scale
    return np.stack([x, y], -1).astype(points_N3.dtype)


def _head(parameters: FaceParameters, skin_V3: np.ndarray) -> Mesh:
    """The head with its hair, ready to draw, in head axes."""
    grid = mean_head()
    rows, columns = len(grid.rows_R), len(grid.columns_C)
    vertices = lifted(parameters, skin_V3)
    normals = grid_normals(vertices, rows, columns, closed=True)
    surface = np.stack([grid.across_V, grid.down_V, grid.azimuth_V], -1)
    return Mesh(vertices, normals, surface, grid.triangles_T3, Material.HEAD)


def _pose_meshes(parameters: FaceParameters, head: Mesh) -> list[Mesh]:
    turned = rotation(parameters.pose)
    shift = -FACE_MIDDLE @ turned.T
    on_head, on_body = dress(parameters)
    meshes = [mesh.moved(turned, shift) for mesh in (head, *on_head)]
    # Shoulders follow a turned head a third of the way.
    pose = parameters.pose
    leaning = rotation(Pose(pose.yaw * 0.3, pose.pitch * 0.1, pose.roll * 0.25))
    neck = _NECK @ turned.T + shift
    meshes += [mesh.moved(leaning, neck - _NECK @ leaning.T) for mesh in on_body]
    if parameters.occluder is not None:
        meshes.append(hold(parameters.occluder))
    return meshes


def _visibility(
    parameters: FaceParameters,
    points_K2: np.ndarray,
    depth_K: np.ndarray,
    normals_K3: np.ndarray,
    at_K2: np.ndarray,
    visible: Visible,
    frame_T: np.ndarray,
) -> np.ndarray:
    """(68,) bool; all arguments at the drawing's resolution."""
    height, width = visible.depth_HW.shape
    nearest = visible.depth_HW.copy()
    nearest.ravel()[visible.pixels_P[frame_T[visible.triangles_P]]] = -np.inf
    x = np.rint(points_K2[:, 0]).astype(int)
    y = np.rint(points_K2[:, 1]).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    offsets = np.array([-1, 0, 1])
    window_y = np.clip(y[:, None, None] + offsets[None, :, None], 0, height - 1)
    window_x = np.clip(x[:, None, None] + offsets[None, None, :], 0, width - 1)
    # The least covered neighbour decides: a landmark on the outline shares its pixel with what is behind or beside it.
    free = (nearest[window_y, window_x] <= depth_K[:, None, None] + _DEPTH_TOLERANCE).any(axis=(1, 2))
    shown = inside & free & (normals_K3[:, 2] > -0.12)
    brows = slice(17, 27)
    azimuth = np.full(10, 30.0)
    if parameters.hair.style != "bald":
        shown[brows] &= at_K2[brows, 1] < hair_edge(parameters.hair, at_K2[brows, 0], azimuth) + 0.1
    if parameters.wear.headwear:
        shown[brows] &= at_K2[brows, 1] < hat_edge(parameters.wear.headwear, azimuth) + 0.1
    if parameters.wear.mask:
        shown[[*range(3, 14), *range(29, 36), *range(48, 68)]] = False
    return shown


def render_parameters(parameters: FaceParameters, size: int, rng: np.random.Generator) -> RenderedFace:
    """Draw one face.

    Args:
        parameters: The face.
        size: Side of the image, px.
        rng: For the background and the sensor's noise.
    """
    camera = parameters.camera
    inner = max(32, round(size * OVERSAMPLING * min(1.0, 1.3 * parameters.finish.resolution)))
    skin = deform(parameters.shape)
    head = _head(parameters, skin)
    meshes = _pose_meshes(parameters, head)
    offsets = np.cumsum([0, *(len(m.vertices_V3) for m in meshes)])
    vertices = np.concatenate([m.vertices_V3 for m in meshes]).astype(np.float32)
    triangles = np.concatenate([m.triangles_T3 + o for m, o in zip(meshes, offsets, strict=False)])
    counts = [len(m.triangles_T3) for m in meshes]
    material_T = np.repeat([int(m.material) for m in meshes], counts)
    material_V = np.repeat([int(m.material) for m in meshes], np.diff(offsets))
    two_sided_T = np.repeat([m.two_sided for m in meshes], counts)
    visible = rasterise(
        project(vertices, camera, inner), vertices[:, 2], triangles, two_sided_T, inner, inner
    )

    attributes = np.empty((9, len(vertices)), dtype=np.float32)
    attributes[:3] = np.concatenate([m.normals_V3 for m in meshes]).T
    attributes[3:6] = np.concatenate([m.surface_V3 for m in meshes]).T
    attributes[6] = 1.0
    attributes[7:] = 0.0
    attributes[7:, : len(skin)] = complexion_maps()
    attributes[6, : len(skin)] = cavities()
    # The head keeps the sky's light off the neck.
    neck = material_V == int(Material.BODY)
    attributes[6, neck] = 0.45 + 0.55 * clamp((-10.2 - attributes[4, neck]) / 3.5, 0, 1)
    pixels = interpolate(attributes, triangles, visible)
    seen = material_T[visible.triangles_P]
    normals = pixels[:3]
    length = np.sqrt(normals[0] ** 2 + normals[1] ** 2 + normals[2] ** 2 + 1e-9)
    # The inside of a sheet is lit like its outside.
    normals /= np.where((normals[2] < 0) & two_sided_T[visible.triangles_P], -length, length)

    at = surface_coordinates(
        parameters.left_eye, parameters.right_eye, parameters.left_brow, parameters.right_brow
    )
    indices, weights = landmark_weights(at)
    turned = rotation(parameters.pose)
    points_3d = (
        np.einsum("kc,kcd->kd", weights, skin[indices].astype(np.float64)) - FACE_MIDDLE
    ) @ turned.T.astype(np.float64)
    points = project(points_3d, camera, size)
    gap = float(np.linalg.norm(points_3d[62] - points_3d[66]))

    albedo, gloss = paint(parameters, seen, pixels[[3, 4, 5, 7, 8]], gap, camera.span / inner)
    lit = np.ones(len(seen), dtype=np.float32)
    colours = shade(albedo, gloss, normals, pixels[6], lit, parameters.light)
    image = background(rng, inner)
    for channel, values in zip(image.reshape(-1, 3).T, colours, strict=True):
        channel[visible.pixels_P] = values * np.float32(255) + np.float32(0.5)

    drawn = (points + 0.5) * (inner / size) - 0.5
    facing = np.einsum("kc,kcd->kd", weights, meshes[0].normals_V3[indices])
    frames = material_T == int(Material.FRAME)
    # Beards and hair lift the surface; what counts is whether the place can be seen.
    outer = np.einsum("kc,kcd->kd", weights, meshes[0].vertices_V3[indices])
    shown = _visibility(parameters, drawn, outer[:, 2], facing, at, visible, frames)
    return RenderedFace(finish(image, parameters.finish, size, rng), points, shown, points_3d, parameters)


def render_face(seed: int, index: int, size: int = 160, *, near_frontal: bool = False) -> RenderedFace:
    """Face ``index`` of the endless sequence ``seed``: a pure function of its arguments.

    Args:
        seed: Names the sequence.
        index: Position in it, ≥ 0.
        size: Side of the image, px.
        near_frontal: Keep the pose within |yaw| ≤ 20°, |pitch| ≤ 12°, |roll| ≤ 12°.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))
    return render_parameters(sample_parameters(rng, near_frontal=near_frontal), size, rng)
