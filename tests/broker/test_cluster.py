"""A cluster as broker: a node works where it has the namespace's keys, and any other says which one does."""

from __future__ import annotations

import pytest

from nbtasks import App, OperationalError
from tests.conftest import wait_until
from tests.servers.server import free_port

SOON = 60.0


class Node:
    """A server that speaks as a node of a cluster."""

    def __init__(self, server) -> None:
        self.port, self.bus = free_port(), free_port()
        cluster = ("--cluster-enabled", "yes", "--cluster-port", str(self.bus))
        self.client = server("--port", str(self.port), "--bind", "127.0.0.1", *cluster).client()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def wait_for(self, nodes: int) -> None:
        """Wait until it knows of so many, and of somebody for every slot."""

        def is_ready():
            said = self.client.cluster("INFO")
            return said["cluster_state"] == "ok" and int(said["cluster_known_nodes"]) == nodes

        wait_until(is_ready, f"a cluster of {nodes} nodes is ready")


@pytest.fixture
def node(server) -> Node:
    """The only one that has slots."""
    one = Node(server)
    one.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    one.wait_for(1)
    return one


def test_a_node_that_has_all_slots_is_a_broker(node):
    with App(broker=node.url) as app:
        app.start_workers(1)
        assert app.task(abs).map(range(-20, 0)).get(timeout=SOON) == list(range(20, 0, -1))


def test_a_node_that_has_not_the_keys_names_the_one_that_has(server, node):
    other = Node(server)
    other.client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
    other.wait_for(2)
    with App(broker=other.url) as app, pytest.raises(OperationalError, match="node of a cluster") as caught:
        app.task(abs).delay(1)
    assert f"keys are on 127.0.0.1:{node.port}: name that one as broker" in str(caught.value)
