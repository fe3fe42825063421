"""The threat list names tests that exist; what no other test shows of it is shown here."""

from __future__ import annotations

import ast
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipeline.datasets.face import Unusable
from pipeline.datasets.open import open_reader
from pipeline.errors import ConfigError
from pipeline.training.config.compose import compose
from pipeline.training.config.experiment import ExperimentConfig

ROOT = Path(__file__).parent.parent


def test_every_threat_names_tests_that_exist():
    rows = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, test in named:
            functions = [
                n.name
                for n in ast.walk(ast.parse((ROOT / file).read_text()))
                if isinstance(n, ast.FunctionDef)
            ]
            assert test in functions, f"{file} has no {test}"


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!!python/object/new:os.system"]
)
def test_no_tag_of_a_config_runs(tmp_path, tag):
    ran, path = tmp_path / "ran", tmp_path / "c.yaml"
    path.write_text(f"name: a\nseed: {tag} ['touch {ran}']\n")
    with pytest.raises(ConfigError, match=str(path)):
        compose(path, [], ExperimentConfig)
    with pytest.raises(ConfigError):
        compose(ROOT / "configs" / "demo.yaml", [f"seed={tag} ['touch {ran}']"], ExperimentConfig)
    assert not ran.exists()


def test_aliases_without_end_are_refused(tmp_path):
    # Nine levels of ten: a billion entries, if somebody wrote them out.
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 9)]
    path = tmp_path / "c.yaml"
    path.write_text("\n".join(levels))
    with pytest.raises(ConfigError, match=str(path)):
        compose(path, [], ExperimentConfig)


def test_a_table_of_addresses_fetches_nothing(tmp_path):
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}/face.png"
    columns = [f"{axis}{i}" for i in range(5) for axis in "xy"]
    names = [f"http://{address}", f"https://{address}", f"file://{tmp_path}/face.png", "s3://bucket/face.png"]
    (tmp_path / "faces.csv").write_text(
        "\n".join([",".join(["path", *columns]), *(",".join([name, *["1"] * 10]) for name in names)])
    )
    try:
        spec = {
            "reader": "table",
            "path": str(tmp_path / "faces.csv"),
            "root": str(tmp_path),
            "markup": "mtfl5",
        }
        records = list(open_reader(spec).records())
    finally:
        server.shutdown()
    assert len(records) == len(names)
    assert all(isinstance(record, Unusable) for record in records)
    assert asked == []
