"""The checkpoint a run goes on from: the newest one that is whole, whatever happened to those after it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pipeline.errors import TrainingError
from pipeline.training.host import Host
from pipeline.training.integrity import damage, read_seal
from pipeline.training.ranks import merged


def newest_whole(host: Host, config_hashes: Collection[str], steps: int) -> Path | None:
    """Fetch and check the run's checkpoints, newest first; every rank calls it, and all go on from the same one.

    Args:
        host: Of the loop; told, with what is wrong, of each checkpoint that is passed over.
        config_hashes: Of the run, now and before it was made longer; now comes last.
        steps: Of the run, for the messages.

    Returns:
        A local folder, every byte of which is as it was written; None where the run has no checkpoint yet.

    Raises:
        TrainingError: There are checkpoints, and none is whole; or the newest whole one is another run's.
    """
    passed: list[str] = []
    # Storage may show the ranks different things; they must do the same.
    names = merged({"names": list(host.checkpoints())} if host.rank == 0 else {}, host.world_size)["names"]
    for name in names:
        folder = host.fetch(name)
        own = {name: found} if (found := damage(str(folder))) else {}
        # A copy may be cut short on one node only.
        problems = merged(own, host.world_size).get(name)
        if problems is None:
            seal = read_seal(str(folder))
            if seal.config_hash not in config_hashes:
                raise TrainingError(
                    f"checkpoint {name}: is of a run with config {seal.config_hash}, this one has {[*config_hashes][-1]}: it was "
                    "put there by hand, or the run's claim.json was changed; remove the checkpoint, or bring the claim back"
                )
            if passed and host.rank == 0:
                said = [f"checkpoint {problem}" for problem in passed]
                said.append(f"goes on from {name}, the newest that is whole")
                host.publish({"step": seal.step, "steps": steps, "metrics": {}, "complaints": said})
            return folder
        passed.append(f"{name} is damaged: {'; '.join(problems[:3])}")
    if passed:
        raise TrainingError(
            f"no checkpoint of this run is whole ({' · '.join(passed)}); bring one back, or remove the run's folder to train it "
            "from the start"
        )
    return None
