"""The other servers that tests get keep what they have accepted, whatever ends them."""

from __future__ import annotations

import contextlib

import amqp
import pymysql
import pytest

from tests.servers.beanstalk import Beanstalk
from tests.servers.mariadb import MariaDB
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.sqs import SQS

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
QUORUM = {"durable": True, "auto_delete": False, "arguments": {"x-queue-type": "quorum"}}


def published(server, vhost, body):
    """Publish a message and wait until the server has it."""
    with server.connect(*vhost, confirm_publish=True) as connection:
        channel = connection.channel()
        channel.queue_declare("kept", **QUORUM)
        channel.basic_publish_confirm(amqp.Message(body, delivery_mode=2), routing_key="kept")


def taken(server, vhost):
    """Take a message, or None: a queue answers when it has elected its leader."""
    with contextlib.suppress(amqp.exceptions.InternalError), server.connect(*vhost) as connection:
        message = connection.channel().basic_get("kept", no_ack=True)
        return message and message.body


def test_rabbitmq(start_server, eventually):
    server = start_server(RabbitMQ, consumer_timeout_s=90)
    assert server.erlang("application:get_env(rabbit, consumer_timeout)") == "{ok, 90000}"
    with server.vhost() as vhost:
        published(server, vhost, "first")
        server.sync()
        server.kill()
        assert not server.running
        server.start()
        assert eventually(lambda: taken(server, vhost), "the queue is back") == "first"
        published(server, vhost, "second")
        server.restart()
        assert eventually(lambda: taken(server, vhost), "the queue is back") == "second"
        with pytest.raises(amqp.exceptions.NotAllowed), server.connect("/", vhost[1]):
            pass


def test_the_runs_rabbitmq(rabbitmq_server, rabbitmq_url):
    assert rabbitmq_url.startswith("amqp://t")
    vhost = rabbitmq_url.rpartition("/")[2], rabbitmq_url.partition("//")[2].partition(":")[0]
    published(rabbitmq_server, vhost, "here")
    assert taken(rabbitmq_server, vhost) == "here"


def test_rabbitmq_with_tls(start_server):
    server = start_server(RabbitMQ, tls=True)
    assert server.url().startswith("amqps://")
    with server.connect() as connection:
        assert connection.channel().queue_declare("one").queue == "one"


def test_mariadb(start_server):
    server = start_server(MariaDB)
    with server.database() as name:
        with contextlib.closing(server.connect(name)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            assert cursor.fetchone()[0].startswith("10.11.")
            cursor.execute("CREATE TABLE kept AS SELECT 1 AS n")
            server.kill()
            with pytest.raises(pymysql.err.OperationalError):
                cursor.execute("SELECT 1")
        server.start()
        with contextlib.closing(server.connect(name)) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO kept VALUES (2)")
        server.restart()
        with contextlib.closing(server.connect(name)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM kept ORDER BY n FOR UPDATE SKIP LOCKED")
            assert cursor.fetchall() == ((1,), (2,))
    with pytest.raises(pymysql.err.OperationalError, match="denied"):
        server.connect("mysql")


def test_the_runs_mariadb(mariadb_server, mariadb_url):
    name = mariadb_url.rpartition("/")[2]
    with contextlib.closing(mariadb_server.connect(name)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS n")


def test_mariadb_with_tls(start_server):
    server = start_server(MariaDB, tls=True)
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cursor.fetchone()[1]


def test_mariadb_on_a_full_disk(start_server):
    server = start_server(MariaDB, disk_mb=160)
    with server.database() as name, contextlib.closing(server.connect(name)) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS n")
        server.fill_disk()
        with pytest.raises(pymysql.err.Error, match=r"full|No space"):
            cursor.execute("CREATE TABLE large AS SELECT REPEAT('x', 5000) AS n FROM seq_1_to_20000")
        server.free_disk()
        cursor.execute("INSERT INTO kept VALUES (2)")
        cursor.execute("SELECT COUNT(*) FROM kept")
        assert cursor.fetchone() == (2,)


def test_beanstalk(start_server):
    server = start_server(Beanstalk)
    with contextlib.closing(server.client("kept")) as client:
        client.put("first")
        server.kill()
        with pytest.raises((ConnectionError, BrokenPipeError)):
            client.put("lost")
    server.start()
    with contextlib.closing(server.client("kept")) as client:
        job = client.reserve(timeout=10)
        assert job.body == "first"
        client.put("second")
    server.restart()
    with contextlib.closing(server.client("kept")) as client:
        assert [client.reserve(timeout=10).body for _ in range(2)] == ["first", "second"]


def test_sqs(start_server):
    server = start_server(SQS)
    client = server.client()
    queue = client.create_queue(QueueName="kept")["QueueUrl"]
    client.send_message(QueueUrl=queue, MessageBody="first")
    (message,) = client.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert message["Body"] == "first"
    # It keeps nothing: that is moto's, not SQS's.
    server.restart()
    assert "QueueUrls" not in client.list_queues()
