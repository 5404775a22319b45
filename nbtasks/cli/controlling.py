"""``nbtasks inspect``, ``control`` and ``status``: workers asked and told something from a shell."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from nbtasks.client.control import typedwords
from nbtasks.core.errors import ConfigError, OperationalError, WorkersError

from .asking import json_option, opened, where_options
from .inuse import NotInUse

if TYPE_CHECKING:
    from nbtasks.client.app import App

C = TypeVar("C", bound=Callable[..., Any])

#: Exit codes, as Celery has them: nobody is there; what was typed makes no sense. And 1: somebody did not do it.
_NOBODY, _USAGE, _FAILED = 69, 2, 1


def _whom_options(command: C) -> C:
    for option in (
        json_option,
        click.option(
            "-d", "--destination", metavar="W1,W2", multiple=True, help="Only workers of these names."
        ),
        click.option("--pattern", metavar="GLOB", help="Only workers whose names match, such as 'io*'."),
        click.option(
            "-t", "--timeout", type=float, default=1.0, show_default=True, help="Seconds for an answer."
        ),
    ):
        command = option(command)
    return command


_QUESTIONS = "\n".join(f"{word:14} {what}" for word, what in typedwords.QUESTIONS.items())
_ORDERS = "\n".join(f"{f'{word} {usage}':34} {what}" for word, (usage, what) in typedwords.ORDERS.items())


def _list_option(words: str) -> Callable[[C], C]:
    """Return the option ``--list``, which prints what can be said and ends."""

    def say(context: click.Context, _: click.Parameter, given: bool) -> None:
        if given:
            click.echo(words)
            context.exit()

    return click.option(
        "--list",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=say,
        help="List the words, and end.",
    )


@click.command(epilog="\b\n" + _QUESTIONS)
@click.argument("word", metavar="WORD", required=False)
@click.argument("rest", nargs=-1, metavar="[ID...]")
@_list_option(_QUESTIONS)
@where_options
@_whom_options
def inspect(word: str | None, rest: tuple[str, ...], **given: Any) -> None:
    """Ask all workers something, or some of them.

    Ends with 1 where one does not answer, and with 69 where nobody is there.
    """
    asked = _said(word, "inspect", typedwords.QUESTIONS)
    with _opened(given) as app:
        inspect = app.control.inspect(**_whom(given))
        replies = _or_end(lambda: typedwords.asked(inspect, asked, rest))
        _print(replies, given, inspect.absent)


@click.command(epilog="\b\n" + _ORDERS)
@click.argument("word", metavar="WORD", required=False)
@click.argument("rest", nargs=-1, metavar="[ARGUMENT...]")
@_list_option(_ORDERS)
@click.option("--cold", is_flag=True, help="With shutdown: do not let running calls end.")
@where_options
@_whom_options
def control(word: str | None, rest: tuple[str, ...], cold: bool, **given: Any) -> None:
    """Tell all workers something, or some of them.

    Ends with 1 where one does not do it or does not answer, and with 69 where nobody is there.
    """
    told = _said(word, "control", typedwords.ORDERS)
    to = {**_whom(given), **({"cold": True} if cold else {})}
    with _opened(given) as app:
        if cold and told != "shutdown":
            raise click.UsageError("--cold goes with shutdown")
        said = _or_end(lambda: typedwords.ordered(app.control, told, rest, to))
        if told in ("revoke", "terminate"):
            click.echo("{}" if given["as_json"] else "revoked")
            return
        _print(said, given)


@click.command()
@where_options
@_whom_options
def status(**given: Any) -> None:
    """List the workers, and whether they answer."""
    with _opened(given) as app:
        inspect = app.control.inspect(**_whom(given))
        replies = _or_end(lambda: typedwords.asked(inspect, "ping", ()))
        if given["as_json"]:
            _print(replies, given)
            return
        for name, reply in replies.items():
            # That it has answered is all that it says.
            line, *_ = typedwords.shown(
                name, reply, given["timeout"], absent=name in inspect.absent
            ).splitlines()
            click.echo(line)
        there = sum(reply is not None for reply in replies.values())
        click.echo(f"\n{there} node{'' if there == 1 else 's'} online.")
        _end(replies)


def _said(word: str | None, command: str, known: Iterable[str]) -> str:
    if word is None:
        raise click.UsageError(typedwords.needed(command, known))
    return word


@contextlib.contextmanager
def _opened(given: dict[str, Any]) -> Iterator[App]:
    """Open the App; where there is no server, nobody is there."""
    try:
        with opened(given["target"], given["broker"], given["connection_file"], given["namespace"]) as app:
            yield app
    except click.ClickException as error:
        if isinstance(error.__cause__, (NotInUse, OperationalError)):
            _nobody(error.message)
        raise


def _whom(given: dict[str, Any]) -> dict[str, Any]:
    names = [name.strip() for some in given["destination"] for name in some.split(",") if name.strip()]
    return {"destination": names or None, "pattern": given["pattern"], "timeout": given["timeout"]}


def _or_end(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do something; end with the exit code for what was typed wrongly, and for workers that are not there."""
    try:
        return act()
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    except WorkersError as error:
        _nobody(str(error))


def _nobody(why: str) -> NoReturn:
    click.echo(f"Error: {why}", err=True)
    sys.exit(_NOBODY)


def _print(replies: dict[str, Any], given: dict[str, Any], absent: Iterable[str] = ()) -> None:
    if given["as_json"]:
        click.echo(json.dumps(replies, default=repr))
    else:
        for name, reply in replies.items():
            click.echo(typedwords.shown(name, reply, given["timeout"], absent=name in absent))
    _end(replies)


def _end(replies: dict[str, Any]) -> None:
    if not replies:
        _nobody("no workers are there that could answer; `nbtasks worker` starts one")
    if any(reply is None or (isinstance(reply, dict) and "error" in reply) for reply in replies.values()):
        sys.exit(_FAILED)
