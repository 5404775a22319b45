"""What a card has of what calls print: all of it, once, also what comes between the last look and the end."""

from __future__ import annotations

import sys
import time

import pytest

from nbtasks import Retry


def shown(batch, index=0, stream="stdout"):
    return "".join(line.text for line in batch.output if line.index == index and line.stream == stream)


def talk(name):
    for step in range(4):
        print(name, "step", step)
        print(name, "aside", step, file=sys.stderr, end=" ")
        time.sleep(0.15)
    sys.stdout.write(f"{name} is done")
    print(" at last", file=sys.stderr)


@pytest.mark.parametrize("options", [{}, {"pool": "threads"}], ids=["prefork", "threads"])
def test_the_last_lines_of_calls_are_shown(idle_app, options):
    idle_app.start_workers(2, **options)
    group = idle_app.task(talk).map(["a", "b"])
    for index, name in enumerate("ab"):
        group.until_ready(timeout=60)
        steps = "".join(f"{name} step {step}\n" for step in range(4))
        assert group[index].stdout == f"{steps}{name} is done"
        assert shown(group.batch, index) == group[index].stdout
        assert shown(group.batch, index, "stderr") == group[index].stderr


def test_what_was_left_out_is_left_out_once(shared_app):
    @shared_app.task
    def flood():
        for number in range(4):
            print("x" * 30_000, number)
            time.sleep(0.15)
        print("y" * 30_000, end="\nlast\n")

    result = flood.delay()
    result.get(timeout=60)
    assert shown(result.batch).endswith("y\nlast\n")
    assert shown(result.batch).count("y") == 30_000
    for number in range(4):
        assert shown(result.batch).count(f"x {number}\n") <= 1


def test_what_an_attempt_printed_is_shown_once(shared_app):
    @shared_app.task(bind=True)
    def twice(self):
        print("try", self.request.retries)
        time.sleep(0.25)
        print("end", self.request.retries)
        if not self.request.retries:
            raise Retry(countdown=0.01)

    result = twice.delay()
    result.get(timeout=60)
    assert shown(result.batch) == "try 0\nend 0\ntry 1\nend 1\n"
