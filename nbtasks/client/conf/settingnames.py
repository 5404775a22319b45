"""The names of settings: Celery's of today and of old, those of ours beside them, and what is said of a wrong one."""

from __future__ import annotations

import functools
from difflib import get_close_matches

#: Those of ours that Celery has not.
OWN = frozenset({"namespace", "key", "connection_file", "listen", "result_limit"})
#: An App's arguments whose setting Celery calls otherwise.
_ARGUMENTS = {"broker": "broker_url", "backend": "result_backend", "expires": "result_expires"}
#: Celery 5.7's, by their first words.
_CELERYS = {
    "": "accept_content result_accept_content enable_utc imports include timezone override_backends",
    "beat_": "enable_remote_control remote_control_max_tick_age max_loop_interval schedule scheduler schedule_filename "
    "sync_every cron_starting_deadline",
    "broker_": "url read_url write_url transport transport_options connection_timeout connection_retry "
    "connection_retry_on_startup connection_max_retries channel_error_retry failover_strategy heartbeat "
    "heartbeat_checkrate login_method native_delayed_delivery_queue_type pool_limit pool_acquire_timeout use_ssl host "
    "port user password vhost",
    "cache_": "backend backend_options",
    "cassandra_": "entry_ttl keyspace port read_consistency servers bundle_path table write_consistency auth_provider "
    "auth_kwargs options secure_bundle_path",
    "s3_": "access_key_id secret_access_key bucket base_path endpoint_url region",
    "azureblockblob_": "container_name retry_initial_backoff_sec retry_increment_base retry_max_attempts base_path "
    "connection_timeout read_timeout",
    "gcs_": "bucket project base_path ttl threadpool_maxsize",
    "firestore_": "project",
    "control_": "queue_ttl queue_expires queue_exclusive queue_durable exchange",
    "couchbase_": "backend_settings",
    "arangodb_": "backend_settings",
    "mongodb_": "backend_settings",
    "cosmosdbsql_": "database_name collection_name consistency_level max_retry_attempts max_retry_wait_time",
    "event_": "queue_expires queue_ttl queue_prefix queue_exclusive queue_durable serializer exchange",
    "redis_": "backend_use_ssl db host max_connections username password port socket_timeout socket_connect_timeout "
    "retry_on_timeout socket_keepalive client_name backend_health_check_interval backend_credential_provider",
    "result_": "backend cache_max compression exchange exchange_type expires chord_expires failure_expires "
    "persistent extended serializer backend_transport_options chord_retry_interval chord_join_timeout "
    "backend_max_sleep_between_retries_ms backend_max_retries backend_base_sleep_between_retries_ms "
    "backend_always_retry backend_thread_safe",
    "elasticsearch_": "retry_on_timeout max_retries timeout save_meta_as_text",
    "security_": "certificate cert_store key key_password digest",
    "database_": "url engine_options engine_callback short_lived_sessions table_schemas table_names "
    "create_tables_at_setup",
    "task_": "acks_late acks_on_failure_or_timeout acks_on_failure acks_on_timeout always_eager annotations "
    "compression create_missing_queues create_missing_queue_type create_missing_queue_exchange_type "
    "inherit_parent_priority default_delivery_mode default_queue default_queue_type default_exchange "
    "default_exchange_type default_routing_key default_rate_limit default_priority eager_propagates "
    "ignore_result store_eager_result protocol publish_retry publish_retry_policy queues "
    "queue_max_priority reject_on_worker_lost retry_on_worker_lost remote_tracebacks repr_maxlevels "
    "routes send_sent_event serializer soft_time_limit time_limit store_errors_even_if_ignored "
    "track_started allow_error_cb_on_chord_header",
    "worker_": "agent autoscaler cancel_long_running_tasks_on_connection_loss soft_shutdown_timeout "
    "enable_soft_shutdown_on_idle concurrency consumer direct disable_rate_limits deduplicate_successful_tasks "
    "enable_remote_control hijack_root_logger log_color log_datefmt log_format lost_wait max_memory_per_child "
    "max_tasks_per_child pool pool_putlocks pool_restarts pool_start_method proc_alive_timeout prefetch_multiplier "
    "eta_task_limit enable_prefetch_count_reduction disable_prefetch redirect_stdouts redirect_stdouts_level "
    "send_task_events state_db task_log_datefmt task_log_format timer timer_precision detect_quorum_queues",
}  # fmt: skip
#: What stood before the names of old in the place of today's first words.
_OF_OLD = {
    "": "CELERY_",
    "beat_": "CELERYBEAT_",
    "task_": "CELERY_",
    "worker_": "CELERYD_",
    "broker_": "BROKER_",
}
#: Names of old that follow no rule.
_ODD = {
    "CELERY_BACKEND": "result_backend",
    "CELERY_MAX_CACHED_RESULTS": "result_cache_max",
    "CELERY_TASK_RESULT_EXPIRES": "result_expires",
    "CELERY_RESULT_DBURI": "database_url",
    "CELERY_RESULT_ENGINE_OPTIONS": "database_engine_options",
    "CELERY_RESULT_DB_SHORT_LIVED_SESSIONS": "database_short_lived_sessions",
    "CELERY_RESULT_DB_TABLENAMES": "database_table_names",
    "CELERY_MESSAGE_COMPRESSION": "task_compression",
    "CELERY_EAGER_PROPAGATES_EXCEPTIONS": "task_eager_propagates",
    "CELERY_TASK_PROTOCOL": "task_protocol",
    "CELERY_TASK_PUBLISH_RETRY": "task_publish_retry",
    "CELERY_TASK_PUBLISH_RETRY_POLICY": "task_publish_retry_policy",
    "CELERY_SEND_TASK_SENT_EVENT": "task_send_sent_event",
    "CELERY_TASK_SERIALIZER": "task_serializer",
    "CELERYD_TASK_SOFT_TIME_LIMIT": "task_soft_time_limit",
    "CELERYD_TASK_TIME_LIMIT": "task_time_limit",
    "CELERY_WORKER_DIRECT": "worker_direct",
    "CELERY_DISABLE_RATE_LIMITS": "worker_disable_rate_limits",
    "CELERY_ENABLE_REMOTE_CONTROL": "worker_enable_remote_control",
    "CELERYD_WORKER_LOST_WAIT": "worker_lost_wait",
    "CELERY_REDIRECT_STDOUTS": "worker_redirect_stdouts",
    "CELERY_REDIRECT_STDOUTS_LEVEL": "worker_redirect_stdouts_level",
    "CELERY_SEND_EVENTS": "worker_send_task_events",
}
#: What a name begins with that is meant to be a setting, in a module that has other names, too.
_FIRST_WORDS = ("celery", "broker_", "task_", "worker_", "result_", "beat_", "nbtasks_")
_LIKE = 0.85


@functools.lru_cache(1)
def known() -> frozenset[str]:
    """Return the names of all settings, as they are written today."""
    celerys = (f"{first}{rest}" for first, names in _CELERYS.items() for rest in names.split())
    return OWN.union(celerys)


@functools.lru_cache(1)
def _older() -> dict[str, str]:
    found = {}
    for first, names in _CELERYS.items():
        before = _OF_OLD.get(first, f"CELERY_{first.upper()}")
        found.update({f"{before}{rest}".upper(): f"{first}{rest}" for rest in names.split()})
    return {**found, **_ODD}


def today(name: str, prefix: str = "") -> str | None:
    """Return what a setting is called today: ``broker_url`` for ``BROKER_URL``; None where there is none of this name.

    Args:
        prefix: of all names, such as ``CELERY_``, which may be left out of those of old that begin so.
    """
    bare = name[len(prefix) :] if prefix and name.upper().startswith(prefix.upper()) else name
    if prefix and bare is name:
        return None
    lower = bare.lower()
    if (bare == lower or bare.isupper()) and (lower in known() or lower in _ARGUMENTS):
        return _ARGUMENTS.get(lower, lower)
    return _older().get(name) if name.isupper() else None


def nearest(name: str, prefix: str = "") -> str | None:
    """Return the known name that is most like a wrong one, in its spelling; None where none is much like it."""
    upper = name.isupper()
    names = [*known(), *_ARGUMENTS]
    if upper:
        names = [f"{prefix}{one}".upper() for one in names] + ([] if prefix else list(_older()))
    return next(iter(get_close_matches(name, names, 1, 0.6)), None)


def is_meant(name: str) -> bool:
    """Whether a wrong name, which stands in a module among others, is meant to be that of a setting."""
    if name.lower().startswith(_FIRST_WORDS):
        return True
    return bool(get_close_matches(name.lower(), known(), 1, _LIKE))
