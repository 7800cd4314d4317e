"""Rows of `quartz.ndjson`: the Quartz dialect (seconds first, 1 = SUN … 7 = SAT, one day field `?`, optional year), and what both dialects
have beyond Vixie (`L-n`, `W`, `LW`, `nL`, AND of the day fields) in the Vixie dialect.

No Python library reads all of it, so the definition model is the oracle. Two meanings are ours by decision, since Quartz itself is unclear:
`nW` has no day in a month without day n, and `L-n` none where n is not smaller than the month's length.
"""

import random
from datetime import datetime, timedelta

from cron_rows import ZONES, near_time, starts
from definition import DAYS, MONTHS, changes_in, local_text, meaning, next_times, text

COUNT = 6
ROWS_QUARTZ, ROWS_VIXIE = 620, 230


def month_days(rng):
    return rng.choice(
        ["L", "L", f"L-{rng.randrange(1, 30)}", f"L-{rng.randrange(1, 8)}", "LW", "LW", "1W", "15W", "31W", "30W", "29W", f"{rng.randrange(1, 32)}W",
         "1", "31", "1,15,L", "10-12", "1/5", "L,15W", "29", "*", "5W,20W", "L-3,1"]
    )  # fmt: skip


def quartz_weekdays(rng):
    day, name = rng.randrange(1, 8), rng.choice(DAYS)
    return rng.choice(
        [str(day), name, f"{day}L", "6L", f"{name}L", "6#3", f"{day}#{rng.randrange(1, 6)}", f"{name}#{rng.randrange(1, 6)}", "L", "2-6", "MON-FRI",
         "1,7", "SAT,SUN", "7-2", "FRI-MON", "2/2", "1", "7", "2#5", "*"]
    )  # fmt: skip


def vixie_weekdays(rng):
    day, name = rng.randrange(8), rng.choice(DAYS)
    return rng.choice([str(day), name, f"{day}L", f"{name}L", f"{day}#{rng.randrange(1, 6)}", "1-5", "MON-FRI", "0", "7", "5#1,5#3", "6-7"])


def clock(rng, near):
    pairs = [("0", "12"), (str(near.minute), str(near.hour)), ("15", "10"), ("0/15", "14"), ("*/30", "8-10"), ("*", "14"), ("0-5", "14"), ("0", "*/6"),
             ("30", "0/8"), ("10,44", "14"), ("59", "23"), ("0", "0")]  # fmt: skip
    return [rng.choice(["0", "0", "0", "30", "0/20", "5,10"]), *rng.choice(pairs)]


def months(rng):
    return rng.choice(["*", "*", "*", "*", "2", "FEB", "3", "1/3", "JAN-MAR", "NOV-FEB", MONTHS[rng.randrange(12)], "4,6,9,11"])


def quartz_expression(rng, near):
    days = (month_days(rng), "?") if rng.random() < 0.5 else ("?", quartz_weekdays(rng))
    year = [rng.choice(["*", "2026-2029", "2027", "2028/4", "2026,2030", "2099"])] if rng.random() < 0.2 else []
    return " ".join([*clock(rng, near), days[0], months(rng), days[1], *year])


def vixie_expression(rng, near, days):
    fields = clock(rng, near)[rng.randrange(2) :]
    weekdays = vixie_weekdays(rng) if days == "and" or rng.random() < 0.35 else "*"
    return " ".join([*fields, month_days(rng).replace("*", "13"), months(rng), weekdays])


def zone_and_start(rng):
    """Mostly UTC, to keep the calendar apart from the zone rule; else a change of offset and what is special about it."""
    if rng.random() < 0.7:
        after = datetime(2024, 1, 1) + timedelta(days=rng.randrange(0, 1800), seconds=rng.randrange(86400))
        return "UTC", after, after
    tz = rng.choice([tz for tz, years in ZONES.items() if 2026 in years])
    change = rng.choice(changes_in(tz, 2026))
    return tz, rng.choice(starts(rng, change)), near_time(rng, change)


def quartz_rows():
    rng, rows, seen = random.Random(20260420), [], set()
    while len(rows) < ROWS_QUARTZ + ROWS_VIXIE:
        dialect = "quartz" if len(rows) < ROWS_QUARTZ else "vixie"
        days = "and" if dialect == "vixie" and rng.random() < 0.6 else "or"
        tz, after, near = zone_and_start(rng)
        expr = quartz_expression(rng, near) if dialect == "quartz" else vixie_expression(rng, near, days)
        found = next_times(meaning(expr, dialect, days), tz, after, COUNT)
        # With a year field the times come to an end: the short list is the whole of them. Without, too rare is another suite's question.
        if (expr, tz, after) in seen or (len(found) < COUNT and (len(expr.split()) < 7 or expr.endswith("*"))):
            continue
        seen.add((expr, tz, after))
        row = {"expr": expr, "dialect": dialect, "days": days, "tz": tz, "after": local_text(tz, after), "oracle": "definition"}
        rows.append(row | {"next": [text(at) for at in found]})
    return [{"id": f"quartz-{number:04}"} | row for number, row in enumerate(rows, 1)]
