"""A finished search on disk: its record, its report, and its best trial as a config to train."""

from __future__ import annotations

from pipeline.shards.manifest import join
from pipeline.storage import write_text
from pipeline.studies.search.compare import best
from pipeline.studies.search.plan import SearchPlan
from pipeline.studies.search.report import build_search_report
from pipeline.studies.search.trials import Search, Trial, write_csv, write_search
from pipeline.training.config.compose import to_yaml, with_values
from pipeline.words import counted

RECORD, TRIALS, BEST, REPORT = "search.json", "trials.csv", "best.yaml", "report.html"


def write_results(plan: SearchPlan, search: Search) -> dict[str, str]:
    """Write what a search found, each file atomically; without ``best.yaml`` where no trial finished.

    Returns:
        File name → where it lies.

    Raises:
        StorageError: A file cannot be written; those before it are whole.
    """
    urls = {name: join(plan.folder, name) for name in (RECORD, TRIALS, BEST, REPORT)}
    write_search(search, urls[RECORD])
    write_csv(search, urls[TRIALS])
    winner = best(search)
    if winner is None:
        build_search_report(search, urls[REPORT])
        del urls[BEST]
        return urls
    text = best_yaml(plan, search, winner)
    write_text(urls[BEST], text)
    build_search_report(search, urls[REPORT], best_yaml=text, command=f"landmarks train {urls[BEST]}")
    return urls


def best_yaml(plan: SearchPlan, search: Search, winner: Trial) -> str:
    """A trial's whole config, as ``landmarks train`` takes it."""
    bare = plan.config.model_copy(update={"tune": None})
    chosen = with_values(bare, {**winner.values, "name": f"{search.name[:42]}-best"}, "best trial")
    return (
        f"# Best of the search '{search.name}': trial {winner.number}, {winner.objective:.3f} % NME on the held-out split, "
        f"mean of {counted(len(search.seeds), 'seed')}.\n# Chosen on that split: expect a little more elsewhere.\n"
        f"{to_yaml(chosen)}"
    )
