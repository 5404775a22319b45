"""``%tasks``, ``%workers``, loading, help and completion in a real kernel."""

import re

import pytest

from .conftest import WIDGET

pytestmark = pytest.mark.kernel


def test_loading_twice_is_harmless(kernel):
    assert "already loaded" in kernel.run("%load_ext nbtasks").stdout
    ran = kernel.run("import nbtasks; nbtasks.load_ipython_extension(get_ipython())")
    assert ran.stdout.startswith("nbtasks is loaded already")
    ran = kernel.run("from nbtasks import task\n@task\ndef one(n):\n    return 1\none.map([1])")
    assert len(ran.shown) == 1


def test_unloading_takes_everything_out(kernel):
    kernel.run("%unload_ext nbtasks")
    assert "not found" in kernel.run("%%task\n1").stderr
    assert kernel.run("one.map([1])").shown == []
    assert kernel.value("get_ipython().Completer.custom_matchers") == "[]"
    assert kernel.run("%load_ext nbtasks").status == "ok"
    assert kernel.run("%%task -b\n1").text == "1"


def test_tasks_lists_the_session(kernel):
    kernel.run("%%task -b\n# first\n1")
    kernel.run("%%task -o g for n in range(3)\n# second <b>\nif n: raise ValueError(n)")
    kernel.run("g.until_ready()")
    data = kernel.run("%tasks").data[0]
    rows = data["text/plain"].splitlines()
    assert rows[0].split()[:3] == ["id", "task", "state"]
    assert re.search(r"second <b> +done, 2 of 3 failed +3 .* default", rows[1])
    assert re.search(r"first +done +1", rows[2])
    assert "second &lt;b&gt;" in data["text/html"]


def test_tasks_shows_a_card_by_name_and_by_id(kernel):
    kernel.run("%%task -b\n# by name\n1")
    assert "by name: done" in kernel.run("%tasks by name").data[0]["text/plain"]
    short = kernel.run("%tasks").data[0]["text/plain"].splitlines()[1].split()[0]
    assert "by name: done" in kernel.run(f"%tasks {short}").data[0]["text/plain"]


def test_tasks_cancel(kernel):
    kernel.run("%%task -o a\n# sleeper\nimport time\ntime.sleep(60)")
    assert kernel.run("%tasks cancel sleeper").stdout == "Revoked 1 call of 1 run.\n"
    kernel.run("a.until_ready()")
    assert kernel.value("a.state") == "'REVOKED'"
    kernel.run("%%task -o b for n in range(5)\nimport time\ntime.sleep(60)")
    assert kernel.run("%tasks cancel all").stdout == "Revoked 5 calls of 1 run.\n"
    assert "needs ID|NAME|all" in kernel.run("%tasks cancel").stderr
    assert "has the id or the name 'nothing'" in kernel.run("%tasks cancel nothing").stderr


def test_tasks_cancel_ends_what_waits_for_a_rate_limit(kernel):
    kernel.run("%%task -o limited --rate-limit 5/h for n in range(5)\n# limited\nn")
    kernel.settle(lambda: "True" in kernel.value("'rate-limited to 5/h' in (limited.why_pending() or '')"))
    assert kernel.run("%tasks cancel limited").stdout == "Revoked 4 calls of 1 run.\n"
    assert kernel.value("limited.ready()") == "True"


def test_tasks_cancel_also_stops_what_shows_no_card(kernel):
    kernel.run("import time\n@task\ndef nap(x):\n    time.sleep(60)\nh = nap.delay(1)")
    kernel.run("%%task -o q --quiet\nimport time\ntime.sleep(60)")
    assert (
        "2 calls without a card, of delay() or --quiet, have not ended"
        in (kernel.run("%tasks").data[0]["text/plain"])
    )
    short = kernel.value("h.id.split(':')[0][-6:]").strip("'")
    assert "nap" in kernel.run(f"%tasks {short}").data[0]["text/plain"]
    assert kernel.run(f"%tasks cancel {short}").stdout == "Revoked 1 call of 1 run.\n"
    assert kernel.value("(h.state, q.ready())") == "('REVOKED', False)"
    assert kernel.run("%tasks cancel all").stdout == "Revoked 1 call of 1 run.\n"
    assert kernel.value("q.state") == "'REVOKED'"
    assert "without a card" not in kernel.run("%tasks").data[0]["text/plain"]


def test_tasks_retry_runs_the_failed_calls_again(kernel):
    kernel.run("import pathlib; mark = str(pathlib.Path('mark').resolve())")
    body = "\n# flaky\nimport pathlib\nif n < 2 and not pathlib.Path(mark).exists(): raise OSError(n)\nn"
    kernel.run(f"%%task -o g for n in range(4){body}")
    kernel.run("g.until_ready()")
    kernel.run("pathlib.Path(mark).touch()")
    ran = kernel.run("%tasks retry flaky")
    assert len(ran.shown) == 1
    assert kernel.value("g.get()") == "[0, 1, 2, 3]"


def test_a_function_that_was_corrected_is_run_again_as_it_is_now(kernel):
    kernel.run(
        "from nbtasks import task\n@task\ndef third(x): return 3 / x\n"
        "r = third.delay(0); g = third.map([1, 0]); g.until_ready()"
    )
    kernel.run("@task\ndef third(x): return 3 / x if x else None")
    kernel.run("%tasks retry third")
    assert kernel.value("g.get(), r.retry().get()") == "([3.0, None], None)"


def test_tasks_attach_brings_runs_back(kernel):
    kernel.run("%%task -b\n# kept\n1")
    ran = kernel.run("back = %tasks attach --last 1")
    assert "kept: done" in ran.data[0]["text/plain"]
    assert kernel.value("back[0].get()") == "1"
    short = kernel.run("back[0].id[-6:]").text.strip("'")
    kernel.run(f"one = %tasks attach {short}")
    assert kernel.value("one[0].name") == "'kept'"


def test_unknown_subcommands_name_the_known_ones(kernel):
    assert "did you mean `%tasks cancel`? Usage: %tasks [all] | " in kernel.run("%tasks cancle").stderr
    assert "neither a subcommand nor a run" in kernel.run("%tasks whatever").stderr
    ran = kernel.run("%workers strat 4")
    assert "%workers knows no 'strat'; did you mean `%workers start`? Usage: %workers | " in ran.stderr
    assert "'many' is not a whole number" in kernel.run("%workers start many").stderr


def test_workers_panel(kernel, eventually):
    def idle():
        # What the tests before have run may still be shown.
        data = kernel.run("%workers").data[0]
        return data if data["text/plain"].startswith("0 of") else None

    data = eventually(idle, "nothing is busy")
    title, head, row = data["text/plain"].splitlines()[:3]
    assert title == "0 of 2 slots busy"
    assert head.split() == ["worker", "queues", "host", "busy", "memory", "calls", "run", "last", "seen", "pool",
                            "Python", "pid"]  # fmt: skip
    assert "prefork 2" in row
    assert "0/2" in row
    assert "<table" in data["text/html"]


STUBBORN = """%%task -o s for n in range(3)
# stubborn
import time
until = time.monotonic() + 8
while time.monotonic() < until:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""


def test_workers_name_a_call_that_runs_though_its_run_has_ended(kernel, eventually):
    kernel.run(STUBBORN)
    eventually(lambda: kernel.value("any(x.state == 'STARTED' for x in s)"), "it runs")
    kernel.run("s.revoke(terminate=True)")
    assert kernel.value("s.ready()")

    def shown():
        data = kernel.run("%workers").data[0]["text/plain"]
        return data if " for " in data else None

    text = eventually(shown, "a child is shown with what it runs")
    assert "stubborn n=" in text
    # A worker is named once, though none has brought what was revoked before it began.
    listed = kernel.run("%tasks").data[0]["text/plain"]
    assert "more" not in next(line for line in listed.splitlines() if "stubborn" in line)


def test_misuse_of_the_management_magics_is_one_line(kernel):
    for line, said in (
        ("%workers 'x", "cannot read the line `'x`: no closing quotation"),
        ("%tasks 'x", "cannot read the line `'x`: no closing quotation"),
        ("%workers start 0", "argument n: '0' is not a whole number of 1 or more; `%workers?` shows"),
        ("%workers start 2 -c 3", "N and -c both say how many"),
        ("%workers start --env A", "'A' is not NAME=VALUE"),
        ("%tasks attach --last -1", "argument --last: '-1' is not a whole number"),
    ):
        assert said in kernel.run(line).stderr
    ran = kernel.run("%workers start 2 -q 'a b'")
    assert ran.traceback.count("\n") == 0
    assert "queue: 'a b' is not a queue name" in ran.evalue


def test_workers_start_converges_and_stop_stops(kernel):
    pid = kernel.value("__import__('nbtasks').App.current().local_workers.pid")
    assert "2 worker processes ready" in kernel.run("%workers start 2").stdout
    assert kernel.value("__import__('nbtasks').App.current().local_workers.pid") == pid
    assert (
        "1 worker process ready" in kernel.run("%workers start 1 -q default,io -P threads --threads 4").stdout
    )
    kernel.settle(lambda: "default, io" in kernel.run("%workers").data[0]["text/plain"])
    assert kernel.run("%workers logs -n 5").status == "ok"
    assert "1 worker process ready" in kernel.run("%workers start -c 1 -q io --env NBT_A=b").stdout
    assert kernel.run("%%task -b -q io\nimport os\nos.environ['NBT_A']").text == "'b'"
    assert kernel.run("%%task -b -q io\n'io'").text == "'io'"
    assert kernel.run("%workers stop").stdout == "Stopped; running calls ended first.\n"
    assert kernel.run("%workers stop").stdout == "No workers of this notebook are running.\n"
    kernel.settle(lambda: "No workers." in kernel.run("%workers").data[0]["text/plain"])
    assert "2 worker processes ready" in kernel.run("%workers start 2").stdout


def test_help_shows_the_options(kernel):
    shown = kernel.run("%%task?").page
    assert "--retry-delay" in shown
    assert "its last expression is the result" in shown


def complete(kernel, code):
    return kernel.client.complete(code, len(code), reply=True, timeout=20)["content"]


def test_options_complete_on_tab(kernel):
    assert complete(kernel, "%%task --retr")["matches"] == ["--retries", "--retry-delay", "--retry-on"]
    assert complete(kernel, "%%task -b --on-error k")["matches"] == ["keep"]
    assert complete(kernel, "x = 1\n%task --pri")["matches"] == ["--priority"]
    assert complete(kernel, "%workers st")["matches"] == ["start", "status", "stop"]
    assert complete(kernel, "%tasks can")["matches"] == ["cancel"]


def test_queues_complete_on_tab(kernel):
    kernel.run("%%task -q books -o q\n1")
    assert complete(kernel, "%%task -q b")["matches"] == ["books"]
    kernel.run("q.revoke()")


@pytest.mark.long
def test_python_still_completes_elsewhere(kernel):
    kernel.run("some_long_name = 1")
    assert complete(kernel, "%%task for u in some_lo")["matches"] == ["some_long_name"]
    assert complete(kernel, "%task f(some_lo")["matches"] == ["some_long_name"]
    assert complete(kernel, "%%task\nsome_lo")["matches"] == ["some_long_name"]


def test_a_run_that_ended_well_and_is_not_held_takes_no_memory(kernel):
    kernel.run(
        """
        import gc, weakref
        from nbtasks import task
        class Value:
            def __len__(self): return 3
        values = [Value() for _ in range(5)]
        alive = [weakref.ref(one) for one in values]
        held = task(len).map(values, label="held")
        held.get(); del held, values
        """.replace("\n        ", "\n")
    )
    kernel.settle(
        lambda: kernel.value("gc.collect() >= 0 and [one for one in alive if one() is not None]") == "[]"
    )
    # Nor does a list of such runs, which lives on and opens to their cards.
    listed = kernel.run(
        """
        values = [Value() for _ in range(5)]
        alive = [weakref.ref(one) for one in values]
        [task(len).map([value], label="listed").get() for value in values]; del values
        """.replace("\n        ", "\n")
    )
    kernel.settle(
        lambda: kernel.value("gc.collect() >= 0 and [one for one in alive if one() is not None]") == "[]"
    )
    for model in {
        data[WIDGET]["model_id"] for data in [*listed.data, *kernel.screen.values()] if WIDGET in data
    }:
        kernel.press(model, {"t": "open", "key": "4"})
    kernel.settle(lambda: any(told["key"] == "4" for told in kernel.told("opened")))
    assert re.search(r"held +done +5 ", kernel.run("%tasks").data[0]["text/plain"])


def test_workers_are_asked_and_told_as_in_a_shell(kernel):
    kernel.run("%workers start 1 --name w1")
    assert kernel.run("%workers inspect ping --pattern 'w*' --json").stdout == '{"w1": {"ok": "pong"}}\n'
    assert "no worker of this name is there" in kernel.run("%workers inspect ping -d w1 -d gone").stdout
    assert kernel.run("%workers control pool_grow --pattern 'x*' -j").stdout == "{}\n"
    for line, says in (
        ("inspect", "%workers inspect needs a word: ping, active"),
        ("control", "%workers control needs a word: shutdown"),
        ("inspect pin", "%workers inspect: 'pin' is unknown; did you mean 'ping'?"),
        ("control pool_grow 1 2", "it is used as `pool_grow [N]`"),
    ):
        ran = kernel.run(f"%workers {line}")
        assert says in ran.stderr
