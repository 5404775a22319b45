"""When a crontab is due: against a simulation minute by minute, and on days when clocks are changed."""

import itertools
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks.core.due.timetable import Timetable
from nbtasks.exceptions import ConfigError
from nbtasks.schedules import crontab, schedule, solar

MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"


def due(spec, tz, begin, end=None, most=100):
    """Return the local times at which something is due, from a moment of the zone on."""
    table, zone = Timetable.of(spec, tz), ZoneInfo(tz)
    moment = begin.replace(tzinfo=zone).timestamp()
    last = end.replace(tzinfo=zone).timestamp() if end else float("inf")
    found = []
    while len(found) < most:
        moment = table.after(moment, moment)
        if moment is None or moment > last:
            break
        found.append(moment)
    return found


def clock(moments, tz):
    return [datetime.fromtimestamp(moment, ZoneInfo(tz)).strftime("%d. %H:%M %Z") for moment in moments]


# -- what fields may say


def field(least, most):
    numbers = st.integers(least, most)
    ranges = st.tuples(numbers, numbers).map(lambda pair: f"{pair[0]}-{pair[1]}")
    steps = st.integers(1, most)
    term = st.one_of(
        numbers.map(str),
        ranges,
        st.tuples(ranges, steps).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        st.just("*"),
        steps.map(lambda step: f"*/{step}"),
    )
    return st.one_of(
        st.just("*"), numbers, term, st.lists(term, min_size=1, max_size=3).map(",".join),
        st.sets(numbers, min_size=1, max_size=4),
    )  # fmt: skip


def meant(value, least, most):
    """Return the numbers that a field means, read otherwise than nbtasks does."""
    if isinstance(value, int):
        return {value}
    if isinstance(value, set):
        return value
    found = set()
    for term in value.split(","):
        span, _, step = term.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            numbers = list(range(least, most + 1))
        elif not last:
            numbers = [int(first)]
        else:
            numbers, at = [int(first)], int(first)
            while at != int(last):
                at = at + 1 if at < most else least
                numbers.append(at)
        found.update(numbers[:: int(step or 1)])
    return found


@settings(max_examples=60, deadline=None)
@given(
    minute=field(0, 59),
    hour=field(0, 23),
    day_of_month=st.one_of(st.just("*"), field(1, 28)),
    month_of_year=field(1, 12),
    day_of_week=st.one_of(st.just("*"), field(0, 6)),
    begin=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),
)
def test_it_is_due_at_the_first_minute_that_all_fields_fit(
    minute, hour, day_of_month, month_of_year, day_of_week, begin
):
    made = crontab(minute, hour, day_of_week, day_of_month, month_of_year)
    minutes, hours = meant(minute, 0, 59), meant(hour, 0, 23)
    days, months, weekdays = meant(day_of_month, 1, 31), meant(month_of_year, 1, 12), meant(day_of_week, 0, 6)

    found = made.after(begin.replace(tzinfo=timezone.utc).timestamp(), "UTC")

    def fits(day):
        return day.day in days and day.month in months and day.isoweekday() % 7 in weekdays

    times = [timedelta(hours=h, minutes=m) for h in sorted(hours) for m in sorted(minutes)]
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    all_days = (midnight + timedelta(days=n) for n in itertools.count())
    expected = next(
        day + time
        for day in all_days
        if fits(day)
        for time in times
        if day + time > begin.replace(microsecond=0)
    )
    assert datetime.fromtimestamp(found, timezone.utc).replace(tzinfo=None) == expected


@pytest.mark.parametrize(
    ("given", "expression"),
    [
        ({}, "* * * * *"),
        ({"minute": "*/15"}, "*/15 * * * *"),
        ({"minute": 0, "hour": "*/3,8-17"}, "0 0,3,6,8,9,10,11,12,13,14,15,16,17,18,21 * * *"),
        ({"minute": "0", "hour": "22-2"}, "0 0,1,2,22,23 * * *"),
        ({"minute": "30", "hour": "22-2/2"}, "30 0,2,22 * * *"),
        ({"minute": [0, 30], "hour": range(9, 12)}, "0,30 9,10,11 * * *"),
        ({"minute": lambda: 7}, "7 * * * *"),
        ({"day_of_week": "sun"}, "* * * * 0"),
        ({"day_of_week": 7}, "* * * * 0"),
        ({"day_of_week": "5-7"}, "* * * * 0,5,6"),
        ({"day_of_week": "Sat-mon, wednesday"}, "* * * * 0,1,3,6"),
        ({"day_of_week": {"mon", 5}}, "* * * * 1,5"),
        ({"day_of_week": "tues,thurs"}, "* * * * 2,4"),
        ({"day_of_week": "wednes-frid"}, "* * * * 3,4,5"),
        ({"month_of_year": "sept"}, "* * * 9 *"),
        ({"month_of_year": "nov-FEB"}, "* * * 1,2,11,12 *"),
        ({"month_of_year": "june", "day_of_month": "1-7"}, "* * 1,2,3,4,5,6,7 6 *"),
        ({"day_of_month": "L"}, "* * L * *"),
        ({"day_of_month": "1,LW"}, "* * 1,LW * *"),
        ({"day_of_week": "mon#1,5L"}, "* * * * MON#1,5L"),
    ],
)
def test_what_fields_may_say(given, expression):
    made = crontab(**given)
    assert made.expression == expression
    assert crontab.from_string(expression) == made
    assert hash(crontab.from_string(expression)) == hash(made)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"minute": 60}, "60 is not from 0 to 59"),
        ({"hour": "24"}, "24 is not from 0 to 23"),
        ({"minute": "5/2"}, "5-59/2"),
        ({"minute": "*/0"}, "1 or more"),
        ({"minute": "1,,2"}, "minute='1,,2': '' is no pattern"),
        ({"minute": "1,x,2"}, "minute='1,x,2': 'x' is no pattern"),
        ({"minute": "0 6 * * *"}, r"say crontab.from_string\('0 6 \* \* \*'\)"),
        ({"minute": b"5"}, "neither a number"),
        ({"minute": "5" * 5000}, "5{20} is not from 0 to 59"),
        ({"minute": ""}, "no pattern"),
        ({"minute": []}, "neither a number"),
        ({"minute": None}, "neither a number"),
        ({"minute": True}, "neither a number"),
        ({"minute": [1, 2.5]}, "2.5"),
        ({"hour": "\N{SUPERSCRIPT TWO}"}, "no pattern"),
        ({"day_of_week": "fir"}, "numbers or names"),
        ({"day_of_week": "monkey"}, "numbers or names"),
        ({"day_of_week": 8}, "8 is not from 0 to 7"),
        ({"day_of_month": 0}, "0 is not from 1 to 31"),
        ({"day_of_month": 30, "month_of_year": 2}, "never due"),
        ({"day_of_month": 31, "month_of_year": "apr,jun"}, "never due"),
        ({"day_of_month": 31, "month_of_year": "4,6", "day_of_week": 1}, "never due"),
        ({"nowfun": datetime.now}, "server's clock"),
        ({"tz": "Berlin"}, "do you mean 'Europe/Berlin'"),
    ],
)
def test_what_fields_may_not_say(given, said):
    with pytest.raises(ConfigError, match=said):
        crontab(**given)


def test_a_line_of_a_crontab():
    assert crontab.from_string("@daily") == crontab(0, 0)
    assert crontab.from_string(" 5 0 * 8 * ").expression == "5 0 * 8 *"
    with pytest.raises(ConfigError, match="has 4 fields"):
        crontab.from_string("* * * *")
    with pytest.raises(ConfigError, match="no line of a crontab"):
        crontab.from_string(5)
    with pytest.raises(ConfigError, match="is an interval: say '5m' alone"):
        crontab.from_string("@every 5m")
    with pytest.raises(ConfigError, match=r"@daily, @hourly"):
        crontab.from_string("@often")


def test_the_29th_of_february_comes_again():
    found = due(crontab(0, 0, day_of_month=29, month_of_year=2), "UTC", datetime(2027, 1, 1), most=2)
    assert clock(found, "UTC") == ["29. 00:00 UTC", "29. 00:00 UTC"]
    assert datetime.fromtimestamp(found[0], timezone.utc).year == 2028


# -- days when clocks are changed


def simulated(expression, tz, begin, end):
    """Return when a crontab is due by the rules of Debian's cron, minute by minute.

    What has a fixed minute and hour is due once a day, also where its time comes twice, or never; all else whenever the
    clock shows its time.
    """
    zone = ZoneInfo(tz)
    minute, hour = (crontab.from_string(expression).expression.split())[:2]
    minutes = meant(minute, 0, 59)
    hours = meant(hour, 0, 23)
    fixed = not minute.startswith("*") and not hour.startswith("*")
    found = []
    if fixed:
        wall = begin
        while wall <= end:
            if wall.minute in minutes and wall.hour in hours:
                real = wall.replace(tzinfo=zone)
                while real.astimezone(timezone.utc).astimezone(zone).replace(tzinfo=None) != real.replace(
                    tzinfo=None
                ):
                    real += MINUTE
                found.append(real.timestamp())
            wall += MINUTE
        first = begin.replace(tzinfo=zone).timestamp()
        return sorted({moment for moment in found if moment > first})
    moment, last = begin.replace(tzinfo=zone).timestamp() + 60, end.replace(tzinfo=zone).timestamp()
    while moment <= last:
        wall = datetime.fromtimestamp(moment, zone)
        if wall.minute in minutes and wall.hour in hours:
            found.append(moment)
        moment += 60
    return found


@pytest.mark.parametrize(
    ("tz", "changes"),
    [
        (BERLIN, [datetime(2027, 3, 28), datetime(2027, 10, 31)]),
        ("America/New_York", [datetime(2027, 3, 14), datetime(2027, 11, 7)]),
        ("Australia/Sydney", [datetime(2027, 10, 3), datetime(2027, 4, 4)]),
        # By half an hour; at a quarter to three; at midnight, so that a day begins at one.
        ("Australia/Lord_Howe", [datetime(2027, 10, 3), datetime(2027, 4, 4)]),
        ("Pacific/Chatham", [datetime(2027, 9, 26), datetime(2027, 4, 4)]),
        ("America/Santiago", [datetime(2027, 9, 5), datetime(2027, 4, 4)]),
    ],
)
@pytest.mark.parametrize(
    "expression",
    ["30 2 * * *", "15 1,2,3 * * *", "*/15 * * * *", "30 * * * *", "0 */2 * * *", "*/30 2 * * *", "0 0 * * *"],
)  # fmt: skip
def test_the_days_on_which_clocks_are_changed(tz, changes, expression):
    for day in changes:
        begin, end = day - timedelta(hours=12), day + timedelta(hours=36)
        assert clock(due(expression, tz, begin, end, most=500), tz) == clock(
            simulated(expression, tz, begin, end), tz
        )


def test_an_hour_that_comes_twice_is_over_when_it_has_been():
    zone = ZoneInfo(BERLIN)
    second = datetime(2027, 10, 31, 2, 10, fold=1, tzinfo=zone).timestamp()
    found = Timetable.of("30 2 * * *", BERLIN).first(second)
    assert clock([found], BERLIN) == ["01. 02:30 CET"]


# -- intervals


def test_an_interval_does_not_drift():
    found = due(timedelta(seconds=0.3), "UTC", datetime(2027, 1, 1), most=3000)
    assert found[-1] - found[0] == pytest.approx(0.3 * 2999, abs=1e-4)


def test_an_interval_goes_on_from_when_it_was_due():
    table = Timetable.of("10s", "UTC")
    assert table.after(1000.0, 1000.0) == 1010.0
    assert table.after(1034.9, 1000.0) == 1040.0
    assert table.after(1040.0, 1000.0) == 1050.0
    assert list(table.due_times(1000.0, 1030.0)) == [1000.0, 1010.0, 1020.0, 1030.0]


def test_a_relative_interval_is_due_at_whole_multiples():
    kolkata = "Asia/Kolkata"
    hours = due(schedule(3600, relative=True), kolkata, datetime(2027, 1, 1, 12, 10), most=2)
    assert clock(hours, kolkata) == ["01. 13:00 IST", "01. 14:00 IST"]
    days = due(schedule(timedelta(days=1), relative=True), BERLIN, datetime(2027, 3, 27, 12), most=2)
    assert clock(days, BERLIN) == ["28. 00:00 CET", "29. 00:00 CEST"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (90, "every 1 min 30 s"), (0.5, "every 0.5 s"), ("15m", "every 15 min"),
        (timedelta(days=1, hours=2), "every 1 d 2 h"),
        ("@hourly", "0 * * * * (UTC)"), (crontab(0, 6, tz=BERLIN), f"0 6 * * * ({BERLIN})"),
        (schedule(60), "every 1 min"),
        ("0 6,7 * * mon-fri", "0 6,7 * * 1-5 (UTC)"), ("*/15 22-1 1,15 * 1#1", "*/15 0,1,22,23 1,15 * 1#1 (UTC)"),
    ],
)  # fmt: skip
def test_what_may_be_given_as_a_schedule(given, text):
    table = Timetable.of(given, "UTC")
    assert table.text == text
    assert Timetable.from_wire(table.to_wire()) == table


class Own(schedule):
    """A class of a user's."""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0, "under 0.1 s"), (-5, "not a duration"), (float("nan"), "not a duration"), (None, "says no time"),
        (True, "says no time"), ("often", "not a duration"), ("* * *", "five fields"),
        ("15 m", "without spaces"), ("* * * *", "has 4 fields"), (Own(5), "class of your own"),
    ],
)  # fmt: skip
def test_what_may_not_be_given_as_a_schedule(given, said):
    with pytest.raises(ConfigError, match=said):
        Timetable.of(given, "UTC")


@pytest.mark.parametrize(
    "wire",
    [
        {},
        {"cron": "x", "tz": "UTC"},
        {"every": 0, "tz": "UTC"},
        {"every": 5, "tz": "no"},
        {"every": "x", "tz": "UTC"},
    ],
)
def test_what_makes_no_sense_is_no_timetable(wire):
    with pytest.raises(ValueError, match="no timetable"):
        Timetable.from_wire(wire)


def test_what_the_sun_does_is_said_to_be_missing():
    with pytest.raises(ConfigError, match="eta=moment"):
        solar("sunset", 52.5, 13.4)
