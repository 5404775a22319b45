"""Settings of Celery's that do nothing here, each with its reason, and those that have another name here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from nbtasks.broker.carriers.carriage import options_of_carriers
from nbtasks.broker.sentinelurl import of_sentinels

#: What a worker, a task or an App goes by.
EFFECTIVE = frozenset(
    {
        "namespace", "key", "connection_file", "listen", "result_limit",
        "broker_url", "result_backend", "result_expires", "imports", "include",
        "task_always_eager", "task_eager_propagates", "task_annotations", "task_routes", "task_queues",
        "task_default_queue", "task_default_priority", "task_default_rate_limit", "task_ignore_result",
        "task_acks_late", "task_time_limit", "task_soft_time_limit", "timezone", "enable_utc", "beat_schedule",
        "worker_disable_rate_limits", "worker_redirect_stdouts", "worker_redirect_stdouts_level",
        "worker_log_format", "worker_log_datefmt", "worker_task_log_format", "worker_task_log_datefmt",
        "worker_concurrency", "worker_pool", "worker_max_tasks_per_child", "worker_max_memory_per_child",
    }
)  # fmt: skip
_URL = "broker_url says it all: redis://user:password@host:port/database"
_TLS = (
    "rediss:// in the URL says it (sentinels:// with sentinels, amqps:// with a RabbitMQ), and its options stand "
    "behind it: rediss://user:password@host:port/database?ssl_ca_certs=/ca.pem; a PostgreSQL's URL says "
    "?sslmode=verify-full&sslrootcert=/ca.pem"
)
_RESULTS = (
    "results are kept on the broker's own server, which broker_url names, or beside a RabbitMQ on that of "
    "result_backend: leave it out"
)
#: Calls would go elsewhere, or in the clear, if these were left out in silence.
_INSTEAD = {
    "broker_transport": _URL,
    "broker_host": _URL,
    "broker_port": _URL,
    "broker_user": _URL,
    "broker_password": _URL,
    "broker_vhost": _URL,
    "broker_read_url": "there is one server, for what is put and what is taken: broker_url",
    "broker_write_url": "there is one server, for what is put and what is taken: broker_url",
    "broker_use_ssl": _TLS,
    "redis_backend_use_ssl": _TLS,
    "redis_host": _RESULTS,
    "redis_port": _RESULTS,
    "redis_db": _RESULTS,
    "redis_username": _RESULTS,
    "redis_password": _RESULTS,
    "redis_backend_credential_provider": "the URL says user and password",
}
#: Values that say nothing.
_NOTHING = (None, False, "")
#: The same for what stands in dicts of options.
OF_OPTIONS = frozenset({"broker_transport_options", "result_backend_transport_options"})
_OPTIONS_INSTEAD = {
    "global_keyprefix": "namespace= keeps projects on one server apart",
    "ssl": _TLS,
    "connection_class": "broker_url says how the server is reached, unix:///path or rediss://host:port/database",
    "credential_provider": _URL,
    "predefined_queues": "queues are made as they are needed: queue_name_prefix says how their names begin",
    "sts_role_arn": "broker_url = 'sqs://' takes what the environment, a profile or the machine's role says",
    "client_name": "it stands in broker_url: redis://host:port/database?client_name=me",
}
_NO_STORE = "results are kept on the broker's own server, and nowhere else"
_NO_WAIT = "no call waits behind a long one"
_NO_AMQP = "there are no exchanges: a queue is a name, and is there when something is sent to it"
#: Patterns of names, the first that fits counts.
_REASONS = (
    ("*accept_content *_serializer", "values are pickled, and everything that travels is signed"),
    ("*_compression", "nothing is compressed"),
    ("*exchange* *routing_key *delivery_mode *_queue_type task_create_missing_queue*", _NO_AMQP),
    ("task_queue_max_priority", "every queue has priorities, 0 to 9"),
    (
        "cache_* cassandra_* s3_* azureblockblob_* gcs_* couchbase_* arangodb_* mongodb_*",
        _NO_STORE,
    ),
    ("cosmosdbsql_* elasticsearch_* database_* firestore_* override_backends", _NO_STORE),
    ("redis_*", "results take the connections of the broker"),
    ("broker_*", "connections are kept up, and made again, without settings"),
    ("result_*", "results are kept as they are, for as long as result_expires says"),
    ("security_*", "everything that travels is signed without settings; key= names another key"),
    (
        "beat_cron_starting_deadline",
        "missed= of each periodic task says what is done about due times that are past",
    ),
    ("beat_*", "periodic tasks are kept in the server, and whoever fires them agrees there"),
    ("control_* event_*", "orders and events need no queues of their own"),
    ("task_track_started", "STARTED is always told"),
    ("task_remote_tracebacks", "tracebacks always travel"),
    ("*eager*", "an eager App keeps results as any other: as long as somebody holds them"),
    (
        "task_acks_* task_reject_* task_retry_*",
        "a call ends with its result; acks_late=False in @task: at most once",
    ),
    ("task_publish_*", "what cannot be sent is sent again by itself"),
    ("task_create_missing_queues", "a queue is a name, and is there when something is sent to it"),
    ("task_store_errors_*", "errors are always kept"),
    (
        "task_inherit_parent_priority",
        "say priority= with the call",
    ),
    ("task_allow_error_cb_on_chord_header", "link_error of a chord is told once; give the members one each"),
    ("task_send_sent_event", "what happens is always told"),
    ("task_protocol task_repr_maxlevels", "messages have one form"),
    ("task_*", "say it at the task, @task(...), where there is such an option"),
    ("worker_log_color", "a log is text without colours"),
    ("worker_hijack_root_logger", "the project's own logging is left as it is"),
    ("worker_prefetch_multiplier worker_disable_prefetch worker_enable_prefetch_count_reduction", _NO_WAIT),
    ("worker_eta_task_limit worker_detect_quorum_queues", "what is due later waits in the server"),
    (
        "worker_send_task_events worker_enable_remote_control",
        "what happens is always told, and orders are always heard",
    ),
    (
        "worker_state_db worker_deduplicate_successful_tasks",
        "the server knows what is revoked, and a result never changes",
    ),
    (
        "worker_*shutdown*",
        "a stop is warm: running calls end first, and others go back to their queue at once",
    ),
    ("worker_autoscaler", "-c says how many processes there are"),
    ("worker_direct", "a queue of one worker is a queue: -Q its_name"),
    (
        "worker_lost_wait worker_proc_alive_timeout worker_cancel_long*",
        "--lease says when a silent worker counts as dead",
    ),
    ("worker_*", "workers see to that by themselves"),
)


def instead(name: str, value: object) -> tuple[str, str] | None:
    """Return what of a setting must not be left out in silence, and what to write in its place; None for all others."""
    if name in OF_OPTIONS and isinstance(value, Mapping):
        return next(
            (
                (f"{name}[{option!r}]", _OPTIONS_INSTEAD[option])
                for option, said in value.items()
                if option in _OPTIONS_INSTEAD and said not in _NOTHING
            ),
            None,
        )
    return (name, _INSTEAD[name]) if name in _INSTEAD and value not in _NOTHING else None


def idle(found: Mapping[str, object]) -> Iterator[str]:
    """Yield the names of settings that may do nothing: of dicts of which a part counts, those of the others in it."""
    for name, value in found.items():
        used = _used(value) if name in OF_OPTIONS and isinstance(value, Mapping) else []
        if used and isinstance(value, Mapping):
            yield from (f"{name}[{option!r}]" for option in value if option not in used)
        elif name not in _INSTEAD:
            yield name


def _used(options: Mapping[str, object]) -> list[str]:
    return [*of_sentinels(options), *options_of_carriers(options)]


def why(name: str) -> str | None:
    """Return why a setting does nothing; None where it does."""
    if name in EFFECTIVE:
        return None
    fitting = (
        reason for patterns, reason in _REASONS if any(fnmatchcase(name, one) for one in patterns.split())
    )
    return next(fitting, "it has no meaning here")


_said: set[str] = set()


def fresh(names: Iterable[str]) -> list[str]:
    """Return a line for each setting that does nothing and has not been spoken of in this process."""
    found = [(name, why(name)) for name in names if name not in _said]
    _said.update(name for name, reason in found if reason is not None)
    return [f"{name} ({reason})" for name, reason in found if reason is not None]
