"""Amazon's SQS as moto plays it: a program of Python, which forgets all when it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from .server import Server

REGION, KEY = "eu-central-1", "of-the-tests"


class SQS(Server):
    """A server of moto on a port of loopback; it runs as the user of the tests, whose packages it needs.

    Args:
        folder: to be made for it, by this name.
    """

    served = False

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(Path(sys.prefix), folder=folder)

    @property
    def endpoint(self) -> str:
        """The URL of its API."""
        return f"http://127.0.0.1:{self.port}"

    def url(self) -> str:
        """Return its URL as a broker's."""
        return f"sqs://{KEY}:{KEY}@127.0.0.1:{self.port}?region={REGION}"

    def client(self) -> Any:
        """Return a client of boto3."""
        return boto3.client(
            "sqs", region_name=REGION, endpoint_url=self.endpoint, aws_access_key_id=KEY,
            aws_secret_access_key=KEY, config=Config(retries={"max_attempts": 1}, connect_timeout=5),
        )  # fmt: skip

    def command(self) -> list[str]:
        """Return how it is started."""
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def ask(self) -> None:
        """Ask it for a sign of life."""
        self.client().list_queues()
