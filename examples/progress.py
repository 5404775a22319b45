"""Long calls: their progress, what they print, a limit of time, and what is left to do when it is reached."""

from __future__ import annotations

import time

import nbtasks
from nbtasks import App, SoftTimeLimitExceeded

app = App("progress")


@app.task(soft_time_limit=1.5)
def train(rounds: int) -> str:
    """Go through some rounds; where the time is over, return what there is."""
    done = 0
    try:
        for done in range(1, rounds + 1):
            time.sleep(0.05)
            nbtasks.progress(done, rounds, f"round {done}")
            print("round", done)
    except SoftTimeLimitExceeded:
        return f"stopped after {done} of {rounds} rounds"
    return f"all {rounds} rounds"


def main() -> None:
    """Follow two calls until they have ended."""
    app.start_workers(2)
    calls = [train.delay(10), train.delay(1000)]
    while not all(call.ready() for call in calls):
        print(" | ".join(f"{call.state} {call.progress}" for call in calls))
        time.sleep(0.4)
    for call in calls:
        print(call.get(), "- last line printed:", call.stdout.splitlines()[-1])


if __name__ == "__main__":
    with app:
        main()
