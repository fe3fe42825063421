"""``landmarks bench wasserstein``: forward and backward of our 2-D Wasserstein loss against dense log-domain Sinkhorn, in turn.

Each side runs in a process of its own, which times one pass and reads the peak of its memory: of the device
on a GPU, resident on a CPU (Linux). ``dense`` is the batched log-domain Sinkhorn with ε-scaling and the
gradient by the envelope theorem, written out here; ``geomloss`` is the GeomLoss library's tensorized back
end, where installed. Both hold a (hw × hw) matrix per landmark: 64 MiB at 64 × 64 in float32, so at 8 × 68
landmarks no machine of ours holds them. They are measured on a few landmarks, beside ours on the same few;
what they would need for all is their figure times the ratio of the numbers, as both their time and their
memory are per landmark.
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
from pipeline.losses.wasserstein import Wasserstein

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


def dense(logits_BKHW: Tensor, target_BK2: Tensor, sigma: float, epsilon: float, iterations: int) -> Tensor:
    """Mean OT_ε between full heatmaps: every half-iteration a logsumexp over (N, hw, hw)."""
    u_NP = logits_BKHW.flatten(2).softmax(-1).flatten(0, 1)
    height, width = logits_BKHW.shape[-2:]
    v_NP = gaussian_heatmaps(target_BK2, (height, width), sigma).flatten(2).flatten(0, 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid_P2 = torch.stack((x.flatten(), y.flatten()), -1).to(u_NP)
    cost_PP = torch.cdist(grid_P2, grid_P2)
    with torch.no_grad():
        log_u, log_v = u_NP.log(), v_NP.clamp(min=1e-30).log()
        f_NP, g_NP = torch.zeros_like(u_NP), torch.zeros_like(v_NP)
        levels = [epsilon]
        while levels[0] < 4.0:
            levels.insert(0, 2 * levels[0])
        for level in levels:
            for _ in range(iterations if level <= 4 * epsilon else (iterations + 1) // 2):
                f_NP = -level * ((g_NP / level + log_v)[:, None, :] - cost_PP / level).logsumexp(-1)
                g_NP = -level * ((f_NP / level + log_u)[:, None, :] - cost_PP / level).logsumexp(-1)
    return ((u_NP * f_NP).sum(-1) + (v_NP * g_NP).sum(-1)).mean()


def geomloss(
    logits_BKHW: Tensor, target_BK2: Tensor, sigma: float, epsilon: float, iterations: int
) -> Tensor:
    """The same by GeomLoss, without its debiasing (which would triple the work), at its default scaling.

    ``iterations`` has no influence: its ε-scaling takes one at each level.
    """
    from geomloss import SamplesLoss  # type: ignore[import-not-found]

    u_NP = logits_BKHW.flatten(2).softmax(-1).flatten(0, 1)
    height, width = logits_BKHW.shape[-2:]
    v_NP = gaussian_heatmaps(target_BK2, (height, width), sigma).flatten(2).flatten(0, 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack((x.flatten(), y.flatten()), -1).to(u_NP).expand(len(u_NP), -1, -1).contiguous()
    loss = SamplesLoss("sinkhorn", p=1, blur=epsilon, debias=False, backend="tensorized")
    return loss(u_NP, grid, v_NP, grid).mean()


SIDES: dict[str, Side] = {"ours": ours, "dense": dense, "geomloss": geomloss}


def measure(
    side: str, count: int, size: int, sigma: float, epsilon: float, iterations: int, seed: int
) -> dict[str, float]:
    """One forward and backward pass of one side in this process.

    Args:
        side: Of ``SIDES``.
        count: Landmarks.
        size: Side of the heatmaps, px.
        sigma: σ of the target, px.
        epsilon: ε, px.
        iterations: At each of the last three levels of ε.
        seed: Of the heatmaps.

    Returns:
        ``seconds``, ``mib`` (peak above what was held before), ``value`` (px).
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
    began = time.perf_counter()
    value = loss(logits, target, sigma, epsilon, iterations)
    value.backward()
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "mib": (_peak(device) - before) / 2**20, "value": value.item()}


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
    epsilon: float = 0.05,
    iterations: int = 10,
    few: int = 1,
    seed: int = 0,
    out: str | None = None,
) -> list[dict[str, object]]:
    """Print time and peak memory of both sides, and their ratios.

    Args:
        batch: B.
        landmarks: K.
        size: Side of the heatmaps, px.
        sigma: σ of the target, px.
        epsilon: ε, px, of all sides.
        iterations: Sinkhorn iterations at each of the last three levels of ε, of ours and of the dense side.
        few: Landmarks on which the dense sides are measured.
        seed: Of the heatmaps.
        out: Path or URL of a CSV with the figures and their provenance; None writes nothing.

    Returns:
        A row per measurement: side, landmarks, seconds, MiB, value.

    Raises:
        ConfigError: A number below 1.
    """
    for name, number in (("batch", batch), ("landmarks", landmarks), ("size", size), ("few", few)):
        if number < 1:
            raise ConfigError(f"bench wasserstein: {name} is {number}; it must be 1 or more")
    total = batch * landmarks
    others = ["dense"] + (["geomloss"] if importlib.util.find_spec("geomloss") else [])
    rows: list[dict[str, object]] = []
    for side, count in [("ours", total), ("ours", few)] + [(other, few) for other in others]:
        settings = {
            "count": count,
            "size": size,
            "sigma": sigma,
            "epsilon": epsilon,
            "iterations": iterations,
            "seed": seed,
        }
        line, _ = run_python("jobs.bench.wasserstein", [side], settings, {})
        rows.append({"side": side, "landmarks": count, **json.loads(line)})
    show(rows, total)
    write_csv(out, rows, None, seed)
    return rows


def show(rows: list[dict[str, object]], total: int) -> None:
    """Print the measured figures, then each dense side against ours: on the same few landmarks, and scaled to all."""
    table = Table(title="2-D Wasserstein, forward + backward", title_justify="left")
    for column in ("side", "landmarks", "s", "peak MiB", "value, px"):
        table.add_column(column, justify="left" if column == "side" else "right")
    for row in rows:
        table.add_row(
            str(row["side"]),
            str(row["landmarks"]),
            f"{row['seconds']:.2f}",
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
    print(json.dumps(measure(sys.argv[1], **json.load(sys.stdin))))
