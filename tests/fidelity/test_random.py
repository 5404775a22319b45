"""Random numbers: each call has a stream of its own, and the same one when it is run again from the same seed."""

from __future__ import annotations

import random

import pytest

import nbtasks

np = pytest.importorskip("numpy")

MODULES = """
    import random, secrets
    import numpy as np
    from random import choice, gauss, randint, random as rnd, sample, shuffle, uniform
    from numpy.random import normal, permutation, rand
    from secrets import choice as secret_choice, token_hex

    def of_random(i):
        return randint(0, 10**12), rnd(), choice(range(10**12)), gauss(0, 1), uniform(0, 1), sample(range(10**12), 1)[0]

    def of_numpy(i):
        return float(rand()), float(normal()), permutation(50).tolist()

    def by_module(i):
        return random.random(), float(np.random.rand())

    def of_secrets(i):
        return secret_choice(range(10**12)), token_hex(8), sure.random()

    sure = random.SystemRandom()
"""

CAPTURED = """
    import random
    import numpy as np

    def begin():
        global rng, old, plain, bits, seeds, drawn, method, model
        rng, old, plain = np.random.default_rng(1), np.random.RandomState(1), random.Random(1)
        bits, seeds = np.random.PCG64(5), np.random.SeedSequence(1)
        drawn, method = np.random.default_rng(2).normal, random.Random(2).random
        model = Model()

    class Model:
        def __init__(self):
            self.rng = np.random.default_rng(3)

    class Dice(random.Random):
        faces = 6

    begin()
    dice = Dice(4)

    def draw(i):
        return [
            rng.random(), rng.random(), old.rand(), plain.random(), plain.gauss(0, 1),
            np.random.Generator(bits).random(),
            np.random.default_rng(seeds).random(), float(drawn()), method(), model.rng.random(),
        ]

    def throw(i):
        return type(dice).__name__, dice.faces, dice.randrange(10**12)
"""


def differ(rows):
    """Whether no number is in two of the rows."""
    flat = [repr(item) for row in rows for item in row]
    return len(set(flat)) == len(flat)


@pytest.mark.parametrize("name", ["of_random", "of_numpy", "by_module", "of_secrets"])
def test_functions_of_modules_give_others_in_each_call_and_submit(shared_app, notebook, name):
    notebook.run(MODULES)
    task = shared_app.task(notebook[name])
    rows = [*task.map(range(6), chunk=1).get(timeout=60), *task.map(range(6)).get(timeout=60)]
    assert differ(rows)


def test_a_function_of_random_is_a_task(shared_app):
    random.seed(1)
    assert len({shared_app.task(random.random).delay().get(timeout=30) for _ in range(3)}) == 3
    state = random.getstate()
    shared_app.task(random.random).delay().get(timeout=30)
    assert random.getstate() == state


def test_captured_generators_give_each_call_a_stream(shared_app, notebook):
    notebook.run(CAPTURED)
    task = shared_app.task(notebook["draw"])
    first = task.map(range(6), chunk=1).get(timeout=60)
    assert differ(
        [*first, *task.map(range(6)).get(timeout=60), *[task.delay(0).get(timeout=60) for _ in range(2)]]
    )
    notebook["begin"]()
    assert task.map(range(6), chunk=4).get(timeout=60) == first

    thrown = shared_app.task(notebook["throw"]).map(range(4)).get(timeout=60)
    assert {row[:2] for row in thrown} == {("Dice", 6)}
    assert len({row[2] for row in thrown}) == 4


def test_a_retry_has_the_stream_of_its_call(shared_app, notebook, tmp_path):
    notebook.run(CAPTURED)
    notebook.run(
        """
        import os

        def once_more(i):
            value = rng.random()
            with open(os.path.join(folder, str(i)), "a") as file:
                file.write(f"{value}\\n")
            if len(open(os.path.join(folder, str(i))).readlines()) < 2:
                raise OSError("again")
            return value
        """,
        folder=str(tmp_path),
    )
    task = shared_app.task(notebook["once_more"], retries=2, default_retry_delay=0.01)
    values = task.map(range(2)).get(timeout=60)
    for index, value in enumerate(values):
        assert (tmp_path / str(index)).read_text().split() == [repr(value)] * 2


KINDS = [np.random.default_rng, random.Random, np.random.RandomState]


@pytest.mark.parametrize("kind", KINDS)
def test_an_argument_arrives_as_it_is_and_each_call_with_the_same_object_has_its_own(shared_app, kind):
    task = shared_app.task(lambda generator: float(generator.random()))
    here = float(kind(1).random())
    assert task.delay(kind(1)).get(timeout=30) == here
    assert task.map([kind(1), kind(1)]).get(timeout=30) == [here, here]
    eager = kind(1)
    assert [task.apply((eager,)).get() for _ in range(2)].count(here) == 1

    one = kind(1)
    values = [*task.map([one] * 4).get(timeout=30), *(task.delay(one).get(timeout=30) for _ in range(2))]
    values.append(float(one.random()))
    assert values[0] == here
    assert len(set(values)) == 7
    again = kind(1)
    assert task.map([again] * 4, chunk=2).get(timeout=30) == values[:4]


def test_a_large_argument_with_a_generator_in_it(shared_app, notebook):
    notebook.run(
        """
        import numpy as np

        class Model:
            def __init__(self):
                self.rng, self.weights = np.random.default_rng(1), np.zeros(300_000)

        def draw(model, i):
            return model.rng.random()
        """
    )
    model = notebook["Model"]()
    task = shared_app.task(notebook["draw"])
    values = [*task.starmap([(model, i) for i in range(4)]).get(timeout=60)]
    values += task.starmap([(model, i) for i in range(4)]).get(timeout=60)
    assert len(set(values)) == 8


def test_with_a_seed_a_run_is_reproducible(shared_app, notebook):
    notebook.run(MODULES)
    notebook.run(CAPTURED)
    for name in ("of_random", "of_numpy", "by_module", "draw"):
        task = shared_app.task(notebook[name])
        first = task.map(range(6), chunk=1, seed=7).get(timeout=60)
        assert task.map(range(6), chunk=3, seed=7).get(timeout=60) == first, name
        assert differ(
            [*first, *task.map(range(6), seed=8).get(timeout=60), *task.map(range(6)).get(timeout=60)]
        )
        seeded = task.with_options(seed=7)
        state = random.getstate()
        assert seeded.apply((0,)).get() == first[0]
        assert random.getstate() == state
        assert seeded.delay(0).get(timeout=30) == task.apply_async((0,), seed=7).get(timeout=30) == first[0]


@pytest.mark.parametrize("seed", [-1, 1.5, "x", True, 2**128])
def test_what_is_no_seed_is_refused(shared_app, seed):
    with pytest.raises(nbtasks.NbtasksError, match=r"seed: .* is not a whole number"):
        shared_app.task(abs).apply_async((1,), seed=seed)


def test_what_a_call_seeds_is_not_what_the_next_one_draws(shared_app, notebook):
    notebook.run(MODULES)
    notebook.run(
        """
        def seeding(i):
            if i % 2 == 0:
                random.seed(1)
                np.random.seed(1)
            return random.random(), float(np.random.rand())

        def by_name(i):
            if i % 2 == 0:
                from random import seed
                seed(1)
            return random.random()
        """
    )
    random.seed(1)
    here = random.random()
    rows = shared_app.task(notebook["seeding"]).map(range(12), chunk=6).get(timeout=60)
    assert {row[0] for row in rows[::2]} == {here}
    assert differ(rows[1::2])
    values = shared_app.task(notebook["by_name"]).map(range(12), chunk=6).get(timeout=60)
    assert len(set(values[1::2])) == 6
