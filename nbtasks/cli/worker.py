"""``nbtasks worker``: a worker in the foreground."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from nbtasks.client.conf.checking import of_workers
from nbtasks.client.conf.logforms import log_forms
from nbtasks.core.cpus import usable_cpus
from nbtasks.core.durations import seconds
from nbtasks.core.errors import ConfigError, NbtasksError
from nbtasks.core.keywords import WorkerKeywords, meanings
from nbtasks.core.nodenames import node_file, node_name
from nbtasks.core.workeroptions import OUTPUTS, POOLS, WorkerOptions
from nbtasks.local.processes.maththreads import share_cpus

from .beating import declare_beside
from .celerywords import Bounds, PoolKind, loglevel_option, without_meaning
from .named import node_named
from .project import connected, project_app, project_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtasks.client.app import App


def _said(option: str) -> str:
    text = meanings(WorkerKeywords)[option]
    return f"{text[0].upper()}{text[1:]}."


@click.command()
@project_options("Module with an App: its broker, its includes.")
@click.option(
    "-c", "--concurrency", type=click.IntRange(1, 1024), metavar="N", help="Children.  [default: CPUs]"
)
@click.option("-Q", "--queues", default="default", metavar="Q1,Q2", show_default=True, help=_said("queues"))
@click.option(
    "-P",
    "--pool",
    type=PoolKind(),
    metavar=f"[{'|'.join(POOLS)}]",
    default="prefork",
    show_default=True,
    help=_said("pool"),
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    default=32,
    show_default=True,
    help=_said("threads"),
)
@loglevel_option(_said("loglevel"))
@click.option("-f", "--logfile", type=click.Path(dir_okay=False), metavar="FILE", help=_said("logfile"))
@click.option(
    "--output",
    type=click.Choice(OUTPUTS),
    default="log",
    show_default=True,
    help=_said("output"),
)
@click.option("-n", "--name", "--hostname", callback=node_named, metavar="NAME", help=_said("name"))
@click.option(
    "--autoscale",
    type=Bounds(),
    metavar="MAX,MIN",
    help="As many children as there is work for, within these bounds; in place of -c.",
)
@click.option("--max-tasks-per-child", type=click.IntRange(1), metavar="N", help=_said("max_tasks_per_child"))
@click.option(
    "--max-memory-per-child", type=click.IntRange(1), metavar="KIB", help=_said("max_memory_per_child")
)
@click.option(
    "--lease",
    default="15s",
    show_default=True,
    metavar="TIME",
    help=_said("lease"),
)
@click.option("-B", "--beat", is_flag=True, help="Fire periodic tasks, as it does without that as well.")
@click.option(
    "--no-beat", is_flag=True, help="Leave periodic tasks to others: other workers, or `nbtasks beat`."
)
@without_meaning
def worker(
    target: str | None, broker: str | None, connection_file: str | None, namespace: str | None, **given: Any
) -> None:
    """Run a worker here, in the foreground.

    TERM and the first Ctrl-C end it after its running calls; QUIT and the second Ctrl-C end it at once.
    """
    from nbtasks.worker import end_soon

    try:
        code = end_soon(_serve(target, broker, connection_file, namespace, given))
    except NbtasksError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, RuntimeError) as error:
        from nbtasks.local import hindrance

        raise click.ClickException(f"the worker cannot go on: {hindrance.explain_any(error)}") from error
    sys.exit(code)


def _serve(
    target: str | None, broker: str | None, file: str | None, namespace: str | None, given: dict[str, Any]
) -> int:
    if sys.platform == "win32":
        raise click.ClickException("workers run on Linux and macOS only; on Windows, use Python in WSL")
    # Before the App's module is imported, and with it numpy.
    share_cpus(1 if given["pool"] == "solo" else given["concurrency"] or usable_cpus())
    app, include = project_app(target, broker, file, namespace)
    try:
        options = _options(given, include, app)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    connection, lease = connected(app, broker, file, namespace)
    if app is not None:
        # What its tasks submit in this worker goes where the worker listens, whatever the App was told.
        app.go_to(connection)

    from nbtasks.worker import run

    def begun(_: dict[str, Any]) -> None:
        if lease is not None:
            lease.keep_up()
        if options.beat is not False:
            declare_beside(app, connection, target)

    try:
        # Not before it is ready: children are forked from a process without threads.
        return run(connection, options, on_ready=begun, tasks=lambda: _tasks(app))
    finally:
        if lease is not None:
            lease.close()


def _tasks(app: App | None) -> list[str]:
    return list(app.tasks) if app is not None else []


def _beat(given: Mapping[str, Any]) -> bool | None:
    """Return whether periodic tasks are fired here; None where nobody has said it, which means yes."""
    if given["beat"] and given["no_beat"]:
        raise ConfigError("--beat and --no-beat contradict each other: give one of them")
    return False if given["no_beat"] else True if given["beat"] else None


def _logfile(text: str | None, name: str | None) -> str | None:
    return None if text is None else node_file(text, None if name is None else node_name(name))


def _options(given: dict[str, Any], include: tuple[str, ...], app: App | None) -> WorkerOptions:
    if app is not None:
        # What is said on the command line counts before settings, and those before what it is otherwise.
        source = click.get_current_context().get_parameter_source
        own = of_workers(app.conf)
        given = {**given, **{name: own[name] for name in own if source(name) is ParameterSource.DEFAULT}}
    said = given["queues"].split(",") if isinstance(given["queues"], str) else given["queues"]
    queues = tuple(dict.fromkeys(name.strip() for name in said if name.strip()))
    return WorkerOptions(
        concurrency=given["concurrency"] or usable_cpus(),
        queues=queues,
        pool=given["pool"],
        threads=given["threads"],
        name=given["name"],
        loglevel=given["loglevel"],
        log_forms={} if app is None else log_forms(app.conf),
        logfile=_logfile(given["logfile"], given["name"]),
        output=given["output"],
        autoscale=given["autoscale"],
        max_tasks_per_child=given["max_tasks_per_child"],
        max_memory_per_child=given["max_memory_per_child"],
        lease_s=seconds(given["lease"], "lease"),
        include=include,
        beat=_beat(given),
    )
