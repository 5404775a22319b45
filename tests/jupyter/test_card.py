"""The messages of a card, played against what the page does with them."""

import json
import random
import threading
import time

from nbtasks.jupyter.card.card import Card

from .records import fail, make_batch, start, succeed
from .test_runlengths import unpack


class Page:
    """The page's side of the protocol, as in store.js."""

    def __init__(self, card):
        state = json.loads(json.dumps({**card.full_state(), "mosaic": None}))
        self.seq, self.missed, self.head = state["seq"], False, state["head"]
        self.codes = unpack(card.full_state()["mosaic"])

    @property
    def view(self):
        return self.head["view"]

    def take(self, tick):
        if tick is None or tick.content["seq"] <= self.seq:
            return
        content, data = json.loads(json.dumps(tick.content)), tick.buffers[0]
        if not content["whole"] and content["seq"] != self.seq + 1:
            self.missed = True
            return
        self.seq, self.missed = content["seq"], False
        view = {**self.view, **content["view"]}
        self.head.update({**content, "view": view})
        self.codes = unpack(data, b"" if content["whole"] else self.codes)

    def shows(self, card):
        """Whether it shows what the card says to one that comes now."""
        # The pace is told now and then.
        changing = {"pace": None, "rows": None}
        truth = Page(card)
        return self.codes == truth.codes and {**self.view, **changing} == {**truth.view, **changing}


def test_messages_bring_the_page_up_to_date():
    batch = make_batch(1000)
    card = Card(batch)
    page = Page(card)
    start(batch, 1, 2, 3)
    page.take(card.tick(1001.0))
    assert page.codes == batch.states
    succeed(batch, 1, 2)
    fail(batch, ValueError("bad"), 3)
    page.take(card.tick(1002.0))
    assert page.codes == batch.states
    assert {"state": "FAILURE", "number": "1", "word": "failed"} in page.view["counts"]
    assert page.head["failures"][0]["type"] == "ValueError"


def test_nothing_is_sent_when_nothing_changed():
    batch = make_batch(1000)
    card = Card(batch)
    assert card.tick(1000.2) is not None
    assert card.tick(1000.4) is None
    assert card.tick(1003.0) is None
    assert card.tick(1003.2, always=True) is not None


def test_of_very_many_calls_the_page_is_told_less_often():
    batch = make_batch(200_000)
    card = Card(batch)
    page = Page(card)
    page.take(card.tick(1001.0))
    start(batch, 1)
    assert card.tick(1001.2) is None
    page.take(card.tick(1001.4))
    assert page.shows(card)
    succeed(batch, 1)
    # Nobody waits for the end, nor for what a button has asked for.
    assert card.tick(1001.5, whole=True) is not None
    assert card.tick(1001.6, always=True) is not None


def test_failures_and_output_are_sent_once():
    batch = make_batch(1000)
    card = Card(batch)
    fail(batch, ValueError("bad"), 0)
    succeed(batch, 1, output="hello\n")
    assert {"failures", "output"} <= card.tick(1001.0).content.keys()
    succeed(batch, 2)
    assert not {"failures", "output"} & card.tick(1002.0).content.keys()


def test_what_stays_as_it_is_is_not_said_again():
    batch = make_batch(1000)
    card = Card(batch)
    page = Page(card)
    page.take(card.tick(1001.0))
    start(batch, 1)
    tick = card.tick(1001.2)
    assert not {"title", "about", "attach_hint"} & tick.content["view"].keys()
    page.take(tick)
    assert page.shows(card)


def test_a_page_that_comes_between_two_messages_misses_nothing():
    """What has changed for others and back again is new to it."""
    batch = make_batch(1000)
    card = Card(batch)
    card.tick(1001.0)
    card.stopping = True
    late = Page(card)
    card.stopping = False
    start(batch, 1)
    late.take(card.tick(1001.2))
    assert not late.view["stopping"]
    assert late.shows(card)


def test_pages_show_the_truth_whenever_they_come_and_whatever_they_miss():
    chance = random.Random(11)
    batch = make_batch(400)
    card = Card(batch)
    pages = [Page(card)]
    now, waiting = 1001.0, list(range(400))
    chance.shuffle(waiting)
    while waiting:
        now += 0.2
        some = [waiting.pop() for _ in range(min(len(waiting), chance.randrange(40)))]
        start(batch, *some)
        succeed(batch, *some[::2])
        for index in some[1::4]:
            fail(batch, ValueError(f"bad {index}"), index)
        lost = chance.random() < 0.2
        tick = card.tick(now, whole=any(page.missed for page in pages))
        for page in [] if lost else pages:
            page.take(tick)
        if chance.random() < 0.2:
            pages.append(Page(card))
    last = card.tick(now + 1, whole=True)
    for page in pages:
        page.take(last)
        assert page.shows(card)


def test_a_missed_message_is_noticed_and_made_up_for():
    batch = make_batch(1000)
    card = Card(batch)
    page = Page(card)
    start(batch, 1)
    card.tick(1001.0)  # lost
    start(batch, 2)
    page.take(card.tick(1002.0))
    assert page.missed
    page.take(card.tick(1003.0, whole=True))
    assert page.codes == batch.states
    assert not page.missed


def test_a_page_that_comes_late_has_the_truth_and_goes_on():
    batch = make_batch(1000)
    card = Card(batch)
    start(batch, 1)
    card.tick(1001.0)
    succeed(batch, 1)
    late = Page(card)
    assert late.codes == batch.states
    start(batch, 5)
    late.take(card.tick(1002.0))
    assert late.codes == batch.states


def test_the_last_message_has_everything():
    batch = make_batch(300)
    card = Card(batch)
    page = Page(card)
    succeed(batch, *range(300))
    tick = card.tick(time.time())
    assert tick.content["whole"]
    page.take(tick)
    assert page.codes == batch.states
    assert page.view["done"]


def test_a_batch_that_grows_is_shown_as_it_has_grown():
    batch = make_batch(100)
    batch.leave_open()
    card = Card(batch)
    page = Page(card)
    batch.grow(500)
    start(batch, 400)
    page.take(card.tick(1001.0))
    assert page.codes == batch.states
    assert page.view["about"].startswith("500 calls")


def test_the_reason_is_asked_for_after_a_while_and_not_too_often():
    asked = []
    batch = make_batch(3)
    batch.engine.why = lambda: asked.append(1) or "no worker"
    card = Card(batch)
    card.tick(1000.5)
    assert not asked
    assert card.tick(1001.5).content["view"]["reason"] == "no worker"
    card.tick(1001.7)
    assert len(asked) == 1
    start(batch, 0)
    assert card.tick(1010.0).content["view"]["reason"] is None
    assert len(asked) == 1


def test_the_reason_is_asked_for_also_where_calls_were_started():
    """Their worker may be gone."""
    batch = make_batch(3)
    batch.engine.why = lambda: "no worker"
    card = Card(batch)
    start(batch, 0)
    assert card.tick(1001.5).content["view"]["reason"] is None
    assert card.tick(1010.0).content["view"]["reason"] == "no worker"


def test_a_rate_limit_is_told_also_while_calls_run_and_end():
    batch = make_batch(9, task={"rate_limit": "1/s"})
    batch.engine.why = lambda: "rate-limited to 1/s"
    card = Card(batch)
    page = Page(card)

    def reason(now):
        page.take(card.tick(now))
        return page.view["reason"]

    assert reason(1000.5) is None
    start(batch, 0)
    assert reason(1001.5) == "rate-limited to 1/s"
    succeed(batch, 0)
    start(batch, 1)
    assert reason(1001.6) == "rate-limited to 1/s"
    succeed(batch, *range(1, 9))
    assert reason(1002.0) is None


def test_a_page_keeps_up_while_results_come_in_on_another_thread():
    batch = make_batch(3000, created_at=time.time())
    card = Card(batch)
    page = Page(card)
    feeder = threading.Thread(target=lambda: [succeed(batch, index) for index in range(3000)])
    feeder.start()
    while feeder.is_alive():
        page.take(card.tick(time.time()))
        time.sleep(0.002)
    page.take(card.tick(time.time(), always=True))
    assert page.codes == batch.states
