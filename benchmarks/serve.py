"""A worker process of a peer: ``python -m benchmarks.serve <peer>``, started by the peer's adapter."""

from __future__ import annotations

import sys

from benchmarks import peers
from benchmarks.peers.base import setting_of_environment

if __name__ == "__main__":
    peers.find(sys.argv[1])(setting_of_environment()).serve()
