"""URLs of other systems, as Celery's users have them: what each names, and what to write here. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

_EMBEDDED = "leave the broker out, and an embedded server starts by itself"
#: What keeps calls and results.
KEEPERS = "Redis, Valkey, PostgreSQL, MariaDB, MySQL or SQLite"
_ELSE = f"nbtasks keeps calls in {KEEPERS}: name one, or {_EMBEDDED}"
_AS_REDIS = "it speaks as Redis does, so write redis://; nbtasks is tried with Redis and Valkey only"
_NODE = (
    "calls of one App are on one server: name one of the cluster's nodes, redis://host:6379/0, and the first call says "
    "which one it is; or better a server that is no cluster"
)
_OF_4 = "not taken by Celery any more since 4.0, of 2016"
_OF_5 = "not taken by Celery any more since 5.0, of 2020"


@dataclass(frozen=True)
class OtherSystem:
    """What a scheme of a URL means that is none of ours.

    Attributes:
        name: for people.
        gone: since when Celery itself does not take it any more; empty where it does.
        step: what to do where it is named as a broker.
        keeping: what to do where it is named for results.
    """

    name: str
    gone: str = ""
    step: str = _ELSE
    keeping: str = ""


#: The schemes in small letters, what stands behind a + left out where the whole is not there. Also words without ://
#: that Celery takes for results.
_SYSTEMS: dict[str, OtherSystem] = {
    # -- Redis and Valkey in other words
    **dict.fromkeys(
        ("redis-cluster", "rediss-cluster", "redis+cluster", "rediss+cluster", "valkey-cluster", "rediscluster"),
        OtherSystem("Redis Cluster", step=_NODE),
    ),
    "keydb": OtherSystem("KeyDB", step=_AS_REDIS),
    "dragonfly": OtherSystem("Dragonfly", step=_AS_REDIS),
    # -- queues
    "amqp": OtherSystem("RabbitMQ"),
    "amqps": OtherSystem("RabbitMQ"),
    "pyamqp": OtherSystem("RabbitMQ"),
    "librabbitmq": OtherSystem("RabbitMQ", step="write amqp://, and name a backend beside it"),
    "rabbitmq": OtherSystem("RabbitMQ", step="write amqp://, and name a backend beside it"),
    "qpid": OtherSystem("Apache Qpid"),
    "sqs": OtherSystem("Amazon SQS"),
    "azureservicebus": OtherSystem("Azure Service Bus"),
    "azurestoragequeues": OtherSystem("Azure Storage Queues"),
    "gcpubsub": OtherSystem("Google Cloud Pub/Sub"),
    "kafka": OtherSystem("Kafka"),
    "confluentkafka": OtherSystem("Kafka"),
    "slmq": OtherSystem("SoftLayer Message Queue", "discontinued by IBM in March 2017"),
    "pgmq": OtherSystem("pgmq in PostgreSQL", step="write postgresql://, which needs no extension"),
    "pyro": OtherSystem("Pyro"),
    "stomp": OtherSystem("STOMP, as of ActiveMQ"),
    "beanstalk": OtherSystem("Beanstalk"),
    "ironmq": OtherSystem("IronMQ", _OF_4),
    "zmq": OtherSystem("ZeroMQ", _OF_4),
    "zeromq": OtherSystem("ZeroMQ", _OF_4),
    "django": OtherSystem("Django's ORM", _OF_4),
    # -- databases
    "sqla": OtherSystem("an SQL database"),
    "sqlalchemy": OtherSystem("an SQL database"),
    "db": OtherSystem("an SQL database"),
    "database": OtherSystem("an SQL database"),
    "django-db": OtherSystem("Django's database"),
    "django-cache": OtherSystem("Django's cache"),
    "mongodb": OtherSystem("MongoDB"),
    "couchdb": OtherSystem("CouchDB"),
    "couchbase": OtherSystem("Couchbase"),
    "cassandra": OtherSystem("Cassandra"),
    "elasticsearch": OtherSystem("Elasticsearch"),
    "arangodb": OtherSystem("ArangoDB"),
    "dynamodb": OtherSystem("Amazon DynamoDB"),
    "cosmosdbsql": OtherSystem("Azure Cosmos DB"),
    "riak": OtherSystem("Riak", _OF_5),
    "tyrant": OtherSystem("Tokyo Tyrant", "not taken by Celery any more"),
    "tokyotyrant": OtherSystem("Tokyo Tyrant", "not taken by Celery any more"),
    # -- files and caches
    "s3": OtherSystem("Amazon S3"),
    "gs": OtherSystem("Google Cloud Storage"),
    "azureblockblob": OtherSystem("Azure Blob Storage"),
    "file": OtherSystem("a folder"),
    "filesystem": OtherSystem("a folder", step=_EMBEDDED),
    "cache": OtherSystem("a cache"),
    "memcached": OtherSystem("Memcached"),
    "memory": OtherSystem("this process", step=_EMBEDDED),
    # -- agreement
    "zookeeper": OtherSystem("ZooKeeper"),
    "consul": OtherSystem("Consul"),
    "etcd": OtherSystem("etcd"),
    # -- only for results
    "rpc": OtherSystem("results by messages", step="results come back through the broker by themselves"),
    "disabled": OtherSystem(
        "no results", keeping="for calls without results say ignore_result=True at the task, and "
    ),
}  # fmt: skip
#: What is taken in just this form: what is not known of it is what stands around it.
_TAKEN = frozenset(
    {
        "redis", "rediss", "valkey", "valkeys", "unix", "sentinel", "sentinels", "postgresql", "postgres",
        "amqp", "amqps", "pyamqp", "beanstalk", "sqs", "azureservicebus", "azurestoragequeues", "gcpubsub",
        "mongodb", "zookeeper", "consul", "etcd",
    }
)  # fmt: skip
#: A scheme that is no more like one than this was not mistyped.
_LIKE = 0.7
#: As brokers; what Celery takes for results under the same name, it still does.
_GONE_AS_BROKERS = {"couchdb": _OF_4}
_GONE_FOR_RESULTS = {"amqp": _OF_5}


def _known(scheme: str) -> str:
    """Return under which word a scheme would stand in the table."""
    small = scheme.lower()
    return small if small in _SYSTEMS else small.partition("+")[0]


def as_broker(scheme: str) -> tuple[str, str]:
    """Return how a foreign scheme is called in a message, and the next step."""
    known = _known(scheme)
    system = _SYSTEMS.get(known)
    if system is None:
        near = difflib.get_close_matches(
            scheme.lower(), sorted(_TAKEN | {"mysql", "mariadb", "sqlite"}), 1, _LIKE
        )
        return f"{scheme}://", f"did you mean {near[0]}://? Else {_ELSE}" if near else _ELSE
    if known in _TAKEN:
        return _taken_otherwise(scheme, known, system)
    return _shown(f"{scheme}://", system.name, _GONE_AS_BROKERS.get(scheme, system.gone)), system.step


def _taken_otherwise(scheme: str, known: str, system: OtherSystem) -> tuple[str, str]:
    """Return the same for what would be taken if it were written otherwise."""
    if scheme.lower() == known:
        return f"{scheme}: ({system.name}) with one slash", f"write {known}://, with two"
    tls = ", or amqps:// for TLS" if known == "amqp" else ""
    return f"{scheme}:// ({system.name})", f"write {known}://{tls}"


def for_results(text: str) -> tuple[str, str]:
    """Return how what is named for results is called in a message, and what to do besides leaving it out.

    Args:
        text: a URL or a word; nothing of it is repeated that is not in the table, for it may be a password.
    """
    scheme, mark, _ = text.partition(":")
    known = _known(scheme)
    system = _SYSTEMS.get(known)
    if system is None or (not mark and known != scheme.lower()):
        return "what this names", ""
    gone = _GONE_FOR_RESULTS.get(known, system.gone)
    return _shown(f"{known}://" if mark else known, system.name, gone), system.keeping


def _shown(written: str, name: str, gone: str) -> str:
    return f"{written} ({name}{', ' + gone if gone else ''})"
