"""``landmarks prepare``: data sets of images → shards and manifests, on all cores of a cluster.

A second run with the same config and images changes nothing; a killed one goes on where it stopped; the
bytes written do not depend on the number of workers.
"""

from __future__ import annotations

from jobs.cluster.prepare_pool import ChunkJob, PreparePool
from jobs.cluster.progress import progress
from pipeline.shards.assemble import assemble
from pipeline.shards.duplicates import index_of_sets
from pipeline.shards.manifest import Manifest, join
from pipeline.shards.plan import SetPlan, plan_sets
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.shards.rejects import check_entries, check_rejects, remarks
from pipeline.shards.staging import Staging, existing, locked, stand
from pipeline.storage import absolute
from pipeline.words import counted


def prepare(config: PrepareConfig, *, workers: int | None = None, overwrite: bool = False) -> list[Manifest]:
    """Prepare every set of the config.

    Args:
        config: What to prepare.
        workers: Processes; None for one per CPU of the cluster or machine, 0 for this process, without Ray.
        overwrite: Replace sets that were prepared from another config or other images.

    Returns:
        The sets' manifests, in order.

    Raises:
        ConfigError: A config that cannot work, or another set in the way.
        DataError: Missing or malformed input, or more images left out than ``max_reject_share`` allows.
        StorageError: Not enough space, or the disk refuses a write.
    """
    config = config.model_copy(update={"out": absolute(config.out)})
    plans = plan_sets(config)
    made: dict[str, Manifest] = {}
    with locked(config.out), PreparePool(workers) as pool:
        for plan in plans:
            config_hash = plan.config_hash(s.sha256 for name in plan.references for s in made[name].shards)
            found = existing(plan, config_hash, overwrite=overwrite)
            if found is not None:
                made[plan.name] = found
                print(f"{plan.name}: up to date, {counted(found.samples, 'sample')} in {plan.folder}")
                continue
            made[plan.name] = _prepare_set(plan, config_hash, config, pool)
            print(_summary(plan, made[plan.name]))
            for remark in (*plan.remarks, *remarks(plan, made[plan.name])):
                print(f"{plan.name}: {remark}")
    return list(made.values())


def _prepare_set(plan: SetPlan, config_hash: str, config: PrepareConfig, pool: PreparePool) -> Manifest:
    staging = Staging(config.out, plan.name, config_hash)
    staging.discard_others()
    check_entries(plan, staging, config.max_reject_share)
    standing = stand(plan, staging)
    plan.require_space(len(standing.todo))
    duplicates = (
        index_of_sets([join(config.out, name) for name in plan.references]) if plan.references else None
    )
    rejected = standing.rejected.copy()
    job = ChunkJob(plan.options, config.detector, duplicates, staging)
    results = pool.run(
        job, plan, standing.todo
    )  # Ray, if it must be started, says so before the first bar is drawn
    with progress(f"prepare {plan.name}", len(plan.records), done=standing.images) as advance:
        for count, reasons in results:
            rejected += reasons
            check_rejects(plan, rejected, config.max_reject_share, staging)
            advance(count, f"{rejected.total()} left out" if rejected else "")
    return assemble(plan, config_hash, staging, config.max_reject_share, pool.write)


def _summary(plan: SetPlan, manifest: Manifest) -> str:
    rejected = ", ".join(f"{count} {reason}" for reason, count in manifest.rejected.items()) or "none"
    shares = ", ".join(f"{name} {value:.4f}" for name, value in manifest.statistics.items())
    return (
        f"{plan.name}: {counted(manifest.samples, 'sample')}, {counted(len(manifest.shards), 'shard')}, "
        f"{manifest.bytes / 2**20:.1f} MiB in {plan.folder}; left out: {rejected}"
        + (f"; {shares}" if shares else "")
    )


if __name__ == "__main__":
    from jobs.cli import main

    main("prepare")
