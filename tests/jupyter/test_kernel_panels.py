"""The live lists of runs and of workers, as the kernel feeds them and does what their buttons say."""

from __future__ import annotations

import pytest

from .conftest import WIDGET

pytestmark = pytest.mark.kernel

SLOW = "%%task -o h for n in range(6)\n# slow\nimport time\nprint('begins')\ntime.sleep(60)"


def opened(kernel, line):
    """Show a panel, as a page that is looked at; returns its model."""
    (data,) = kernel.run(line).data
    model = data[WIDGET]["model_id"]
    kernel.press(model, {"t": "look"})
    return model


def rows(kernel, key="panel"):
    """The cells of the panel's rows as they were told last."""
    told = kernel.told("panel")
    return [" | ".join(row["cells"]) for row in told[-1]["panel"]["rows"]] if told else []


def answer(kernel, model, action, key):
    before = len(kernel.told("said"))
    kernel.press(model, {"t": "do", "action": action, "key": key})
    kernel.settle(lambda: len(kernel.told("said")) > before)
    return kernel.told("said")[-1]["text"]


def test_a_list_of_runs_changes_while_it_is_looked_at_and_its_buttons_act(kernel):
    model = opened(kernel, "%tasks")
    kernel.run(SLOW)
    kernel.settle(lambda: rows(kernel) and "running, 0 of 6" in rows(kernel)[0])
    key = kernel.value("h.id").strip("'")
    kernel.settle(lambda: "begins" in answer(kernel, model, "logs", key))
    assert answer(kernel, model, "cancel", key) == "Revoked 6 calls of 1 run."
    kernel.settle(lambda: "| cancelled |" in rows(kernel)[0])
    assert "nobody has recorded" in answer(kernel, model, "cancel", "f" * 20)
    shown = len(kernel.screen)
    assert "is below" in answer(kernel, model, "card", key)
    kernel.settle(lambda: len(kernel.screen) > shown)

    # Nobody looks: nothing is told, until somebody does again.
    kernel.press(model, {"t": "away"})
    # The card tells its saved form, too.
    kernel.settle(lambda: any("submitted" in still["data"]["text/html"] for still in kernel.told("still")))
    # What was about to be told then.
    kernel.run("%%task -b\n# unseen\n1")
    before = len(kernel.told("panel"))
    kernel.run("%%task -b\n# unseen\n1")
    assert len(kernel.told("panel")) == before
    kernel.press(model, {"t": "look"})
    kernel.settle(lambda: "unseen" in rows(kernel)[0])


def test_the_list_of_everybodys_runs_says_whose_they_are(kernel):
    kernel.run("%%task -b\n# mine\n1")
    text = kernel.run("%tasks all").data[0]["text/plain"]
    assert "mine" in text.splitlines()[1]
    assert text.splitlines()[1].endswith("this session")


@pytest.mark.long
def test_the_list_of_workers_says_what_each_child_does_and_scales(kernel, eventually):
    model = opened(kernel, "%workers")
    kernel.run("%%task -o w\n# wait here\nimport time\ntime.sleep(60)")

    def busy():
        told = kernel.told("panel")
        details = [line for row in told[-1]["panel"]["rows"] for line in row["details"]] if told else []
        return any("wait here for" in line for line in details) and details

    details = kernel.settle(busy)
    assert len(details) == 2
    assert any(line.endswith("idle") for line in details)
    kernel.run("w.revoke(terminate=True)")
    assert answer(kernel, model, "more", "") == "3 worker processes ready."
    assert answer(kernel, model, "fewer", "") == "2 worker processes ready."
    assert "log" in answer(kernel, model, "log", "").lower()
    pid = kernel.value("__import__('nbtasks').App.current().local_workers.pid")
    assert kernel.run("%workers restart --now").stdout == "2 worker processes ready, all of them new.\n"
    assert kernel.value("__import__('nbtasks').App.current().local_workers.pid") != pid


def test_logs_by_word(kernel):
    kernel.run("%%task -b\n# talker\nprint('one'); print('two')")
    assert kernel.run("%tasks logs talker").stdout == "one\ntwo\n"
    kernel.run("%%task -b\n# silent\n1")
    assert "has printed nothing" in kernel.run("%tasks logs silent").stdout


def test_connect_goes_to_another_server(kernel):
    kernel.run(
        "import nbtasks; before = nbtasks.App.current(); before.write_connection_file('there', replace=True)"
    )
    ran = kernel.run("%workers connect there")
    assert "Calls go to unix://" in ran.stdout
    assert "1 worker with 2 slots there" in ran.stdout
    assert kernel.value("nbtasks.App.current() is before") == "False"
    assert kernel.run("%%task -b\n1").text == "1"
    kernel.run("nbtasks.App.current().close()")
    assert (
        "cannot be read" in kernel.run("%workers connect nowhere").evalue
        or kernel.value("nbtasks.App.current() is before") == "True"
    )


def test_attach_brings_a_workflow_back_as_one_run_with_its_steps(kernel):
    kernel.run(
        "from nbtasks import task\n@task\ndef nap(n):\n    import time\n    time.sleep(60)\n"
        "@task\ndef later(n): return n\n"
        "flow = (nap.s(1) | later.s() | later.s()).delay(); ids = [one.id for one in flow.steps]"
    )
    first, *_, last = kernel.value("ids").strip("[]").replace("'", "").split(", ")
    kernel.restart()
    kernel.run("%load_ext nbtasks")
    ran = kernel.run("back = %tasks attach")
    assert ran.stdout.startswith("Brought back: 'later'.")
    assert kernel.value("[one.id for one in back]") == f"['{last}']"
    shown = kernel.run(f"%tasks attach {first}")
    assert "nap" in shown.data[0]["text/plain"]
    assert "later" in shown.data[0]["text/plain"]
    assert kernel.value("len(back[0].steps), back[0].root.id") == f"(3, '{first}')"
    kernel.run("back[0].revoke(terminate=True)")
    assert kernel.value("[one.until_ready(60) and one.state for one in back[0].steps]") == str(
        ["REVOKED"] * 3
    )


def test_attach_brings_the_unfinished_runs_back_each_where_its_cell_is(kernel):
    kernel.run(SLOW.replace("range(6)", "range(300)"), cell="here")
    kernel.run("from nbtasks import task\n@task\ndef nap(n):\n    import time\n    time.sleep(60)")
    kernel.run("d = nap.delay(1)", cell="there")
    kernel.restart()
    kernel.run("%load_ext nbtasks")
    ran = kernel.run("%tasks attach")
    assert ran.result is None
    assert ran.stdout.startswith("Brought back: 'nap', 'slow'.")
    model = ran.data[0][WIDGET]["model_id"]
    lines = ran.data[0]["text/plain"].splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["nap", "slow"]
    kernel.press(model, {"t": "look"})
    kernel.settle(lambda: kernel.told("place"))
    (card,) = kernel.told("place")[0]["cards"]
    assert card["cell"] == "here"
    assert card["data"][WIDGET]["model_id"] == card["card"]
    kernel.press(model, {"t": "placed", "card": card["card"], "ok": True})
    kernel.run("back = %tasks attach")
    assert kernel.value("sorted(one.name for one in back)") == "['nap', 'slow']"
    # Its calls are called what they were called.
    names = kernel.value("[one.batch.item_label(299) for one in back if one.name == 'slow']")
    assert names == "['n=299']"
    assert kernel.run("%tasks cancel all").stdout == "Revoked 301 calls of 2 runs.\n"
    kernel.settle(lambda: [view for view in kernel.views() if view["state"] == "REVOKED"])
    assert "No earlier session" in kernel.run("%tasks attach").stdout


@pytest.mark.parametrize("command", ["inspect", "control"])
def test_without_a_word_the_words_are_named(kernel, command):
    assert f"%workers {command} needs a word: " in kernel.run(f"%workers {command}").stderr
