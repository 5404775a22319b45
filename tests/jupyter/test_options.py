"""The options of ``%%task`` and ``%task``."""

from datetime import datetime, timezone

import pytest

from nbtasks.core.options import TaskOptions
from nbtasks.jupyter.magics.flags import (
    OptionError,
    help_text,
    option_choices,
    option_names,
    parse_options,
    take_options,
    takes_queue,
)


def test_nothing_given():
    options = parse_options("")
    assert not options.block
    assert options.get == ()
    assert options.task_options() == options.call_options() == options.map_options() == {}


def test_every_option():
    options = parse_options(
        '-b -o handle -g a,b -n "wait for it" -q io --priority high --retries 3 --retry-delay 2s '
        "--retry-on TimeoutError,OSError --timeout 1m30s --soft-timeout 60 --wait 5m --countdown 10 "
        "--expires 1h --rate-limit 100/m "
        "--max-parallel 4 --chunk 50 --on-error keep --dry-run --quiet"
    )
    assert (options.block, options.out, options.get, options.name) == (
        True,
        "handle",
        ("a", "b"),
        "wait for it",
    )
    assert options.task_options() == {
        "queue": "io",
        "priority": 8,
        "retries": 3,
        "default_retry_delay": 2.0,
        "time_limit": 90.0,
        "soft_time_limit": 60.0,
        "expires": 3600.0,
        "rate_limit": "100/m",
    }
    assert options.retry_on == ("TimeoutError", "OSError")
    assert options.call_options() == {"countdown": 10.0}
    assert options.map_options() == {"max_parallel": 4, "chunk": 50, "on_error": "keep"}
    assert (options.wait, options.dry_run, options.quiet, options.here) == (300.0, True, True, False)


def test_a_rate_limit_can_be_taken_away():
    assert TaskOptions.make(parse_options("--rate-limit 0").task_options()).rate_limit is None
    assert parse_options("--rate-limit 0").task_options() == {"rate_limit": "0"}


@pytest.mark.parametrize("text", ["2030-01-31T18:00+02:00", "2030-01-31T16:00Z"])
def test_eta_with_a_zone(text):
    expected = datetime(2030, 1, 31, 16, 0, tzinfo=timezone.utc)
    assert parse_options(f"--eta {text}").eta == expected


def test_eta_without_a_zone_is_local_time():
    assert parse_options("--eta 2030-01-31T18:00").eta == datetime(2030, 1, 31, 18).astimezone()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--retrys 3", "unknown option --retrys: did you mean --retries?"),
        ("--otu x", "did you mean --out?"),
        ("--bogus", "unknown option --bogus; there are --"),
        ("-z", "unknown option -z; there are --"),
        ("--max_parallel 3", "did you mean --max-parallel?"),
        ("--retries=3 --time-out=4", "unknown option --time-out: did you mean --timeout?"),
        ("-Z", "unknown option -Z"),
        ("--retr 3", "unknown option --retr"),
        ("f(x)", "to run one expression, write `%task f(x) ...`"),
        ("--retries", "--retries: expected one argument"),
        ("--retries many", "'many' is not a whole number of 0 or more"),
        ("--timeout soon", "--timeout: 'soon' is not a duration; write seconds or 90s, 5m, 1h30m"),
        ("--timeout -3", "--timeout"),
        ("--eta tomorrow", "'tomorrow' is not a time"),
        ("--rate-limit 10/d", "--rate-limit: rate_limit: '10/d' is not a rate; write 10/s, 100/m or 5/h"),
        ("--max-parallel 0", "'0' is not a whole number of 1 or more"),
        ("--priority urgent", "--priority: priority: 'urgent' is not one of low, normal, high or 0 to 9"),
        ("-q 'a b'", "'a b' is not a queue name"),
        ("--on-error ignore", "--on-error: invalid choice: 'ignore'"),
        ("-o 1x", "'1x' is not a variable name"),
        ("-g ,", "name at least one"),
        ("-n 'open", "cannot read the options `-n 'open`: no closing quotation"),
        ("-b -a", "give one of them"),
        ("-g x -a", "give one of them"),
        ("--wait 3", "so it needs one of them"),
        ("--countdown 3 --eta 2030-01-01", "give one of them"),
        ("--here --countdown 3", "--here runs the task in this kernel, now"),
    ],
)
def test_what_is_wrong_is_named(line, message):
    with pytest.raises(OptionError) as caught:
        parse_options(line)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("line", "options", "expression"),
    [
        ("f(x)", "", "f(x)"),
        ("-q io f(x, -1)", "-q io", "f(x, -1)"),
        ("-qio --retries=3 -b f(x)", "-qio --retries=3 -b", "f(x)"),
        ('-n "a name" --timeout 5m f("a  b")', '-n "a name" --timeout 5m', 'f("a  b")'),
        ("-b -- -x", "-b", "-x"),
        ("-1", "", "-1"),
        ("--unknown f(x)", "--unknown", "f(x)"),
        ("", "", ""),
        ("f -q io", "", "f -q io"),
    ],
)
def test_the_options_of_a_line_end_where_the_expression_begins(line, options, expression):
    assert take_options(line) == (options, expression)


def test_help_names_every_option():
    shown = help_text()
    for name, _ in option_names():
        assert name in shown


def test_what_completion_asks():
    assert ("--retries", True) in option_names()
    assert ("--block", False) in option_names()
    assert option_choices("--on-error") == ["raise", "keep", "stop"]
    assert option_choices("--priority") == ["low", "normal", "high"]
    assert option_choices("--chunk") == ["auto"]
    assert option_choices("--rate-limit") == ["10/s", "100/m", "5/h"]
    assert option_choices("--retries") == option_choices("--nonsense") == []
    assert takes_queue("-q")
    assert takes_queue("--queue")
    assert not takes_queue("-n")


def test_how_many_run_at_once_is_an_option_of_the_task():
    assert parse_options("--at-once 2").task_options() == {"max_concurrency": 2}
    with pytest.raises(
        OptionError, match=r"argument --at-once: at-once: 0 is not a whole number from 1 to 1,000"
    ):
        parse_options("--at-once 0")
    with pytest.raises(OptionError, match=r"at-once: 'two' is not"):
        parse_options("--at-once two")
