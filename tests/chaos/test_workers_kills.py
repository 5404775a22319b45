"""kill -9 of children, supervisors and whole workers in the middle of a map."""

from __future__ import annotations

N = 1500
#: Some calls long enough that a blow hits them.
LONG_S = (0.3,) * 20


def test_children_are_killed(idle_app, machine, matrix, faults, chance):
    one = machine(idle_app, concurrency=3)
    matrix.warm_up(idle_app)

    def strike():
        alive = one.children()
        if alive:
            faults.kill([chance.choice(alive)], "kill a child")

    load = matrix.submit(idle_app, N, long_s=LONG_S)
    with matrix.watchdog(idle_app) as watchdog, faults.again_and_again(strike, chance, 0.05, 0.2):
        load.wait()
    matrix.close(idle_app, "kill -9 of children, again and again", watchdog=watchdog)
