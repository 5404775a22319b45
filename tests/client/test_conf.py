"""``app.conf``: Celery's names in both spellings, where they come from, and what is said of those that do nothing."""

from __future__ import annotations

import ssl
import sys
import types
import warnings

import pytest

from nbtasks import App, ConfigError


@pytest.fixture
def app(home):
    with App("settings") as app:
        yield app


@pytest.fixture
def written(project, written_modules, monkeypatch):
    """``written("name", "source")`` writes a module into the working folder, which Python looks into."""
    monkeypatch.syspath_prepend(str(project))

    def write(name: str, source: str) -> None:
        written_modules.add(name)
        (project / f"{name}.py").write_text(source)

    return write


def test_both_spellings_as_attributes_and_as_items(app):
    app.conf.update(BROKER_URL="redis://one/1", result_expires="2h")
    assert app.conf.broker_url == app.conf["broker_url"] == app.conf["BROKER_URL"] == "redis://one/1"
    app.conf["CELERY_TASK_RESULT_EXPIRES"] = 300
    assert app.conf.result_expires == 300
    app.conf.CELERYD_CONCURRENCY = 3
    assert app.conf.worker_concurrency == app.conf.get("worker_concurrency") == 3
    assert app.conf.get("worker_pool", "prefork") == "prefork"
    assert {"broker_url", "result_expires", "worker_concurrency"} <= set(app.conf)
    del app.conf["worker_concurrency"]
    assert app.conf.worker_concurrency is None


def test_the_broker_is_the_one_that_was_set_last(app):
    app.conf.broker_url = "redis://localhost:1/5"
    assert app.told == app.connection.address == "redis://localhost:1/5"
    with pytest.raises(ConfigError, match=r"broker_url cannot be set any more, for this App is connected"):
        app.conf.broker_url = "redis://elsewhere"
    # The same again changes nothing.
    app.conf.broker_url = "redis://localhost:1/5"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("broker_ulr", "broker_url"),
        ("BROKER_ULR", "BROKER_URL"),
        ("CELERY_IMPORT", "CELERY_IMPORTS"),
        ("namespce", "namespace"),
        ("celeryd_concurency", "worker_concurrency"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_one(app, name, near):
    for use in (
        lambda: app.conf[name],
        lambda: getattr(app.conf, name),
        lambda: app.conf.update({name: 1}),
        lambda: setattr(app.conf, name, 1),
        lambda: app.config_from_object({name: 1}),
    ):
        with pytest.raises(ConfigError, match=rf"no setting '{name}'; did you mean '{near}'\?"):
            use()
    assert not hasattr(app.conf, "no_such_thing_at_all")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("broker_url", "redis://host:port", "broker"),
        ("worker_concurrency", 0, "worker_concurrency: 0 is not"),
        ("worker_pool", "gevent", "worker_pool: gevent is not there: .*async def"),
        ("worker_pool", "my.Pool", "worker_pool: 'my.Pool' is not one of prefork"),
        ("result_expires", "soon", "result_expires"),
        ("result_backend", "django-db", "result_backend: results are kept on the broker's own server"),
        ("result_backend", 5, "result_backend: a URL is a text, not int"),
        ("imports", [1], "imports: .* is not a list of modules' names"),
        ("imports", "proj.tasks,mail.tasks", "imports: .* is not a list of modules' names, such as"),
        ("imports", {"proj": 1}, "imports: .* is not a list of modules' names"),
        ("namespace", "a b", "namespace"),
        ("result_limit", "much", "result_limit"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_set(app, name, value, said):
    with pytest.raises(ConfigError, match=rf"^conf: {said}"):
        app.conf[name] = value
    assert name not in app.conf


@pytest.mark.parametrize(
    "name", ["BROKER_HOST", "broker_transport", "broker_use_ssl", "CELERY_REDIS_BACKEND_USE_SSL"]
)
def test_what_would_send_calls_elsewhere_is_refused_with_what_to_write(app, name):
    with pytest.raises(ConfigError, match=r"is not known here: .*redis"):
        app.conf[name] = "amqp"


@pytest.mark.parametrize(
    ("setting", "option", "value", "said"),
    [
        ("broker_transport_options", "global_keyprefix", "one:", "namespace="),
        ("result_backend_transport_options", "global_keyprefix", "one:", "namespace="),
        ("broker_transport_options", "ssl", {"ssl_cert_reqs": 2}, "rediss://.*ssl_ca_certs="),
        ("BROKER_TRANSPORT_OPTIONS", "client_name", "me", "client_name=me"),
    ],
)
def test_options_of_a_transport_that_say_where_calls_go_are_refused(app, setting, option, value, said):
    with pytest.raises(ConfigError, match=rf"options\['{option}'\] is not known here: .*{said}"):
        app.conf[setting] = {"visibility_timeout": 3600, option: value}
    with pytest.raises(ConfigError, match=said):
        app.config_from_object({setting: {option: value}})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "broker_use_ssl",
            {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "/s3cr3t"},
            r"\?ssl_ca_certs=",
        ),
        ("redis_backend_use_ssl", {"ssl_cert_reqs": ssl.CERT_NONE}, r"\?ssl_ca_certs="),
        ("broker_use_ssl", True, "rediss://"),
        ("redis_host", "elsewhere", "broker_url names"),
        ("redis_db", 3, "broker_url names.* beside a RabbitMQ .* result_backend"),
        ("redis_backend_credential_provider", "s3cr3t", "user and password"),
        ("REDIS_PASSWORD", "s3cr3t", "broker_url names"),
        ("CELERY_REDIS_PASSWORD", "s3cr3t", "broker_url names"),
        ("broker_read_url", "redis://s3cr3t@host", "one server"),
        ("broker_url", "redis://one;redis://s3cr3t@two", "on one server"),
        ("broker_url", ["redis://one", "redis://s3cr3t@two"], "on one server"),
        ("broker_url", "stomp://s3cr3t@h", r"stomp:// \(STOMP"),
    ],
)
def test_what_changes_where_calls_go_or_how_safely_is_refused(app, name, value, said):
    for use in (lambda: app.conf.update({name: value}), lambda: app.config_from_object({name: value})):
        with pytest.raises(ConfigError, match=said) as caught:
            use()
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("redis_client_name", "redis_backend_health_check_interval", "result_backend_thread_safe"),
        *("override_backends", "CASSANDRA_SECURE_BUNDLE_PATH", "gcs_threadpool_maxsize", "firestore_project"),
    ],
)
def test_what_celery_knows_of_its_backends_is_no_error(app, name):
    with pytest.warns(UserWarning, match="does nothing here, leave it out"):
        app.conf[name] = "x"


def test_what_has_no_meaning_here_is_said_once(app):
    with pytest.warns(
        UserWarning, match=r"do nothing here, leave them out: task_serializer \(values are pickled.*"
    ) as said:
        app.conf.update(task_serializer="json", CELERYD_PREFETCH_MULTIPLIER=1)
    assert "worker_prefetch_multiplier" in str(said[0].message)
    assert len(said) == 1
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        app.conf.task_serializer = "yaml"
    # It is kept for those who ask.
    assert app.conf.task_serializer == "yaml"


def test_settings_from_a_module(app, written):
    written(
        "cfg_module",
        "import os\nbroker_url = 'redis://of-module/2'\nCELERY_IMPORTS = ('one', 'two')\nhere = os.name\n",
    )
    app.config_from_object("cfg_module")
    assert "cfg_module" not in sys.modules
    assert app.conf.broker_url == "redis://of-module/2"
    assert app.include == ("one", "two")


@pytest.mark.parametrize("source", ["cfg_classes:Config", "cfg_classes.Config"])
def test_settings_from_a_class_by_its_name(app, written, source):
    written(
        "cfg_classes",
        "class Config:\n    result_expires = 60\n    include = ['a']\n    def helper(self): ...\n",
    )
    app.config_from_object(source)
    assert app.conf.result_expires == 60
    assert app.include == ("a",)


def test_settings_from_an_object_and_from_a_mapping(app):
    app.config_from_object(types.SimpleNamespace(broker_url="redis://of-object"))
    assert app.conf.broker_url == "redis://of-object"
    app.config_from_object({"BROKER_URL": "redis://of-mapping"})
    assert app.conf.broker_url == "redis://of-mapping"


def test_only_names_of_the_namespace_are_settings(app):
    source = types.SimpleNamespace(
        DEBUG=True, BROKER_URL="redis://no", CELERY_BROKER_URL="redis://yes", CELERY_RESULT_EXPIRES=61
    )
    app.config_from_object(source, namespace="CELERY")
    assert (app.conf.broker_url, app.conf.result_expires) == ("redis://yes", 61)
    with pytest.raises(
        ConfigError, match=r"no setting 'CELERY_BROKR_URL'; did you mean 'CELERY_BROKER_URL'\?"
    ):
        app.config_from_object({"CELERY_BROKR_URL": "redis://x"}, namespace="CELERY")


def test_arguments_and_what_is_set_count_before_what_is_read(home, written, monkeypatch):
    written(
        "cfg_around",
        "broker_url = 'redis://around'\nresult_expires = 10\nresult_limit = 1000\nimports = 'm'\n",
    )
    monkeypatch.setenv("NBTASKS_CONFIG_MODULE", "cfg_around")
    with App(broker="redis://argument") as app:
        app.config_from_object({"broker_url": "redis://read", "result_expires": 20, "worker_concurrency": 2})
        assert app.conf.broker_url == "redis://argument"
        assert (app.conf.result_expires, app.conf.result_limit, app.include) == (20, 1000, ("m",))
        app.conf.result_expires = 30
        assert app.conf.result_expires == 30


def test_a_setting_said_twice_in_one_place(app):
    with pytest.raises(ConfigError, match=r"BROKER_URL and another spelling of broker_url say two things"):
        app.config_from_object({"broker_url": "redis://a", "BROKER_URL": "redis://b"})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", r"is no module's name"),
        ("no_such_config", r"config_from_object\('no_such_config'\): there is no module 'no_such_config'"),
        ("cfg_broken", r"module 'cfg_broken' cannot be imported .*ZeroDivisionError"),
        ("cfg_broken:Missing", r"module 'cfg_broken' cannot be imported"),
        ("cfg_fine:Missing", r"module cfg_fine has no 'Missing'"),
        ("cfg_misspelt", r"config_from_object\('cfg_misspelt'\): there is no setting 'broker_ulr'"),
        ("cfg_wrong", r"config_from_object\('cfg_wrong'\): result_expires"),
    ],
)
def test_what_is_wrong_with_a_module_is_one_sentence(app, written, source, said):
    written("cfg_fine", "broker_url = 'redis://x'\n")
    written("cfg_broken", "1 / 0\n")
    written("cfg_misspelt", "broker_ulr = 'redis://x'\n")
    written("cfg_wrong", "result_expires = 'soon'\n")
    with pytest.raises(ConfigError, match=said):
        app.config_from_object(source, force=True)


def test_a_missing_module_is_said_at_the_call_unless_silent(app):
    with pytest.raises(ConfigError, match="no module"):
        app.config_from_object("no_such_config")
    app.config_from_object("no_such_config", silent=True)
    assert app.conf.broker_url is None


def test_a_module_that_a_variable_names(app, written, monkeypatch):
    written("cfg_variable", "result_expires = 77\n")
    with pytest.raises(ConfigError, match=r"PROJECT_CONFIG is not set; have it name a module"):
        app.config_from_envvar("PROJECT_CONFIG")
    app.config_from_envvar("PROJECT_CONFIG", silent=True)
    monkeypatch.setenv("PROJECT_CONFIG", "cfg_variable")
    app.config_from_envvar("PROJECT_CONFIG")
    assert app.conf.result_expires == 77


def test_a_backend_that_is_another_server_is_refused(app):
    app.conf.update(broker_url="redis://localhost:1", result_backend="redis://elsewhere")
    with pytest.raises(ConfigError, match=r"^backend: results are kept on the broker's own server"):
        _ = app.connection


def test_the_brokers_own_server_is_a_backend(app):
    app.config_from_object(
        {"broker_url": "redis://localhost:1/0", "CELERY_RESULT_BACKEND": "redis://localhost:1/1"}
    )
    with pytest.warns(UserWarning, match="results are kept in the broker's database, 0, and not in 1"):
        assert app.connection.address == "redis://localhost:1/0"


def test_passwords_are_not_shown(app):
    app.conf.update(broker_url="redis://:pass" + "word@host/1", key="k" * 32)
    assert "password" not in repr(app.conf)
    assert "kkk" not in repr(app.conf)
    assert "redis://host" in repr(app.conf)


def test_an_app_that_nobody_configures_loads_no_module(app):
    assert app.conf.broker_url is None
    assert repr(app.conf) == "<Conf >"


def test_workers_run_as_settings_say(home):
    with App() as app:
        app.conf.update(worker_concurrency=1, worker_max_tasks_per_child=50)
        app.start_workers()
        assert (app.local_workers.options.concurrency, app.local_workers.options.max_tasks_per_child) == (
            1,
            50,
        )


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (
            lambda app: app.conf.update("celeryconfig"),
            "update takes a mapping of settings.*config_from_object",
        ),
        (lambda app: app.conf.update(None), "update takes a mapping"),
        (
            lambda app: app.config_from_object(None),
            r"config_from_object\(None\): it takes a module or its name",
        ),
        (lambda app: app.config_from_object(["celeryconfig"]), "it takes a module or its name"),
        (
            lambda app: app.config_from_object("celeryconfig.py"),
            "that is a file; name its module, 'celeryconfig'",
        ),
        (lambda app: app.conf.update(task_time_limit=5, task_soft_time_limit=9), "would never be reached"),
        (lambda app: setattr(app, "conf", {}), r"app.conf stays: set what is in it, app.conf.update"),
    ],
)
def test_wrong_uses_say_what_to_write(app, use, said):
    with pytest.raises(ConfigError, match=said):
        use(app)


def test_it_is_a_mapping_as_others(app):
    assert "no_such_setting" not in app.conf
    assert app.conf.pop("task_time_limit", 3) == 3
    assert app.conf.setdefault("task_time_limit", 5) == app.conf.setdefault("task_time_limit", 6) == 5
    assert app.conf.pop("CELERYD_TASK_TIME_LIMIT") == 5
    with pytest.raises(KeyError):
        app.conf.pop("task_time_limit")
    assert (app.conf.task_default_queue, app.conf.task_acks_late) == ("default", True)
    app.conf.worker_pool = "processes"
    assert app.conf.worker_pool == "prefork"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (["redis://one/2"], "redis://one/2"),
        (("sentinel://one", "sentinel://two/3"), "sentinel://one,two/3?master_name=m"),
    ],
)
def test_a_list_of_urls_is_one_or_sentinels(home, given, url):
    with App() as app:
        app.conf.broker_url = given
        if "sentinel" in url:
            app.conf.broker_transport_options = {"master_name": "m"}
        app.conf.result_backend = given
        assert app.connection.url == url


def test_an_app_takes_such_a_list_itself(home):
    with App(broker=["redis://one/2"], backend=("redis://one/2",)) as app:
        assert app.connection.url == app.conf.broker_url == "redis://one/2"
    watched = ["sentinel://one", "sentinel://two/3?master_name=m"]
    with App(broker=watched) as app:
        assert app.connection.url == "sentinel://one,two/3?master_name=m"


@pytest.mark.parametrize("given", [["redis://one", "redis://two"], ["amqp://one", "amqp://two"]])
def test_an_app_refuses_several_servers(home, given):
    with pytest.raises(ConfigError, match="broker: these are several URLs"):
        App(broker=given, backend="redis://one")


@pytest.mark.parametrize(
    "given", [["redis://one", "redis://two"], ["amqp://one", "amqp://two"], ["redis://one", 5]]
)
def test_other_lists_are_refused(home, given):
    with (
        App() as app,
        pytest.raises(ConfigError, match=r"these are several URLs|a URL is a text, not list"),
    ):
        app.conf.broker_url = given
