"""MTCNN's three networks run over a whole batch of equal-sized images.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", SPL 2016:
P-Net scans a pyramid, R-Net and O-Net judge and refine what it proposes, O-Net adds five points. Networks and
weights are facenet-pytorch's; the cascade around them is ours, because the package crops and resamples one
candidate at a time.

What differs from the package, and why:

- Every resampling (pyramid, candidates) is a difference of a summed-area table, for all candidates at once.
  It gives the package's ``area`` mode exactly.
- Suppression within a pyramid level keeps local maxima of P-Net's score. At stride 2 and 12 px windows an
  overlap above 0.5 is exactly the 3 × 3 neighbourhood: shifted by (1, 1) cells it is 100 / 188 = 0.53, by (2,
  0) cells 96 / 192 = 0.5.
- A candidate reaching over the border is padded with black, as in the paper's code, and keeps its shape. The
  package cuts it, which stretches the face under fixed coordinates: on 300-W cut to 1.1 × the landmarks' box
  its five points are off by 32 % of the inter-pupil distance (median), these by 5 %.
- Coordinates are edges throughout (a pixel p covers p … p + 1); the package mixes 1-based pixels and edges.
  With O-Net's points read as edges, images and their mirror images agree within 0.3 px.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_CELL = 12  # P-Net's window, px
_STRIDE = 2  # of P-Net's output, px


@dataclass(frozen=True)
class CascadeOutput:
    """Faces of a batch, in canvas px, edge coordinates, grouped by image in order.

    Attributes:
        image_N: (N,) int64, index of the image.
        boxes_N4: (N, 4) left, top, right, bottom.
        scores_N: (N,) O-Net's probability.
        points_N52: (N, 5, 2) left pupil, right pupil, nose tip, left and right mouth corner, (x, y).
    """

    image_N: Tensor
    boxes_N4: Tensor
    scores_N: Tensor
    points_N52: Tensor


def summed_area(images_BHW3: Tensor) -> Tensor:
    """(B, H+1, W+1, 3) int32 sums over all pixels above and left of (B, H, W, 3) uint8 images."""
    table = torch.zeros(
        (images_BHW3.shape[0], images_BHW3.shape[1] + 1, images_BHW3.shape[2] + 1, 3),
        dtype=torch.int32,
        device=images_BHW3.device,
    )
    # Image by image: an image's table stays in the processor's cache between the two sums.
    for image_HW3, sums_HW3 in zip(images_BHW3, table[:, 1:, 1:], strict=True):
        sums_HW3.copy_(image_HW3.cumsum(dim=0, dtype=torch.int32).cumsum(dim=1, dtype=torch.int32))
    return table


def _bins(length: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First and last + 1 source pixel of each of ``size`` targets over ``length`` (N,) px: (N, size) each."""
    steps = torch.arange(size, device=length.device)
    first = torch.div(steps * length[:, None], size, rounding_mode="floor")
    last = torch.div((steps + 1) * length[:, None] + size - 1, size, rounding_mode="floor")
    return first, last


def _normalise(values: Tensor) -> Tensor:
    return (values - 127.5) * 0.0078125  # 1 / 128, as the weights were trained


def shrink(table_BHW3: Tensor, height: int, width: int) -> Tensor:
    """Whole images at another size, normalised for the networks.

    Args:
        table_BHW3: From ``summed_area``.
        height: Target, px.
        width: Target, px.

    Returns:
        (B, 3, height, width) float32 in −1 … 1, channels last in memory.
    """
    device = table_BHW3.device
    full = torch.tensor([[table_BHW3.shape[1] - 1], [table_BHW3.shape[2] - 1]], device=device)
    (y0, y1), (x0, x1) = (
        tuple(e[0] for e in _bins(f, n)) for f, n in zip(full, (height, width), strict=True)
    )
    rows = table_BHW3.index_select(1, y1) - table_BHW3.index_select(1, y0)
    sums = rows.index_select(2, x1) - rows.index_select(2, x0)
    area = (y1 - y0)[:, None, None] * (x1 - x0)[None, :, None]
    return _normalise(sums / area).permute(0, 3, 1, 2)


def cut_out(table_BHW3: Tensor, image_N: Tensor, boxes_N4: Tensor, size: int) -> Tensor:
    """Squares cut out of a batch and resampled, black outside the image, normalised for the networks.

    Args:
        table_BHW3: From ``summed_area``.
        image_N: (N,) int64, the image each box belongs to.
        boxes_N4: (N, 4) int64 left, top, right, bottom edges, px; may reach over the border.
        size: Target side, px.

    Returns:
        (N, 3, size, size) float32, channels last in memory.
    """
    height, width = table_BHW3.shape[1] - 1, table_BHW3.shape[2] - 1
    left, top, right, bottom = boxes_N4.unbind(dim=1)
    x0, x1 = _bins(right - left, size)
    y0, y1 = _bins(bottom - top, size)
    area_NHW1 = ((y1 - y0)[:, :, None] * (x1 - x0)[:, None, :])[..., None]
    rows = torch.stack((y0, y1)) + top[:, None]
    columns = torch.stack((x0, x1)) + left[:, None]
    base = (image_N * (height + 1))[:, None]
    rows = (rows.clamp_(0, height) + base) * (width + 1)
    columns.clamp_(0, width)
    flat = table_BHW3.reshape(-1, 3)

    def corner(row: int, column: int) -> Tensor:
        index = rows[row][:, :, None] + columns[column][:, None, :]
        return flat.index_select(0, index.reshape(-1))

    sums = (corner(1, 1) - corner(0, 1)).sub_(corner(1, 0)).add_(corner(0, 0))
    return _normalise(sums.view(-1, size, size, 3) / area_NHW1).permute(0, 3, 1, 2)


def suppress(boxes_N4: Tensor, scores_N: Tensor, image_N: Tensor, overlap: float) -> Tensor:
    """Greedy non-maximum suppression within each image.

    One call per image rather than one with shifted coordinates: shifting costs float precision that depends
    on the image's place in the batch.

    Args:
        boxes_N4: (N, 4), grouped by image.
        scores_N: (N,).
        image_N: (N,) non-decreasing.
        overlap: Intersection over union above which the weaker box goes.

    Returns:
        Kept indices, grouped by image, best first within it.
    """
    from torchvision.ops import nms  # slow import: it brings torch's compiler along

    kept, start = [], 0
    for count in torch.unique_consecutive(image_N, return_counts=True)[1].tolist():
        end = start + count
        kept.append(nms(boxes_N4[start:end], scores_N[start:end], overlap) + start)
        start = end
    return torch.cat(kept) if kept else torch.zeros(0, dtype=torch.int64, device=boxes_N4.device)


def suppress_nested(boxes_N4: Tensor, scores_N: Tensor, image_N: Tensor, overlap: float) -> Tensor:
    """As ``suppress``, with intersection over the *smaller* box: a box inside another one goes too."""
    corner = torch.maximum(boxes_N4[:, None, :2], boxes_N4[None, :, :2])
    far = torch.minimum(boxes_N4[:, None, 2:], boxes_N4[None, :, 2:])
    intersection = (far - corner).clamp_(min=0).prod(dim=2)
    area = (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(dim=1)
    share = intersection / torch.minimum(area[:, None], area[None, :])
    clash = ((share > overlap) & (image_N[:, None] == image_N[None, :])).cpu()
    order = torch.argsort(scores_N, descending=True, stable=True).tolist()
    gone = torch.zeros(len(order), dtype=torch.bool)
    kept = []
    for index in order:
        if not gone[index]:
            kept.append(index)
            gone |= clash[index]
    return torch.tensor(
        sorted(kept, key=lambda i: (int(image_N[i]), -float(scores_N[i]))), dtype=torch.int64
    ).to(boxes_N4.device)


def squares(boxes_N4: Tensor) -> Tensor:
    """(N, 4) int64 squares of the longer side around each box's centre, on whole pixels, 2 px or wider."""
    centre = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    side = (boxes_N4[:, 2:] - boxes_N4[:, :2]).amax(dim=1, keepdim=True).round().clamp_(min=2)
    corner = (centre - side / 2).round()
    return torch.cat((corner, corner + side), dim=1).to(torch.int64)


class Cascade(nn.Module):
    """P-Net, R-Net and O-Net over batches of equal-sized images.

    Args:
        thresholds: Probability a candidate needs at each of the three networks.
        factor: Ratio of successive pyramid levels.
        max_candidates: P-Net's best candidates per image that R-Net sees; bounds time on busy images.
        chunk: Candidates per call of R-Net and O-Net; bounds memory.
    """

    def __init__(
        self, thresholds: tuple[float, float, float], factor: float, max_candidates: int, chunk: int = 512
    ) -> None:
        super().__init__()
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet  # slow import

        self.pnet, self.rnet, self.onet = PNet(), RNet(), ONet()
        self.thresholds = thresholds
        self.factor = factor
        self.max_candidates = max_candidates
        self.chunk = chunk
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(self, images_BHW3: Tensor, min_face: float) -> CascadeOutput:
        """Find faces.

        Args:
            images_BHW3: (B, H, W, 3) uint8 RGB.
            min_face: Side of the smallest face looked for, px.

        Returns:
            Faces of all images.
        """
        table = summed_area(images_BHW3)
        boxes, image = self._propose(table, min_face)
        boxes, image = self._refine(table, boxes, image)
        return self._locate(table, boxes, image)

    def _propose(self, table_BHW3: Tensor, min_face: float) -> tuple[Tensor, Tensor]:
        height, width = table_BHW3.shape[1] - 1, table_BHW3.shape[2] - 1
        found: list[tuple[Tensor, ...]] = []
        scale = _CELL / min_face
        while min(height, width) * scale >= _CELL:
            size = (round(height * scale), round(width * scale))
            offsets_B4hw, probability_B2hw = self.pnet(shrink(table_BHW3, *size))
            score_Bhw = probability_B2hw[:, 1]
            peak = nn.functional.max_pool2d(score_Bhw[:, None], 3, stride=1, padding=1)[:, 0]
            image, row, column = ((score_Bhw >= self.thresholds[0]) & (score_Bhw == peak)).nonzero(
                as_tuple=True
            )
            # The size was rounded: the true scale of each axis keeps boxes in register.
            pixel = torch.tensor([width / size[1], height / size[0]], device=score_Bhw.device)
            corner = torch.stack((column, row), dim=1) * _STRIDE * pixel
            window = torch.cat((corner, corner + _CELL * pixel), dim=1)
            moved = window + offsets_B4hw[image, :, row, column] * (_CELL * pixel).repeat(2)
            found.append((image, score_Bhw[image, row, column], window, moved))
            scale *= self.factor
        if not found:
            empty = table_BHW3.new_zeros(0, dtype=torch.int64)
            return empty.view(0, 1).expand(0, 4), empty
        image, score, window, moved = (torch.cat(parts) for parts in zip(*found, strict=True))
        order = torch.argsort(image, stable=True)
        order = order[suppress(window[order], score[order], image[order], 0.7)]
        order = self._best_per_image(order, image[order])
        return squares(moved[order]), image[order]

    def _best_per_image(self, order: Tensor, image_N: Tensor) -> Tensor:
        counts = torch.unique_consecutive(image_N, return_counts=True)[1]
        start = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
        return order[torch.arange(len(order), device=order.device) - start < self.max_candidates]

    def _run(
        self,
        network: Callable[[Tensor], tuple[Tensor, ...]],
        table: Tensor,
        boxes: Tensor,
        image: Tensor,
        size: int,
    ) -> tuple[Tensor, ...]:
        parts = [
            network(cut_out(table, image[i : i + self.chunk], boxes[i : i + self.chunk], size))
            for i in range(0, max(1, len(image)), self.chunk)
        ]
        return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))

    def _refine(self, table_BHW3: Tensor, boxes_N4: Tensor, image_N: Tensor) -> tuple[Tensor, Tensor]:
        if len(image_N) == 0:
            return boxes_N4, image_N
        offsets, probability = self._run(self.rnet, table_BHW3, boxes_N4, image_N, 24)
        passed = (probability[:, 1] > self.thresholds[1]).nonzero()[:, 0]
        kept = passed[suppress(boxes_N4[passed].float(), probability[passed, 1], image_N[passed], 0.7)]
        return squares(_regress(boxes_N4[kept], offsets[kept])), image_N[kept]

    def _locate(self, table_BHW3: Tensor, boxes_N4: Tensor, image_N: Tensor) -> CascadeOutput:
        if len(image_N) == 0:
            none = torch.zeros((0, 10), device=image_N.device)
            return CascadeOutput(image_N, none[:, :4], none[:, 0], none.view(0, 5, 2))
        offsets, places, probability = self._run(self.onet, table_BHW3, boxes_N4, image_N, 48)
        score = probability[:, 1]
        passed = (score > self.thresholds[2]).nonzero()[:, 0]
        faces = _regress(boxes_N4[passed], offsets[passed])
        kept = suppress_nested(faces, score[passed], image_N[passed], 0.7)
        chosen = passed[kept]
        corner = boxes_N4[chosen, None, :2].float()
        side = (boxes_N4[chosen, 2:] - boxes_N4[chosen, :2])[:, None].float()
        points = (
            corner + places[chosen].view(-1, 2, 5).transpose(1, 2) * side
        )  # O-Net gives five x, then five y
        return CascadeOutput(image_N[chosen], faces[kept], score[chosen], points)


def _regress(boxes_N4: Tensor, offsets_N4: Tensor) -> Tensor:
    boxes = boxes_N4.float()
    return boxes + offsets_N4 * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
