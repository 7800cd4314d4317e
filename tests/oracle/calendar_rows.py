"""Rows of `calendar.ndjson`: which civil times an expression means, without any zone (UTC), against croniter where it can read it.

croniter is asked with `second_at_beginning`, with `implement_cron_bug` (a day field that begins with `*` does not count as given, as Vixie
cron has it) and with `day_or=False` for AND; `5L` is spelt `L5` for it. What it cannot read the definition model answers, and says so:
`LW`, `L-n`, lists that mix plain days with `n#k` or `nL`, years.
"""

import random
import re
from datetime import datetime, timedelta

from croniter import CroniterError, croniter
from cron_rows import tags_of
from definition import DAYS, MONTHS, meaning, next_times, text
from limit import limited

COUNT = 6


def sixty(rng):
    low = rng.randrange(0, 50)
    return rng.choice(
        ["0", "0", "*", "*/15", "*/7", "59", str(rng.randrange(60)), f"{low}-{low + 8}", f"{low}-59/{rng.randrange(2, 20)}", f"{rng.randrange(20)}/13",
         ",".join(str(n) for n in sorted(rng.sample(range(60), 3))), "55-5", "0,30", "10-20/3,45"]
    )  # fmt: skip


def hours(rng):
    return rng.choice(["*", "0", "*/6", "9-17", "8-18/2", "22-2", "0,12", str(rng.randrange(24)), "23", "1/7", "20-4/3"])


def days_of_month(rng):
    return rng.choice(
        ["*", "*", "*", "?", "1", "31", "30", "29", "L", "L", "1,15", "1,L", "15,L", "10-20", "1-31/7", "*/2", "*/10", "28-31", "5/9", "25-3",
         "LW", "1W", "15W", "31W", "30W", f"{rng.randrange(1, 29)}W", f"L-{rng.randrange(1, 30)}", "L-30", "1W,15W", "L,LW", str(rng.randrange(1, 32))]
    )  # fmt: skip


def months(rng):
    return rng.choice(["*", "*", "*", "*", "*/2", "2", "FEB", "1-6", "NOV-FEB", "JAN,JUL", "4,6,9,11", "1/5", MONTHS[rng.randrange(12)], "feb-apr", "*/5"])


def days_of_week(rng):
    day, name = rng.randrange(8), rng.choice(DAYS)
    return rng.choice(
        ["*", "*", "*", "*", "*", "?", str(day), name, "MON-FRI", "FRI-MON", "6-7", "5-7", "1,3,5", "SAT,SUN", "sun", f"{day}#{rng.randrange(1, 6)}",
         f"{name}#{rng.randrange(1, 6)}", f"{day}L", f"{name}L", "5L", "5#5", "1,5#1", "2L,3", "1#1,3#3", "*/2", "1-5/2", "SAT-TUE/2", "0", "7"]
    )  # fmt: skip


def start(rng):
    special = ["2027-12-31T23:59:59", "2028-02-28T12:00:00", "2028-02-29T00:00:00", "2096-02-29T00:00:01", "2099-12-31T23:59:30", "2100-02-28T23:59:59"]
    if rng.random() < 0.3:
        return datetime.fromisoformat(rng.choice(special))
    return datetime(2000, 1, 1) + timedelta(days=rng.randrange(0, 11000), seconds=rng.randrange(86400))


def spelt_for_croniter(expr):
    fields = expr.split()
    fields[-1] = re.sub(r"\b([0-7]|[A-Za-z]{3})L\b", r"L\1", fields[-1]).replace("L7", "L0")
    return " ".join(fields)


def ask_croniter(expr, after, days):
    fields = spelt_for_croniter(expr)
    walk = croniter(fields, after, ret_type=datetime, day_or=days == "or", implement_cron_bug=True, second_at_beginning=True)
    return [walk.get_next() for _ in range(COUNT)]


def deviation(expr, days):
    """Why croniter does not answer what the definition says; None: nobody knows, which is a finding."""
    fields = expr.split()
    dom, dow = fields[-3], fields[-1]
    both_given = dom[0] not in "*?" and dow[0] not in "*?" and days == "or"
    if both_given and ("#" in dow or re.search(r"L$", dow)):
        return "croniter joins `n#k` and `nL` with the day of month by AND; Vixie's OR holds for them too"
    if both_given and dom.endswith("W"):
        return "croniter joins `nW` with the day of week by AND; Vixie's OR holds for it too"
    if dom.endswith("W") and dom[:-1].isdigit() and int(dom[:-1]) > 28:
        return "croniter takes the last weekday of a month that has no day n for `nW`; by definition such a month has none"
    if any(is_wrapping_step(field) for field in fields):
        return "croniter counts one step too many where a range with a step wraps: `20-4/3` is 20, 23, 2"
    return None


def is_wrapping_step(field):
    found = re.fullmatch(r"(\w+)-(\w+)/\d+", field)
    place = lambda name: DAYS.index(name) if name in DAYS else int(name)
    return bool(found) and place(found[1]) > place(found[2])


def row_of(expr, after, days):
    want = next_times(meaning(expr, days=days), "UTC", after, COUNT)
    row = {"expr": expr, "tz": "UTC", "after": text(after)} | ({"days": "and"} if days == "and" else {}) | tags_of(expr)
    try:
        got = limited(lambda: ask_croniter(expr, after, days)) if len(expr.split()) < 7 else None
    except (CroniterError, TimeoutError, KeyError, ValueError):
        got = None
    if got is None:
        return row | {"oracle": "definition", "next": [text(at) for at in want]}
    row |= {"oracle": "croniter", "next": [text(at) for at in got]}
    if got != want:
        row |= {"design": [text(at) for at in want], "why": deviation(expr, days) or "unexplained"}
    return row


def calendar_rows():
    rng, rows, seen = random.Random(20260419), [], set()
    while len(rows) < 1200:
        fields = [sixty(rng), hours(rng), days_of_month(rng), months(rng), days_of_week(rng)]
        shape = rng.random()
        if shape < 0.6:
            fields.insert(0, sixty(rng))
        if shape < 0.06:
            fields.append(rng.choice(["*", "2030", "2027-2031", "2028/4", "2026,2100", "2100", "*/2"]))
        expr, after, days = " ".join(fields), start(rng), "and" if rng.random() < 0.12 else "or"
        if days == "and" and any(field[0] in "*?" for field in (fields[-1], fields[-3])):
            days = "or"
        row = row_of(expr, after, days)
        # A rule that comes to nothing within sixty years, or never: another suite's question.
        if (expr, after) not in seen and len(row.get("design", row["next"])) == COUNT:
            seen.add((expr, after))
            rows.append(row)
    return [{"id": f"calendar-{number:04}"} | row for number, row in enumerate(rows, 1)]
