"""Cells that run again and again, in a real kernel: ``%%task --every``, ``--cron``, and ``%tasks schedule``."""

from __future__ import annotations

import pytest

from .conftest import WIDGET

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def _nothing_left(kernel):
    yield
    kernel.run("for one in nbtasks.App.current().periodic_tasks(): one.remove()")


@pytest.fixture(autouse=True, scope="module")
def _imported(kernel):
    kernel.run("import nbtasks")


def test_a_cell_runs_again_and_again(kernel):
    kernel.run("base = 40")
    ran = kernel.run("%%task --every 0.3 -n sweep -o s\nbase + 2")
    assert ran.status == "ok", ran.stderr
    assert len(ran.data) == 1
    shown = ran.data[0]["text/plain"]
    assert "sweep  every 0.3 s" in shown
    assert "It ends when this notebook's kernel ends; with --keep it goes on." in shown
    kernel.settle(lambda: kernel.value("s.count > 1") == "True")
    assert kernel.value("s.last().get(timeout=20)") == "42"
    assert kernel.value("s.facts.ends_with") == "'this process'"
    # What it captures is what stood there when the cell ran.
    kernel.run("base = 0")
    kernel.run("n = s.count")
    kernel.settle(lambda: kernel.value("s.count > n + 1") == "True")
    assert kernel.value("s.last().get(timeout=20)") == "42"


def test_a_cell_that_is_run_again_replaces_its_schedule(kernel):
    kernel.run("%%task --every 1h -o s\n# tidy\n1")
    kernel.run("%%task --every 1h -o s\n# tidy\n2")
    listed = kernel.run("%tasks schedule").data[0]["text/plain"]
    assert listed.count("tidy") == 1
    assert kernel.run("r = s.run_now()").status == "ok"
    assert kernel.value("r.get(timeout=20)") == "2"


def test_a_crontab_and_a_zone(kernel):
    ran = kernel.run('%%task --cron "0 6 * * MON-FRI" --tz Europe/Berlin -n morning --keep --missed skip\n1')
    shown = ran.data[0]["text/plain"]
    assert "0 6 * * 1-5 (Europe/Berlin)" in shown
    assert "It goes on when this notebook is closed" in shown
    assert "`%tasks schedule remove morning` in any notebook, ends it." in shown


def test_with_a_for_clause_each_run_is_a_map(kernel):
    kernel.run("%%task --every 1h -n many -o s --queue default for n in range(3)\nn * n")
    kernel.run("r = s.run_now()")
    assert kernel.value("r.get(timeout=20)") == "[0, 1, 4]"


def test_a_clause_without_items_is_no_schedule(kernel):
    assert "the clause has no items" in kernel.run("%%task --every 1h -n empty for n in []\nn").evalue


def test_a_clause_without_an_end_is_refused(kernel):
    kernel.run("import itertools")
    ran = kernel.run("%%task --every 1h -n endless for n in itertools.count()\nn")
    assert "the clause has more than 200,000 items" in ran.stderr
    assert kernel.value("nbtasks.App.current().periodic_tasks()") == "[]"


def test_a_handle_at_the_end_of_a_cell_shows_the_card(kernel):
    kernel.run("%%task --every 1h -n shown -o s --quiet\n1")
    (data,) = kernel.run("s").data
    assert "shown  every 1 h" in data["text/plain"]
    assert WIDGET in data


def test_lines_below_a_list_say_which_one_they_are_about(kernel):
    kernel.run("%%task --every 1h -n first --quiet\n1")
    assert "\ncode of " in kernel.run("%tasks schedule").data[0]["text/plain"]
    kernel.run("%%task --every 2h -n second --quiet\n2")
    listed = kernel.run("%tasks schedule").data[0]
    for name in ("first", "second"):
        assert f"\n{name}: code of " in listed["text/plain"]
        assert f"{name}: code of " in listed["text/html"]


def test_an_expression_runs_again_and_again(kernel):
    kernel.run("@nbtasks.task\ndef add(x, y): return x + y")
    ran = kernel.run("%task --every 1h -n adding -o s add(40, 2)")
    assert ran.status == "ok", ran.stderr
    kernel.run("r = s.run_now()")
    assert kernel.value("r.get(timeout=20)") == "42"


def test_what_is_done_with_it_on_a_line(kernel):
    kernel.run("%%task --every 1h -n line --quiet\n1")
    assert kernel.run("%tasks schedule pause line").stdout == "line pauses.\n"
    shown = kernel.run("%tasks schedule line").data[0]["text/plain"]
    assert "paused" in shown
    assert "code of" in shown
    # Of due times that were passed over nothing is said where there are none.
    assert "left out" not in shown
    assert "missed" not in shown
    assert kernel.run("%tasks schedule resume line").stdout == "line goes on.\n"
    assert "line runs now" in kernel.run("%tasks schedule run line").stdout
    assert kernel.run("%tasks schedule remove line").stdout == "line is removed.\n"
    assert "there is no periodic task 'line'" in kernel.run("%tasks schedule line").stderr
    assert "No periodic tasks." in kernel.run("%tasks schedule").data[0]["text/plain"]
    assert "needs a NAME" in kernel.run("%tasks schedule pause").stderr
    assert "did you mean `%tasks schedule remove line`?" in kernel.run("%tasks schedule remov line").stderr
    for action in ("run", "pause", "resume", "remove"):
        assert "There is no periodic task 'line'" in kernel.run(f"%tasks schedule {action} line").stdout
    kernel.run("%%task --every 1h -n line --quiet\n1")
    assert "did you mean 'line'?" in kernel.run("%tasks schedule pause lin").stdout


def test_the_card_is_live_and_has_buttons(kernel):
    ran = kernel.run("%%task --every 1h -n live\n1", watched=True)
    model = next(data[WIDGET]["model_id"] for data in ran.data if WIDGET in data)
    kernel.press(model, {"t": "hello"})
    kernel.press(model, {"t": "look"})
    kernel.press(model, {"t": "do", "action": "pause", "key": "live"})
    kernel.settle(lambda: any("live pauses." in str(told) for told in kernel.told("said")))
    kernel.press(model, {"t": "do", "action": "remove", "key": "live"})
    kernel.settle(lambda: any("has ended" in str(told) for told in kernel.told("panel")))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--every 5m --cron '* * * * *'", "give one of them"),
        ("--every soon", "not a duration"),
        ("--every 0", "under 0.1 s"),
        ("--cron daily", "no line of a crontab"),
        ("--every '15 m'", "'15 m' is neither an interval without spaces"),
        ("--every @daily", "say --cron '@daily'"),
        ("--cron '61 * * * *'", "61 is not from 0 to 59"),
        ("--cron '* * * * *' --tz Berlin", "do you mean 'Europe/Berlin'"),
        ("--every 5m --tz Europe/Berlin", "--tz is for --cron"),
        ("--keep", "add --every 15m"),
        ("--missed all", "add --every 15m"),
        ("--every 5m -b", "-b waits for one value"),
        ("--every 5m -g x", "-g takes one value"),
        ("--every 5m --memo", "--memo would give each run the result of the first one"),
        ("--every 5m --countdown 5", "--countdown and --every both say when"),
        ("--cron '* * * * *' --eta 2030-01-01T00:00", "--eta and --cron both say when"),
        ("--every 5m --after r", "--after waits for runs"),
        ("--every 5m --here", "--here runs the cell in this kernel"),
        ("--every 5m --max-parallel 2 for n in range(3)", "--max-parallel needs this notebook"),
        ("--every 5m --on-error stop for n in range(3)", "--on-error is for who takes the results"),
    ],
)
def test_options_that_do_not_go_together(line, said):
    from nbtasks.jupyter.magics.clause import split_clause
    from nbtasks.jupyter.magics.flags import OptionError, parse_options

    with pytest.raises(OptionError, match=said):
        parse_options(split_clause(line)[0])


def test_two_notebooks_do_not_take_each_others_names(kernel):
    kernel.run(
        "other = nbtasks.App('other')\n"
        "_ = other.add_periodic_task(3600, other.task(lambda: 1).s(), name='shared')\n"
        "kernel_app = nbtasks.App('mine')"
    )
    ran = kernel.run("%%task --every 1h -n shared\n1")
    assert "of another notebook or script: give this one another name" in ran.evalue
    kernel.run("other.close(); kernel_app.close()")
