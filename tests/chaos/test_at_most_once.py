"""Calls with ``acks_late=False`` on a server that loses what it knows: nothing is started twice, all of it ends."""

from __future__ import annotations

import time

import pytest

from tests.servers.server import free_port

from .sites import DURABLE, SOON

N = 300
LONG_S = (0.5,) * 8


def empty(here):
    with here.server.client() as client:
        client.flushdb()


def restart(here):
    here.server.kill()
    here.server.start()


def swap(here):
    with here.server.client() as client:
        client.swapdb(0, 1)


def remove_groups(here):
    with here.server.client() as client:
        for name in list(client.scan_iter("*:q:*")):
            client.xgroup_destroy(name, "w")


def delete_session(here):
    with here.server.client() as client:
        client.delete(*client.scan_iter("*}:s:*"))


def tear(here):
    here.server.kill()
    here.server.tear(4000)
    here.server.start()


FAULTS = [
    ("FLUSHDB", empty, ()),
    ("restart of the server, empty", restart, ()),
    ("SWAPDB", swap, ()),
    ("XGROUP DESTROY", remove_groups, ()),
    ("DEL of the session's hash", delete_session, ()),
    ("kill -9 and a torn AOF", tear, DURABLE),
]


def run_through(here, matrix, faults, row, harm):
    load = matrix.submit(
        here.app, N, long_s=LONG_S, task_options={"acks_late": False}, judged={"at_most_once": True}, chunk=3
    )
    load.wait_for(0.1)
    faults.note(row)
    harm()
    load.wait()
    matrix.close(here.app, f"acks_late=False: {row}", server=here.name, url=here.server.url)


@pytest.mark.long
@pytest.mark.parametrize(("row", "harm", "settings"), FAULTS, ids=[row for row, _, _ in FAULTS])
def test_the_server_loses_what_it_knows(site, matrix, faults, row, harm, settings):
    here = site("bundled", *settings)
    run_through(here, matrix, faults, row, lambda: harm(here))


@pytest.mark.long
def test_a_replica_takes_over_that_misses_the_end(site, matrix, faults, eventually):
    port = free_port()
    here = site("bundled", *DURABLE, "--port", str(port), "--bind", "127.0.0.1")
    replica, old = here.another_server(), here.server

    def is_linked():
        with replica.client() as client:
            return client.info("replication")["master_link_status"] == "up"

    def fail_over():
        with replica.client() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
        # What is taken and ended meanwhile is lost.
        time.sleep(0.5)
        here.proxy.target = replica.socket
        here.server = replica
        here.proxy.reconnect()

    with replica.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", str(port))
    eventually(is_linked, "the replica follows", within=SOON)
    try:
        run_through(here, matrix, faults, "failover to a replica that misses the last 0.5 s", fail_over)
    finally:
        old.kill()
