"""MLflow's server: its options exist, its hosts are allowed, its bucket is made."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from k8s_checks.pods import of_kind

ROOT = Path(__file__).resolve().parents[2]
Doc = dict[str, Any]


def _deployment(docs: list[Doc]) -> Doc:
    (found,) = of_kind(docs, "Deployment")
    return found["spec"]["template"]["spec"]


def _settings(docs: list[Doc]) -> dict[str, str]:
    return next(
        d["data"] for d in of_kind(docs, "ConfigMap") if d["metadata"]["name"] == "landmarks-settings"
    )


def _parsed(container: Doc) -> dict[str, Any]:
    from mlflow.cli import server

    assert container["command"] == ["mlflow", "server"]
    return dict(server.make_context("server", list(container["args"])).params)


def test_server_options_are_mlflows_own(docs: list[Doc], monkeypatch: pytest.MonkeyPatch) -> None:
    (container,) = _deployment(docs)["containers"]
    for variable in container["env"]:
        if "value" in variable and variable["name"].startswith("MLFLOW_"):
            monkeypatch.setenv(variable["name"], variable["value"].replace("$(POSTGRES_PASSWORD)", "abc"))
    options = _parsed(container)
    assert options["host"] == "0.0.0.0"
    assert options["port"] == container["ports"][0]["containerPort"]
    assert options["serve_artifacts"] is True
    assert options["artifacts_destination"] == "s3://mlflow"
    assert options["backend_store_uri"] == "postgresql://mlflow:abc@landmarks-postgres:5432/mlflow"


def test_password_is_known_before_the_address_that_holds_it(docs: list[Doc]) -> None:
    # Kubernetes leaves $(NAME) as it is when NAME comes later.
    (container,) = _deployment(docs)["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert names.index("POSTGRES_PASSWORD") < names.index("MLFLOW_BACKEND_STORE_URI")


def test_clients_address_is_an_allowed_host_of_the_service(docs: list[Doc]) -> None:
    from fnmatch import fnmatch

    (container,) = _deployment(docs)["containers"]
    allowed = _parsed(container)["allowed_hosts"].split(",")
    address = urlsplit(_settings(docs)["MLFLOW_TRACKING_URI"])
    service = next(d for d in of_kind(docs, "Service") if d["metadata"]["name"] == address.hostname)
    assert address.port == service["spec"]["ports"][0]["port"]
    for host in (
        address.netloc,
        f"{address.hostname}.landmarks.svc.cluster.local:{address.port}",
        "localhost:15000",
    ):
        assert any(fnmatch(host, pattern) for pattern in allowed), host
    assert not any(fnmatch("attacker.example.org", pattern) for pattern in allowed)


def test_store_and_bucket_are_the_ones_that_exist(docs: list[Doc]) -> None:
    pod = _deployment(docs)
    (init,), (server,) = pod["initContainers"], pod["containers"]
    env = [{v["name"]: v.get("value") for v in c["env"]} for c in (init, server)]
    address = urlsplit(env[0]["MLFLOW_S3_ENDPOINT_URL"])
    assert env[1]["MLFLOW_S3_ENDPOINT_URL"] == address.geturl()
    service = next(d for d in of_kind(docs, "Service") if d["metadata"]["name"] == address.hostname)
    assert service["spec"]["ports"][0]["port"] == address.port
    assert f"--artifacts-destination=s3://{init['command'][-1]}" in server["args"]
    script = Path(init["command"][1])
    volume = next(v for v in pod["volumes"] if v["name"] == "scripts")
    scripts = next(
        d for d in of_kind(docs, "ConfigMap") if d["metadata"]["name"] == volume["configMap"]["name"]
    )
    assert script.name in scripts["data"]
    assert any(m["mountPath"] == str(script.parent) for m in init["volumeMounts"])


def _script() -> Any:
    spec = importlib.util.spec_from_file_location(
        "create_bucket", ROOT / "k8s" / "base" / "tracking" / "create_bucket.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Any:
    boto3 = pytest.importorskip("boto3", reason="boto3 comes with the extra 'server'")
    from botocore.stub import Stubber

    client = boto3.client(
        "s3",
        endpoint_url="http://localhost:1",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_bucket_is_created_once(stub: Any) -> None:
    stub.add_response("list_buckets", {"Buckets": [{"Name": "other"}]})
    stub.add_response("create_bucket", {}, {"Bucket": "mlflow"})
    stub.add_response("list_buckets", {"Buckets": [{"Name": "other"}, {"Name": "mlflow"}]})
    assert _script().ensure_bucket(stub.client, "mlflow") is True
    assert _script().ensure_bucket(stub.client, "mlflow") is False


def test_bucket_waits_for_a_store_that_is_starting(stub: Any) -> None:
    stub.add_client_error("list_buckets", "InternalError", http_status_code=503)
    stub.add_response("list_buckets", {"Buckets": []})
    stub.add_response("create_bucket", {}, {"Bucket": "mlflow"})
    assert _script().ensure_bucket(stub.client, "mlflow", pause_s=0) is True


def test_bucket_gives_up_at_once_with_wrong_keys(stub: Any) -> None:
    from botocore.exceptions import ClientError

    stub.add_client_error("list_buckets", "AccessDenied", http_status_code=403)
    with pytest.raises(ClientError, match="AccessDenied"):
        _script().ensure_bucket(stub.client, "mlflow", pause_s=0)


def test_bucket_gives_up_when_nobody_answers() -> None:
    boto3 = pytest.importorskip("boto3", reason="boto3 comes with the extra 'server'")
    from botocore.config import Config
    from botocore.exceptions import EndpointConnectionError

    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"max_attempts": 1}),
    )
    with pytest.raises(EndpointConnectionError):
        _script().ensure_bucket(client, "mlflow", patience_s=0)
