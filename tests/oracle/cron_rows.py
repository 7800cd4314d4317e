"""Rows of `cron.ndjson` and `options.ndjson`: cron expressions in zones, started around the changes of their offsets.

cronsim answers what it can read; what it cannot (seconds with a zone rule, `W`, `L-n`, wrapping ranges) the definition model answers, and
says so. Which deviations are cronsim's and why: `deviation`.
"""

import random
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError
from definition import DAYS, MONTHS, UTC, changes_in, local_text, meaning, next_times, offset_at, text
from limit import limited
from zoneinfo import ZoneInfo

COUNT = 6
# Zone: years whose changes are worth a visit. Where a zone has no change in a year nothing comes of it.
ZONES = {
    "Europe/Paris": [2024, 2026, 2027],
    "Europe/Berlin": [2025, 2026],
    "Europe/London": [2025, 2026],
    "Europe/Dublin": [2024, 2026, 2027],
    "Europe/Lisbon": [1992, 1996, 2026],
    "Europe/Volgograd": [2010, 2011, 2014, 2018, 2020],
    "Europe/Moscow": [2010, 2011, 2014],
    "Europe/Istanbul": [2014, 2015, 2016],
    "America/New_York": [2026, 2027, 2007],
    "America/Los_Angeles": [2026, 2025],
    "America/St_Johns": [1988, 2006, 2010, 2026],
    "America/Havana": [2012, 2024, 2025, 2026],
    "America/Asuncion": [2020, 2023, 2024],
    "America/Santiago": [2019, 2026, 2027],
    "America/Sao_Paulo": [2016, 2017, 2018, 2019],
    "America/Caracas": [2007, 2016],
    "America/Vancouver": [2025, 2026],
    "America/Edmonton": [2025, 2026],
    "America/Scoresbysund": [2023, 2024],
    "Asia/Beirut": [2022, 2023, 2026],
    "Asia/Gaza": [2023, 2025, 2026],
    "Asia/Tehran": [2021, 2022],
    "Asia/Kathmandu": [1985, 1986],
    "Asia/Kolkata": [],
    "Asia/Pyongyang": [2015, 2018],
    "Asia/Amman": [2021, 2022],
    "Africa/Cairo": [2010, 2014, 2023, 2026],
    "Africa/Casablanca": [2015, 2018, 2025, 2026],
    "Africa/Juba": [2021],
    "Australia/Lord_Howe": [2025, 2026, 2027],
    "Australia/Sydney": [2026],
    "Antarctica/Troll": [2015, 2026],
    "Pacific/Apia": [2011, 2012, 2021],
    "Pacific/Fakaofo": [2011],
    "Pacific/Kwajalein": [1993],
    "Pacific/Chatham": [2025, 2026],
    "Pacific/Easter": [2026],
    "UTC": [],
}


def numbers_list(rng, low, high, count):
    return ",".join(str(n) for n in sorted(rng.sample(range(low, high + 1), count)))


def minute_field(rng, near):
    low = rng.randrange(0, 40)
    pool = [
        str(near.minute), str(near.minute), str(near.minute), str(rng.randrange(60)), "0", "0", "30", "59",
        numbers_list(rng, 0, 59, 2), numbers_list(rng, 0, 59, 3), "0,15,30,45",
        f"{low}-{low + rng.randrange(1, 20)}", "0-59/20", f"{low}-59/{rng.choice([5, 7, 10])}", f"{rng.randrange(5)}/{rng.choice([10, 15, 25])}",
    ]  # fmt: skip
    return rng.choice(pool)


def hour_field(rng, near):
    hour = near.hour
    pool = [
        str(hour), str(hour), str(hour), str(hour), str((hour + 1) % 24), str((hour - 1) % 24), str(rng.randrange(24)),
        f"{max(hour - 1, 0)}-{min(hour + 2, 23)}", f"{max(hour - 2, 0)}-{min(hour + 4, 23)}/2", "0,12", "0-23/3", "0-23",
        ",".join(str(n) for n in sorted({0, hour, min(hour + 1, 23)})), ",".join(str(n) for n in sorted({hour, 12})),
    ]  # fmt: skip
    return rng.choice(pool)


def day_fields(rng, near):
    """Day of month, month, day of week."""
    dow = (near.weekday() + 1) % 7
    nth = (near.day - 1) // 7 + 1
    open_days = [("*", "*", "*")] * 10
    pool = open_days + [
        ("*", "*", str(dow)), ("*", "*", DAYS[dow]), ("*", "*", "MON-FRI"), ("*", "*", "6-7"), ("*", "*", f"{dow}#{nth}"),
        ("*", "*", f"{dow}L"), ("*", "*", "0"), ("*", "*", "SAT,SUN"), (str(near.day), "*", "*"), (f"{max(near.day - 2, 1)}-{near.day}", "*", "*"),
        (str(near.day), str(near.month), "*"), ("*", MONTHS[near.month - 1], "*"), ("L", "*", "*"), ("LW", "*", "*"), ("1,15,L", "*", "*"),
        (str(near.day), "*", str((dow + 2) % 7)), ("1", "*", "MON"), ("13", "*", "FRI"), ("*/3", "*", "*"), ("1-7", "*", "*"), ("31", "*", "*"),
        ("*", "*/2", "*"), ("*", "1-12/3", "*"), ("29", "2", "*"), ("30", "*", "*"), ("*", "*", "MON#5"), ("L", "*", "5L"),
    ]  # fmt: skip
    return rng.choice(pool)


ELAPSED = [
    ("*/{n}", "{h}"), ("*", "{h}"), ("{m}", "*"), ("{m}", "*/{k}"), ("*/{n}", "*"), ("*", "*"), ("*/{n}", "{r}"), ("0", "*"), ("30", "*"),
    ("{l}", "*"), ("{l}", "*/{k}"), ("0-30/10", "*"), ("*/{n}", "*/{k}"), ("*/{n}", "{h},12"), ("0", "*/{k}"), ("45", "*/{k}"),
]  # fmt: skip


def elapsed_fields(rng, near):
    minute, hour = rng.choice(ELAPSED)
    values = {
        "n": rng.choice([2, 5, 7, 10, 15, 20, 25, 30, 45]),
        "k": rng.choice([1, 2, 3, 4, 5, 6, 8, 12]),
        "h": near.hour,
        "m": rng.choice([near.minute, rng.randrange(60)]),
        "l": numbers_list(rng, 0, 59, 2),
        "r": f"{max(near.hour - 1, 0)}-{min(near.hour + 2, 23)}",
    }
    return minute.format(**values), hour.format(**values)


def expression(rng, near, elapsed):
    minute, hour = elapsed_fields(rng, near) if elapsed else (minute_field(rng, near), hour_field(rng, near))
    days = ("*", "*", "*") if elapsed and rng.random() < 0.7 else day_fields(rng, near)
    return " ".join([minute, hour, *days])


def special_expression(rng, near):
    """What cronsim does not read, or reads by its own rule."""
    day, dow = near.day, (near.weekday() + 1) % 7
    pool = [
        f"{rng.choice([0, 15, 30])} {near.minute} {near.hour} * * *", f"*/{rng.choice([10, 20, 45])} {near.minute} {near.hour} * * *",
        f"0,30 {near.minute} {near.hour} * * {dow}", f"* {near.minute} {near.hour} * * *", f"*/30 * {near.hour} * * *",
        f"{rng.randrange(60)} */20 * * * *", f"5 {near.minute} {near.hour} L * *", f"0 {near.minute} {near.hour} {day}W * *",
        f"{near.minute} {near.hour} {day}W * *", f"{near.minute} {near.hour} L-{rng.randrange(1, 12)} * *", f"{near.minute} {near.hour} 1W,15W * *",
        f"{near.minute} {near.hour} * * FRI-MON", f"{near.minute} 22-{near.hour % 22} * * *", f"50-{near.minute % 50} {near.hour} * * *",
        f"{near.minute} {near.hour} ? * {dow}", f"{near.minute} {near.hour} {day} * ?", f"0 {near.minute} {near.hour} {day} {near.month} ? {near.year}",
        f"{near.minute} {near.hour} * NOV-FEB *", "@daily", "@hourly", "@weekly", "@monthly", "@yearly",
        f"*/10,7 {near.hour} * * *", f"{near.minute} */6,{near.hour} * * *", f"{near.minute} {near.hour} */2 * {dow}", f"0 {near.hour} 1-15 * */2",
    ]  # fmt: skip
    return rng.choice(pool)


def starts(rng, change):
    """Starts around a change: days and minutes before, at it to the second, inside the repeated hour, right after."""
    at, before, after = change
    width = abs(after - before)
    offsets = [
        -timedelta(days=rng.randrange(1, 5), minutes=rng.randrange(1440)), -timedelta(days=1), -timedelta(minutes=rng.randrange(1, 180)),
        -timedelta(minutes=1), -timedelta(seconds=1), timedelta(0), timedelta(seconds=1), timedelta(minutes=rng.randrange(1, 60)),
        width * rng.random(), -width * rng.random(), width / 2, width - timedelta(seconds=1), width, timedelta(hours=rng.randrange(1, 30)),
    ]  # fmt: skip
    return [at + timedelta(seconds=int(offset.total_seconds())) for offset in offsets]


def near_time(rng, change):
    """A civil time that the change makes special: inside the gap or the fold, or at an edge of it."""
    at, before, after = change
    low, high = sorted([at + before, at + after])
    width = int((high - low).total_seconds() // 60)
    minutes = rng.choice([rng.randrange(width), rng.randrange(width), rng.randrange(width), 0, width - 1, width, -1, rng.randrange(-60, width + 60)])
    return (low + timedelta(minutes=minutes)).replace(second=0)


def ask_cronsim(expr, tz, after):
    start = after.replace(tzinfo=UTC).astimezone(ZoneInfo(tz))
    found = CronSim(expr, start)
    return [next(found).astimezone(UTC).replace(tzinfo=None) for _ in range(COUNT)]


def deviation(expr, tz, after, got, want):
    """Why cronsim does not answer what the design's rule says. None: nobody knows, which is a finding."""
    minute, hour, dom, _, dow = expr.split()
    is_star_list = any(field.startswith("*") and "," in field for field in (minute, hour))
    if is_star_list:
        return "a list that begins with `*` is elapsed-like for cronsim, fixed-time by the design"
    if got[0] <= after:
        return "cronsim answers a time that is not after the start: the start lies in the second pass of a fold"
    if any(b <= a for a, b in zip(got, got[1:])):
        return "cronsim's answers do not increase: it builds a civil time in the wrong pass of a fold"
    if not meaning(expr).elapsed_like:
        return "cronsim loses a fixed time around a change" if set(want) - set(got) else None
    changed = [at for at, _, _ in near_changes(tz, after, max(want[-1], got[-1]))]
    off_pattern = [at for at in got if not matches(expr, tz, at)]
    if off_pattern and changed:
        return "cronsim answers a civil time that the expression does not name: it walks hours or days over a change of offset"
    lost = sorted(set(want) - set(got))
    if lost and changed:
        return "cronsim loses an elapsed-like time next to a change: it walks hours or days over it and lands behind"
    return None


def near_changes(tz, start, end):
    years = range(start.year, end.year + 1) if tz != "UTC" else []
    return [change for year in years for change in changes_in(tz, year) if start - timedelta(days=2) <= change[0] <= end + timedelta(days=2)]


def matches(expr, tz, instant):
    means, civil = meaning(expr), instant + offset_at(tz, instant)
    return means.on(civil.date()) and civil.hour in means.hours and civil.minute in means.minutes and civil.second in means.seconds


def tags_of(expr):
    """Rows on a point where crons differ: `*/n` in one day field while the other is given (Vixie: AND), `*/n` years (from which year?)."""
    fields = expr.split()
    if len(fields) == 7 and fields[6].startswith("*/"):
        return {"tag": "year_step"}
    dom, dow = (fields[2], fields[4]) if len(fields) == 5 else (fields[3], fields[5]) if len(fields) > 5 else ("*", "*")
    stepped = (dom.startswith("*/") and dow[0] not in "*?") or (dow.startswith("*/") and dom[0] not in "*?") or (dom.startswith("*/") and dow.startswith("*/"))
    return {"tag": "star_step_day"} if stepped else {}


def row_of(expr, tz, after):
    want = next_times(meaning(expr), tz, after, COUNT)
    row = {"expr": expr, "tz": tz, "after": local_text(tz, after)} | tags_of(expr)
    try:
        got = limited(lambda: ask_cronsim(expr, tz, after)) if len(expr.split()) == 5 else None
    except (CronSimError, StopIteration, TimeoutError):
        got = None
    if got is None:
        return row | {"oracle": "definition", "next": [text(at) for at in want]}
    row |= {"oracle": "cronsim", "next": [text(at) for at in got]}
    if got != want:
        why = deviation(expr, tz, after, got, want) or "unexplained"
        row |= {"design": [text(at) for at in want], "why": why}
    return row


def plain_start(rng):
    special = ["2027-12-31", "2028-02-28", "2028-02-29", "2096-02-28", "2099-12-31", "2100-02-28", "2100-03-01", "2026-04-30", "2027-01-31"]
    if rng.random() < 0.35:
        day = datetime.fromisoformat(rng.choice(special))
    else:
        day = datetime(2000, 1, 1) + timedelta(days=rng.randrange(0, 11000))
    return day + timedelta(seconds=rng.choice([0, 86399, rng.randrange(86400)]))


def cron_rows():
    rng, rows, seen = random.Random(20260417), [], set()

    def add(expr, tz, after):
        if (expr, tz, after) not in seen:
            seen.add((expr, tz, after))
            rows.append(row_of(expr, tz, after))

    for tz, years in ZONES.items():
        changes = [change for year in years for change in changes_in(tz, year)]
        for change in changes:
            for start in starts(rng, change):
                add(expression(rng, near_time(rng, change), rng.random() < 0.36), tz, start)
            for _ in range(7):
                add(special_expression(rng, near_time(rng, change)), tz, rng.choice(starts(rng, change)))
        for _ in range(260 if tz == "UTC" else 110 if not changes else 22):
            after = plain_start(rng)
            add(expression(rng, after + timedelta(minutes=rng.randrange(3000)), rng.random() < 0.3), tz, after)
    return [{"id": f"cron-{number:05}"} | row for number, row in enumerate(rows, 1)]


def option_rows():
    """Fixed-time expressions under the switches; the definition model is the only oracle. Where the default would say the same, no row."""
    rng, rows, seen = random.Random(20260418), [], set()
    for tz, years in ZONES.items():
        for change in [change for year in years for change in changes_in(tz, year)]:
            is_gap = change[2] > change[1]
            for _ in range(20):
                gap, fold = ("skip", "first") if is_gap else ("shift", rng.choice(["last", "both"]))
                expr, after = expression(rng, near_time(rng, change), False), rng.choice(starts(rng, change))
                means = meaning(expr)
                found = next_times(means, tz, after, COUNT, gap, fold)
                if (expr, tz, after) in seen or found == next_times(means, tz, after, COUNT):
                    continue
                seen.add((expr, tz, after))
                row = {"expr": expr, "tz": tz, "gap": gap, "fold": fold, "after": local_text(tz, after), "oracle": "definition"}
                rows.append(row | {"next": [text(at) for at in found]})
    return [{"id": f"options-{number:04}"} | row for number, row in enumerate(rows, 1)]
