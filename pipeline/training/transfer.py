"""A checkpoint's way into an object store, its list of files last, so that what was cut short has none; and its way back.

To a disk, a shared volume's included, Ray Train itself brings them.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.object_store import get_object, put_object
from pipeline.shards.manifest import join
from pipeline.storage import files_below, remove
from pipeline.training.integrity import CHECKPOINT_MANIFEST
from pipeline.training.ranks import merged


def upload_checkpoint(folder: Path, url: str, rank: int, world_size: int) -> None:
    """Bring a rank's part of a checkpoint into a store; every rank calls it, and returns when the checkpoint is whole there.

    Args:
        folder: What ``checkpoint.save`` has written on this rank.
        url: Of the checkpoint. What an attempt that was killed has left there is removed.
        rank: r.
        world_size: W.

    Raises:
        StorageError: The store stays away, or refuses.
    """
    if rank == 0:
        remove(url)
    merged({}, world_size)  # nobody writes what is still to be removed
    sealed = folder / CHECKPOINT_MANIFEST
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path != sealed):
        put_object(str(path), join(url, path.relative_to(folder).as_posix()))
    merged({}, world_size)  # every file of the list is there
    if rank == 0:
        put_object(str(sealed), join(url, CHECKPOINT_MANIFEST))
    merged({}, world_size)


def download_folder(url: str, folder: Path) -> None:
    """Copy what lies below a URL, or a local folder, to an empty local folder.

    Raises:
        StorageError: The store stays away, or refuses.
        OSError: The disk is full.
    """
    for name in files_below(url):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        get_object(join(url, name), str(folder / name))
