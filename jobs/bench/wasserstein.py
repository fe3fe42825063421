"""``landmarks bench wasserstein``: forward and backward of our 2-D Wasserstein loss against dense log-domain Sinkhorn, in turn.

Each side runs in processes of its own, one that times whole passes and one that reads the peak of its memory: of the
device on a GPU, resident on a CPU (Linux). Ours runs as it trains, at its own ε, iterations and extrapolation. The dense
sides, at the same ε:

- ``geomloss``: GeomLoss's tensorized back end with its own ε-scaling, which takes one iteration a level, so it
  stops far less converged than the others.
- ``pot``: POT's batched ``log_sinkhorn``, given as many iterations as ours; it has no ε-scaling.
- ``dense``: batched log-domain Sinkhorn with ε-scaling and ours' iterations, written out here.

All get their gradient by the envelope theorem, the cheapest way there is. All hold at least one (hw × hw) matrix per
landmark: 64 MiB at 64 × 64 in float32, 34 GiB for 8 × 68 landmarks. So they are measured on a few landmarks, beside ours on
the same few and on all; what they would need for all is their figure times the ratio of the numbers, as both their time
and their memory are per landmark. In turns of a few they would need the few's memory, and no less time.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from jobs.bench.figures import run_python, write_csv
from pipeline.errors import ConfigError
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.losses.sinkhorn import schedule
from pipeline.losses.wasserstein import Wasserstein, support_radius

Side = Callable[[Tensor, Tensor, float, float, int], Tensor]


def inputs(count: int, size: int, seed: int, device: str) -> tuple[Tensor, Tensor]:
    """Logits (1, count, size, size) of an untrained network, and landmarks px in the middle of the grid."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(1, count, size, size, generator=generator)
    target = size * (0.15 + 0.7 * torch.rand(1, count, 2, generator=generator))
    return logits.to(device), target.to(device)


def ours(logits_BKHW: Tensor, target_BK2: Tensor, sigma: float, epsilon: float, iterations: int) -> Tensor:
    """Our loss, as it trains."""
    return Wasserstein(sigma, epsilon, iterations)(logits_BKHW, target_BK2)


def _dense_problem(logits_BKHW: Tensor, target_BK2: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Masses u_NP (with gradient) and v_NP of all pixels, and the pixels grid_P2."""
    u_NP = logits_BKHW.flatten(2).softmax(-1).flatten(0, 1)
    height, width = logits_BKHW.shape[-2:]
    v_NP = gaussian_heatmaps(target_BK2, (height, width), sigma).flatten(2).flatten(0, 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return u_NP, v_NP, torch.stack((x.flatten(), y.flatten()), -1).to(u_NP)


def _counts(sigma: float, epsilon: float, iterations: int) -> list[tuple[float, int]]:
    """Levels of ε and the iterations that ours takes at each."""
    levels = schedule(epsilon, support_radius(sigma))
    return [(level, iterations if level <= levels[-3] else (iterations + 1) // 2) for level in levels]


def dense(logits_BKHW: Tensor, target_BK2: Tensor, sigma: float, epsilon: float, iterations: int) -> Tensor:
    """Mean OT_ε between full heatmaps: every half-iteration a logsumexp over (N, hw, hw)."""
    u_NP, v_NP, grid_P2 = _dense_problem(logits_BKHW, target_BK2, sigma)
    cost_PP = torch.cdist(grid_P2, grid_P2)
    with torch.no_grad():
        log_u, log_v = u_NP.log(), v_NP.clamp(min=1e-30).log()
        f_NP, g_NP = torch.zeros_like(u_NP), torch.zeros_like(v_NP)
        for level, count in _counts(sigma, epsilon, iterations):
            for _ in range(count):
                f_NP = -level * ((g_NP / level + log_v)[:, None, :] - cost_PP / level).logsumexp(-1)
                g_NP = -level * ((f_NP / level + log_u)[:, None, :] - cost_PP / level).logsumexp(-1)
    return ((u_NP * f_NP).sum(-1) + (v_NP * g_NP).sum(-1)).mean()


def pot(logits_BKHW: Tensor, target_BK2: Tensor, sigma: float, epsilon: float, iterations: int) -> Tensor:
    """The same by POT (Python Optimal Transport), which checks for convergence every tenth iteration."""
    from ot.batch import bregman_log_projection_batch

    u_NP, v_NP, grid_P2 = _dense_problem(logits_BKHW, target_BK2, sigma)
    with torch.no_grad():
        v_NP = v_NP.clamp(min=1e-30)
        kernel_NPP = (-torch.cdist(grid_P2, grid_P2) / epsilon).expand(len(u_NP), -1, -1)
        total = sum(count for _, count in _counts(sigma, epsilon, iterations))
        solved = bregman_log_projection_batch(
            kernel_NPP, u_NP.detach(), v_NP, max_iter=total, tol=0.0, grad="detach"
        )
        log_f_NP, log_g_NP = solved["potentials"]
        # Of ε KL(π ‖ u ⊗ v), as the other sides have it; POT's own are of ε Σ π log π.
        f_NP, g_NP = epsilon * (log_f_NP - u_NP.log()), epsilon * (log_g_NP - v_NP.log())
    return ((u_NP * f_NP).sum(-1) + (v_NP * g_NP).sum(-1)).mean()


def geomloss(
    logits_BKHW: Tensor, target_BK2: Tensor, sigma: float, epsilon: float, iterations: int
) -> Tensor:
    """The same by GeomLoss, without its debiasing (which would triple the work), at its default scaling.

    ``iterations`` has no influence: its ε-scaling takes one at each level.
    """
    from geomloss import SamplesLoss

    u_NP, v_NP, grid_P2 = _dense_problem(logits_BKHW, target_BK2, sigma)
    grid_NP2 = grid_P2.expand(len(u_NP), -1, -1).contiguous()
    loss = SamplesLoss("sinkhorn", p=1, blur=epsilon, debias=False, backend="tensorized")
    value: Tensor = loss(u_NP, grid_NP2, v_NP, grid_NP2).mean()
    return value


SIDES: dict[str, Side] = {"ours": ours, "geomloss": geomloss, "pot": pot, "dense": dense}
_LIBRARIES = {"geomloss": "geomloss", "pot": "ot"}
"""What must be installed for a side."""
_PASSES, _ENOUGH_S = 3, 10.0
# For time, as training workers run: glibc would map and unmap every large block, which takes the dense sides half of their
# time. Not for memory: blocks that are kept, and fragments of them, would count against the dense sides.
_KEEP_BLOCKS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_ARENA_MAX": "1",
}


def measure(
    side: str, count: int, size: int, sigma: float, epsilon: float, iterations: int, seed: int
) -> dict[str, float]:
    """Forward and backward passes of one side in this process: the fastest of three, or of as many as fit in 10 s.

    Args:
        side: Of ``SIDES``.
        count: Landmarks.
        size: Side of the heatmaps, px.
        sigma: σ of the target, px.
        epsilon: ε, px.
        iterations: At each of the last three levels of ε.
        seed: Of the heatmaps.

    Returns:
        ``seconds`` of a pass, ``passes``, ``mib`` (peak above what was held before), ``value`` (px), ``threads``.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loss = SIDES[side]
    logits, target = inputs(1, 12, seed, device)
    loss(
        logits.requires_grad_(), target, sigma, epsilon, iterations
    ).backward()  # loads kernels and libraries
    logits, target = inputs(count, size, seed, device)
    logits.requires_grad_()
    before = _reset_peak(device)
    times: list[float] = []
    while not times or (len(times) < _PASSES and sum(times) < _ENOUGH_S):
        logits.grad = None
        began = time.perf_counter()
        value = loss(logits, target, sigma, epsilon, iterations)
        value.backward()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return {
        "seconds": min(times),
        "passes": len(times),
        "mib": (_peak(device) - before) / 2**20,
        "value": value.item(),
        "threads": torch.get_num_threads(),
    }


def _reset_peak(device: str) -> float:
    """Bytes held now; the peak counts from here."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return float(torch.cuda.memory_allocated())
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak(device: str) -> float:
    return float(torch.cuda.max_memory_allocated()) if device == "cuda" else _status("VmHWM")


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024.0 * float(line.split()[1])
    raise ConfigError(
        f"bench wasserstein: /proc/self/status has no {field}; on a CPU, memory is read on Linux only"
    )


def bench(
    batch: int = 8,
    landmarks: int = 68,
    size: int = 64,
    sigma: float = 1.0,
    epsilon: float = 0.04,
    iterations: int = 30,
    few: int = 1,
    seed: int = 0,
    out: str | None = None,
) -> list[dict[str, object]]:
    """Print time and peak memory of all sides, and their ratios.

    Args:
        batch: B.
        landmarks: K.
        size: Side of the heatmaps, px.
        sigma: σ of the target, px.
        epsilon: ε, px, of all sides.
        iterations: Sinkhorn iterations at each of the last three levels of ε, of all sides but GeomLoss's.
        few: Landmarks on which the dense sides are measured.
        seed: Of the heatmaps.
        out: Path or URL of a CSV with the figures and their provenance; None writes nothing.

    Returns:
        A row per measurement: side, landmarks, settings, seconds, passes, MiB, value, threads.

    Raises:
        ConfigError: A number below 1.
    """
    for name, number in (("batch", batch), ("landmarks", landmarks), ("size", size), ("few", few)):
        if number < 1:
            raise ConfigError(f"bench wasserstein: {name} is {number}; it must be 1 or more")
    total = batch * landmarks
    others = [side for side in SIDES if side != "ours" and _available(side)]
    rows: list[dict[str, object]] = []
    shared = {"size": size, "sigma": sigma, "epsilon": epsilon, "iterations": iterations}
    for side, count in [("ours", total), ("ours", few)] + [(other, few) for other in others]:
        settings = {**shared, "count": count, "seed": seed}
        timed, held = (
            json.loads(run_python("jobs.bench.wasserstein", [side], settings, environment)[0])
            for environment in (_KEEP_BLOCKS, {})
        )
        rows.append({"side": side, "landmarks": count, **shared, **timed, "mib": held["mib"]})
    show(rows, total)
    write_csv(out, rows, None, seed)
    return rows


def _available(side: str) -> bool:
    return side not in _LIBRARIES or importlib.util.find_spec(_LIBRARIES[side]) is not None


def show(rows: list[dict[str, object]], total: int) -> None:
    """Print the measured figures, then each dense side against ours: on the same few landmarks, and scaled to all."""
    table = Table(title="2-D Wasserstein, forward + backward", title_justify="left")
    for column in ("side", "landmarks", "s", "peak MiB", "value, px"):
        table.add_column(column, justify="left" if column == "side" else "right")
    for row in rows:
        table.add_row(
            str(row["side"]),
            str(row["landmarks"]),
            f"{row['seconds']:.3f}",
            f"{row['mib']:.1f}",
            f"{row['value']:.3f}",
        )
    console = Console()
    console.print(table)
    whole, same = rows[0], rows[1]
    for row in rows[2:]:
        scale = total / float(str(row["landmarks"]))
        for against, factor, where in (
            (same, 1.0, f"on {row['landmarks']} landmarks, both measured"),
            (whole, scale, f"on {total} landmarks, {row['side']} scaled × {scale:g}"),
        ):
            time_ratio = factor * float(str(row["seconds"])) / float(str(against["seconds"]))
            memory_ratio = factor * float(str(row["mib"])) / max(float(str(against["mib"])), 1e-3)
            console.print(
                f"{row['side']} / ours {where}: time × {time_ratio:.1f}, memory × {memory_ratio:.1f}",
                highlight=False,
                soft_wrap=True,
            )


if __name__ == "__main__":
    # As training does; here and not in `measure`, for it holds for the whole process.
    torch.set_flush_denormal(True)
    print(json.dumps(measure(sys.argv[1], **json.load(sys.stdin))))
