"""Calls that fail now and then: retries with a growing pause, and exceptions in the place of values."""

from __future__ import annotations

from nbtasks import App, current_call

app = App("retries")


@app.task(retries=5, default_retry_delay=0.05, autoretry_for=ConnectionError)
def fetch(number: int) -> str:
    """Return a page, as an unsteady server would: page 4 at the third try, page 3 never."""
    if number == 3:
        raise LookupError("there is no page 3")
    if number == 4 and current_call().attempt < 3:
        raise ConnectionError("the server is busy")
    return f"page {number}"


def main() -> None:
    """Print what came of each call."""
    app.start_workers(2)
    group = fetch.map(range(6), on_error="keep")
    for call, value in zip(group, group.get(), strict=True):
        print(f"{call.args_repr:<3} {call.state:<8} retries {call.retries}  {value!r}")


if __name__ == "__main__":
    with app:
        main()
