"""Rows of `systemd.ndjson`: OnCalendar expressions against `systemd-analyze calendar`, in UTC, with a zone suffix, and with `TZ`.

The zone data is the pinned package's (`TZDIR`), not the machine's. The definition model reads the *normalized* form; where its answer by the
design's rule differs, `design` and `why` say so: systemd skips what lies in a gap, and loses or repeats a pass of the repeated hour.
`00/n` is read as `*/n` (the same set), so it is elapsed-like.
"""

import os
import random
import re
import subprocess
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import tzdata
from cron_rows import near_time, starts
from definition import Meaning, changes_in, last_day, next_times, text

COUNT = 5
VERSION = "252"
ROWS = 620
WEEK = "Mon Tue Wed Thu Fri Sat Sun".split()
ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago", "Africa/Cairo", "Europe/Dublin", "Antarctica/Troll"]
FORMS = [
    "minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually", "Mon..Fri *-*-* 09:00", "*-*-01 00:00", "*:0/15",
    "Sat,Sun 10:00:00", "*-02~03", "2026-01/2-15", "*-*~1 12:00", "Mon *-05~07/1", "*:*:0/30", "*-*-* 00/6:00:00", "Mon,Wed,Fri 18:30", "Sun *-*-1..7 03:00",
    "*-*-* 09..17:00", "*-1,7-1 06:00", "Fri *-*-13", "*-2-29", "Mon *-12-* 17:00", "2027-*-01", "2026..2028-06-01 08:00", "*-*-5/10 04:05:06", "Fri..Sun 04:00",
    "*-*-* 08,12,20:15,45:00", "Tue *-*~07/1 23:59:59", "*-*-31 00:00", "*-*~3 06:30", "Thu", "12:05", "*-*-* *:00/7", "03:00/20", "*-1..3-* 00:00", "05:40:10/25",
]  # fmt: skip


def form(rng, near):
    """A form of the manual, or one made for what is special near the change."""
    hour, minute, day = near.hour, near.minute, near.day
    special = [
        f"{hour:02}:{minute:02}", f"*-*-* {hour:02}:{minute:02}:00", f"{WEEK[near.weekday()]} {hour:02}:{minute:02}", f"*:{minute:02}", f"*:0/{rng.choice([5, 10, 20])}",
        f"*-*-* 0/{rng.choice([2, 3, 4])}:{minute:02}:00", f"*-{near.month}-{day} {hour:02}:{minute:02}", f"{hour:02}:00,15,30,45", f"*-*-* {max(hour - 1, 0)}..{min(hour + 2, 23)}:{minute:02}:00",
        f"*-*-{day}..{min(day + 3, 31)} {hour:02}:{minute:02}", "00:00", f"{hour:02}:{minute:02}:30", f"*-*~{rng.randrange(1, 9)} {hour:02}:{minute:02}",
    ]  # fmt: skip
    return rng.choice(special if rng.random() < 0.6 else FORMS)


def numbers(component, low, high):
    found = set()
    for item in component.split(","):
        base, _, step = item.partition("/")
        if base == "*":
            start, end = low, high
        elif ".." in base:
            start, end = (int(part) for part in base.split(".."))
        else:
            start = int(base)
            end = high if step else start
        found |= set(range(start, end + 1, int(step or 1)))
    return found


@dataclass(frozen=True)
class OnCalendar(Meaning):
    """A normalized form. `days` is counted from the end of the month if `from_end`."""

    from_end: bool = False

    def on(self, day: date):
        if day.month not in self.months or (self.years is not None and day.year not in self.years) or WEEK[day.weekday()] not in self.weekdays:
            return False
        last = last_day(day.year, day.month)
        if not self.from_end:
            return day.day in numbers(self.days, 1, last)
        chosen = set()
        for item in self.days.split(","):
            base, _, step = item.partition("/")
            start = last + 1 - int(base)
            chosen |= set(range(start, last + 1, int(step))) if step else {start}
        return day.day in chosen


def week_of(names):
    found = set()
    for item in names.split(","):
        first, _, final = item.partition("..")
        at, end = WEEK.index(first), WEEK.index(final or first)
        found |= {WEEK[n % 7] for n in range(at, (end if end >= at else end + 7) + 1)}
    return frozenset(found)


def meaning_of(normalized):
    """(meaning, zone suffix or None) of a normalized form."""
    words = normalized.split()
    tz = words.pop() if "/" in words[-1] and words[-1][0].isalpha() else ("UTC" if words[-1] == "UTC" and words.pop() else None)
    week = week_of(words.pop(0)) if words[0][0].isalpha() else frozenset(WEEK)
    years, month, mark, days = re.fullmatch(r"(.+?)-(.+?)([-~])(.+)", words[0]).groups()
    hours, minutes, seconds = words[1].split(":")
    is_star = lambda field: field == "*" or re.fullmatch(r"0?0/\d+", field) is not None
    means = OnCalendar(
        seconds=tuple(sorted(numbers(seconds, 0, 59))), minutes=tuple(sorted(numbers(minutes, 0, 59))), hours=tuple(sorted(numbers(hours, 0, 23))),
        days=days, months=frozenset(numbers(month, 1, 12)), weekdays=week, years=None if years == "*" else frozenset(numbers(years, 1970, 2199)),
        quartz=False, both_days=True, elapsed_like=is_star(hours) or is_star(minutes), from_end=mark == "~",
    )  # fmt: skip
    return means, tz


def ask_systemd(expr, tz, after):
    """(normalized form, next instants)."""
    env = os.environ | {"TZ": tz, "TZDIR": str(Path(tzdata.__file__).parent / "zoneinfo"), "LC_ALL": "C.UTF-8"}
    base = after.strftime("--base-time=%Y-%m-%d %H:%M:%S UTC")
    run = subprocess.run(["systemd-analyze", "calendar", f"--iterations={COUNT}", base, expr], env=env, capture_output=True, text=True, check=False)
    if run.returncode != 0 and "Infinite loop in calendar calculation" not in run.stderr:
        raise SystemExit(f"{expr}: {run.stderr}")
    normalized, found = expr, []
    for line in (run.stdout + run.stderr).splitlines():
        name, _, value = line.strip().partition(": ")
        if name == "Normalized form":
            normalized = value
        elif name.startswith("Infinite loop"):
            normalized = value
        elif value.endswith(" UTC"):
            found.append(datetime.strptime(value[4:-4], "%Y-%m-%d %H:%M:%S"))
    return normalized, found


def deviation(means, tz, got, want):
    if not got and want:
        return "systemd gives up: it walks round for ever where midnight lies in a gap"
    near = [change for year in range(want[0].year, want[-1].year + 2) for change in changes_in(tz, year)] if tz != "UTC" else []
    lost, more = sorted(set(want) - set(got)), sorted(set(got) - set(want))
    if not near or not (lost or more):
        return None
    first = (lost + more)[0] if not more else min(lost + more)
    kinds = [("gap" if after > before else "fold") for at, before, after in near if abs(at - first) <= timedelta(hours=26)]
    if not kinds:
        return None
    if kinds[0] == "gap":
        if means.elapsed_like:
            return "systemd walks civil time over a gap: it leaves out or shifts what the elapsed rhythm has"
        return "systemd skips a time inside a gap, where the design has one occurrence at the gap's end"
    return "systemd takes one pass of the repeated hour for an elapsed rhythm, the design both" if means.elapsed_like else "systemd takes the other pass of the repeated hour, or both; the design the first alone"


def row_of(expr, env_tz, after):
    normalized, got = ask_systemd(expr, env_tz, after)
    means, suffix = meaning_of(normalized)
    tz = suffix or env_tz
    want = next_times(means, tz, after, COUNT)
    row = {"on_calendar": expr, "normalized": normalized, "tz": tz, "zone_by": "suffix" if suffix else "default", "after": text(after)}
    row |= {"oracle": f"systemd {VERSION}", "next": [text(at) for at in got]}
    if got != want:
        row |= {"design": [text(at) for at in want], "why": deviation(means, tz, got, want) or "unexplained"}
    return row


def systemd_rows():
    shown = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    if not shown.startswith(f"systemd {VERSION} "):
        raise SystemExit(f"the rows were made with systemd {VERSION}; here is {shown.splitlines()[0]}")
    rng, rows, seen = random.Random(20260422), [], set()
    plain = [(expr, "UTC", datetime(2026, 1, 1) + timedelta(days=97 * number % 900, hours=number % 24)) for number, expr in enumerate(FORMS)]
    while len(plain) < ROWS:
        tz = rng.choice(["UTC", *ZONES, *ZONES])
        changes = [] if tz in ("UTC", "Asia/Kolkata") else changes_in(tz, 2026) + changes_in(tz, 2025)
        after = datetime(2025, 1, 1) + timedelta(days=rng.randrange(1400), seconds=rng.randrange(86400))
        near = after
        if changes:
            change = rng.choice(changes)
            after, near = rng.choice(starts(rng, change)), near_time(rng, change)
        expr = form(rng, near)
        by_suffix = tz != "UTC" and rng.random() < 0.4 and not expr.isalpha()
        plain.append((f"{expr} {tz}", "UTC", after) if by_suffix else (expr, tz, after))
    for case in plain:
        if case not in seen:
            seen.add(case)
            rows.append(row_of(*case))
    return [{"id": f"systemd-{number:03}"} | row for number, row in enumerate(rows, 1)]
