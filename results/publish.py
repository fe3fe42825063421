"""Copies what a search or study found into this folder, without the paths of the machine it ran on.

    python results/publish.py search FOLDER w300/NAME     FOLDER/search.json → w300/NAME/{trials.csv,search.json,report.html}
    python results/publish.py study  FOLDER semi/NAME     FOLDER/*.csv, tables.md, study.json, report.html → semi/NAME/

Reports of searches and studies hold charts and numbers, no faces.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def publish_search(folder: Path, out: Path) -> None:
    from pipeline.studies.search.report import build_search_report
    from pipeline.studies.search.trials import read_search, write_csv, write_search

    search = read_search(str(folder / "search.json"))
    write_search(search, str(out / "search.json"))
    write_csv(search, str(out / "trials.csv"))
    build_search_report(search, str(out / "report.html"))


def publish_study(folder: Path, out: Path) -> None:
    for name in ("cells.csv", "gains.csv", "tables.md", "study.json", "report.html"):
        shutil.copyfile(folder / name, out / name)


def main() -> None:
    kind, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    out = HERE / name
    out.mkdir(parents=True, exist_ok=True)
    {"search": publish_search, "study": publish_study}[kind](folder, out)
    for file in sorted(out.iterdir()):
        text = file.read_text(encoding="utf-8")
        found = [word for word in ("/tmp/", "/home/", "/root/", str(folder)) if word in text]
        if found:
            raise SystemExit(f"{file}: names a path of this machine ({found[0]}): not fit to be published")
        print(f"{file.relative_to(HERE)}: {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
