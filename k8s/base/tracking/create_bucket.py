"""Wait for the object store, and create MLflow's bucket where there is none. Run again, it changes nothing."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

PATIENCE_S = 300
"""The store may still be starting, or its volume being made."""


def ensure_bucket(client: Any, bucket: str, patience_s: float = PATIENCE_S, pause_s: float = 3.0) -> bool:
    """Make sure that a bucket exists.

    Args:
        client: boto3's S3 client.
        bucket: Its name.
        patience_s: How long a store that does not answer is waited for.
        pause_s: Between two attempts.

    Returns:
        Whether it had to be created.

    Raises:
        botocore.exceptions.ClientError: The store refuses, e.g. for wrong keys.
        botocore.exceptions.BotoCoreError: No answer in all the time.
    """
    from botocore.exceptions import ClientError, HTTPClientError

    deadline = time.monotonic() + patience_s
    while True:
        try:
            if bucket in {found["Name"] for found in client.list_buckets().get("Buckets", [])}:
                return False
            client.create_bucket(Bucket=bucket)
            return True
        except HTTPClientError:
            if time.monotonic() >= deadline:
                raise
        except ClientError as error:
            # A gateway that started before its filer says 5xx for some seconds; 403 will not go away.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500 or time.monotonic() >= deadline:
                raise
        time.sleep(pause_s)


def main() -> None:
    """Create the bucket named by the first argument in the store of ``MLFLOW_S3_ENDPOINT_URL``."""
    import boto3

    bucket = sys.argv[1]
    client = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    print(f"bucket {bucket}: {'created' if ensure_bucket(client, bucket) else 'there already'}")


if __name__ == "__main__":
    main()
