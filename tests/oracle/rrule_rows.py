"""Rows of `rrule.ndjson`: RFC 5545 rules in floating time against dateutil; and of `zoned.ndjson`: the same in zones, by the definition's rule.

Every fifth rule is written with `Z`; dateutil is asked without it, for it would read `Z` by the machine's zone. `total` is the number of
occurrences when the rule ends by COUNT or UNTIL, else null. Rules that dateutil refuses are left out; rules that never come to anything
are kept with an empty list: a host must say so at once. `never` marks those among them that have neither COUNT nor UNTIL.
"""

import random
from datetime import datetime, timedelta

from dateutil.rrule import rrulestr
from cron_rows import ZONES, near_time, starts
from definition import changes_in, instants_of, local_text, text
from limit import limited

COUNT, ROWS = 8, 1700
WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
STAMP = "%Y%m%dT%H%M%S"


def sample(rng, low, high, most):
    pool = [n for n in range(low, high + 1) if n != 0]
    return ",".join(str(n) for n in sorted(rng.sample(pool, rng.randrange(1, most + 1))))


def plain_days(rng):
    return ",".join(rng.choice([["MO", "TU", "WE", "TH", "FR"], ["SA", "SU"], sorted(rng.sample(WEEKDAYS, rng.randrange(1, 4)))]))


def ordinal_days(rng, low, high):
    picks = [f"{rng.choice([n for n in range(low, high + 1) if n])}{rng.choice(WEEKDAYS)}" for _ in range(rng.randrange(1, 3))]
    return ",".join(dict.fromkeys(picks))


def month_parts(rng):
    return rng.choice([
        lambda: {"BYMONTHDAY": sample(rng, -31, 31, 3)}, lambda: {"BYMONTHDAY": "-1"}, lambda: {"BYMONTHDAY": rng.choice(["31", "30", "29", "28,-1"])},
        lambda: {"BYDAY": ordinal_days(rng, -5, 5)}, lambda: {"BYDAY": plain_days(rng), "BYSETPOS": rng.choice(["-1", "1", "2", "1,-1", "-2", "3"])},
        lambda: {"BYDAY": "FR", "BYMONTHDAY": "13"}, lambda: {"BYDAY": plain_days(rng), "BYMONTHDAY": "1,2,3,4,5,6,7"}, lambda: {},
        lambda: {"BYMONTHDAY": sample(rng, 1, 31, 4), "BYSETPOS": rng.choice(["-1", "1", "2"])},
    ])()  # fmt: skip


def year_parts(rng):
    month = sample(rng, 1, 12, 3)
    return rng.choice([
        lambda: {"BYMONTH": month}, lambda: {"BYMONTH": month, "BYMONTHDAY": sample(rng, -31, 31, 2)}, lambda: {"BYMONTH": month, "BYDAY": ordinal_days(rng, -4, 4)},
        lambda: {"BYYEARDAY": sample(rng, -366, 366, 4)}, lambda: {"BYYEARDAY": "-1,1,366"}, lambda: {"BYWEEKNO": sample(rng, -53, 53, 3), "BYDAY": plain_days(rng)},
        lambda: {"BYWEEKNO": rng.choice(["1", "52", "53", "-1", "20"]), "BYDAY": "MO"}, lambda: {"BYDAY": ordinal_days(rng, -53, 53)},
        lambda: {"BYDAY": plain_days(rng), "BYSETPOS": rng.choice(["-1", "1", "100", "10,-10"])}, lambda: {"BYMONTH": "2", "BYMONTHDAY": "29"}, lambda: {},
        lambda: {"BYMONTH": month, "BYDAY": plain_days(rng), "BYSETPOS": rng.choice(["-1", "1", "2"])}, lambda: {"BYMONTHDAY": sample(rng, -31, 31, 2)},
    ])()  # fmt: skip


def parts_of(rng, freq):
    if freq == "DAILY":
        return rng.choice([
            lambda: {}, lambda: {}, lambda: {"BYMONTH": sample(rng, 1, 12, 3)}, lambda: {"BYDAY": plain_days(rng)}, lambda: {"BYMONTHDAY": sample(rng, -31, 31, 3)},
            lambda: {"BYMONTH": sample(rng, 1, 12, 2), "BYMONTHDAY": sample(rng, 1, 31, 4)}, lambda: {"BYMONTH": "1", "BYDAY": plain_days(rng)},
        ])()  # fmt: skip
    if freq == "WEEKLY":
        wkst = {"WKST": rng.choice(WEEKDAYS)} if rng.random() < 0.5 else {}
        return rng.choice([lambda: {}, lambda: {"BYDAY": plain_days(rng)}, lambda: {"BYDAY": plain_days(rng), "BYMONTH": sample(rng, 1, 12, 3)},
                           lambda: {"BYDAY": plain_days(rng), "BYSETPOS": "1"}])() | wkst  # fmt: skip
    if freq == "MONTHLY":
        return month_parts(rng) | ({"BYMONTH": sample(rng, 1, 12, 4)} if rng.random() < 0.2 else {})
    return year_parts(rng) | ({"WKST": rng.choice(WEEKDAYS)} if rng.random() < 0.25 else {})


def rule(rng, start):
    freq = rng.choice(["DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "MONTHLY", "YEARLY", "YEARLY", "YEARLY"])
    parts = {"FREQ": freq}
    if rng.random() < 0.45:
        parts["INTERVAL"] = str(rng.choice([1, 2, 2, 3, 4, 5, 6, 7, 10, 13]))
    parts |= parts_of(rng, freq)
    if rng.random() < 0.2:
        parts["BYHOUR"] = ",".join(str(n) for n in sorted(rng.sample(range(24), rng.randrange(1, 4))))
    if rng.random() < 0.15:
        parts["BYMINUTE"] = ",".join(str(n) for n in sorted(rng.sample(range(60), rng.randrange(1, 3))))
    end = rng.random()
    if end < 0.25:
        parts["COUNT"] = str(rng.choice([1, 2, 3, 5, 10, 20, 50]))
    elif end < 0.5:
        until = start + timedelta(days=rng.choice([0, 1, 10, 40, 100, 400, 1500, 4000]), hours=rng.randrange(-3, 4))
        parts["UNTIL"] = until.strftime(STAMP)
    return ";".join(f"{name}={value}" for name, value in parts.items())


def start_of(rng):
    special = ["2024-02-29T08:00:00", "2025-01-31T09:30:00", "2026-12-31T23:59:59", "2027-01-01T00:00:00", "2026-03-31T12:00:00", "2099-11-30T06:00:00"]
    if rng.random() < 0.3:
        return datetime.fromisoformat(rng.choice(special))
    return datetime(1997, 1, 1) + timedelta(days=rng.randrange(0, 14000), hours=rng.randrange(24), minutes=rng.choice([0, 0, 30, 5, 59]))


def extras(rng, start, listed):
    """EXDATE and RDATE lines: times of the rule, and times that are none."""
    lines, roll = [], rng.random()
    if roll < 0.2 and listed:
        picks = rng.sample(listed, min(len(listed), rng.randrange(1, 4))) + [start + timedelta(days=rng.randrange(1, 50), minutes=7)]
        lines.append("EXDATE:" + ",".join(at.strftime(STAMP) for at in sorted(picks)))
    if 0.14 < roll < 0.3:
        picks = [start + timedelta(days=rng.randrange(0, 90), hours=rng.randrange(24)) for _ in range(rng.randrange(1, 4))] + listed[:1]
        lines.append("RDATE:" + ",".join(at.strftime(STAMP) for at in sorted(set(picks))))
    return lines


def occurrences(rule_text, ends):
    """The first ones, and how many there are if they end."""
    rules = rrulestr(rule_text, forceset=True)
    if ends:
        every = list(rules)
        return every[:COUNT], len(every)
    walk, first = iter(rules), []
    for at in walk:
        first.append(at)
        if len(first) == COUNT:
            return first, None
    return first, len(first)


def by_whole_weeks(start, own, extra_lines):
    """What a weekly rule with BYSETPOS gives by RFC 5545: positions count in the whole week, also in the one that the start lies in. The
    week's beginning is given to dateutil as the start, and what lies before the real one is dropped, before COUNT counts."""
    parts = dict(part.split("=") for part in own.split(";"))
    count = int(parts.pop("COUNT", 0))
    most = count or (None if "UNTIL" in parts else 400)
    begin = start - timedelta(days=(start.weekday() - WEEKDAYS.index(parts.get("WKST", "MO"))) % 7)
    rest = ";".join(f"{name}={value}" for name, value in parts.items())
    found = []
    for at in rrulestr(f"DTSTART:{begin.strftime(STAMP)}\nRRULE:{rest}"):
        if at >= start:
            found.append(at)
        if len(found) == most:
            break
    named = {line.partition(":")[0]: [datetime.strptime(at, STAMP) for at in line.partition(":")[2].split(",")] for line in extra_lines}
    every = sorted((set(found) | set(named.get("RDATE", []))) - set(named.get("EXDATE", [])))
    return every[:COUNT], len(every) if count or "UNTIL" in parts else None


WHOLE_WEEKS = "dateutil counts BYSETPOS from the start in the first week; RFC 5545 in the whole week, whose days before the start are none"


def with_z(line):
    name, _, values = line.partition(":")
    if name == "RRULE":
        return ";".join(part + "Z" if part.startswith("UNTIL=") else part for part in line.split(";"))
    return name + ":" + ",".join(value + "Z" for value in values.split(","))


def rrule_rows():
    rng, rows = random.Random(20260421), []
    while len(rows) < ROWS:
        start = start_of(rng)
        own = rule(rng, start)
        ends = "COUNT=" in own or "UNTIL=" in own
        lines = [f"DTSTART:{start.strftime(STAMP)}", f"RRULE:{own}"]
        try:
            listed, _ = limited(lambda: occurrences("\n".join(lines), ends))
            lines += extras(rng, start, listed)
            first, total = limited(lambda: occurrences("\n".join(lines), ends))
        except ValueError:
            continue
        design = by_whole_weeks(start, own, lines[2:]) if "FREQ=WEEKLY" in own and "BYSETPOS" in own else (first, total)
        if len(rows) % 5 == 4:
            lines = [with_z(line) for line in lines]
        row = {"rrule": "\n".join(lines), "oracle": "dateutil", "next": [text(at) for at in first], "total": total, "ends": total is not None}
        if design != (first, total):
            row |= {"total": design[1], "design": [text(at) for at in design[0]], "why": WHOLE_WEEKS}
        rows.append(row | ({"never": True} if total == 0 and not ends else {}))
    return [{"id": f"rrule-{number:04}"} | row for number, row in enumerate(rows, 1)]


def zoned_rule(rng, near):
    """A rule whose times lie at what is special about the change; without an end, so that UNTIL's form plays no part."""
    hours = ",".join(str(n) for n in sorted({near.hour, rng.choice([near.hour, (near.hour + 1) % 24, 12])}))
    minutes = ",".join(str(n) for n in sorted({near.minute, rng.choice([near.minute, 0, 30])}))
    frequency = rng.choice([
        "FREQ=DAILY", "FREQ=DAILY", "FREQ=DAILY;INTERVAL=2", f"FREQ=WEEKLY;BYDAY={WEEKDAYS[near.weekday()]}", "FREQ=WEEKLY;BYDAY=SA,SU,MO",
        f"FREQ=MONTHLY;BYMONTHDAY={near.day}", f"FREQ=MONTHLY;BYDAY=-1{WEEKDAYS[near.weekday()]}", "FREQ=MONTHLY;BYDAY=SU;BYSETPOS=-1", f"FREQ=YEARLY;BYMONTH={near.month}",
    ])  # fmt: skip
    return frequency + rng.choice(["", f";BYHOUR={hours}", f";BYHOUR={hours};BYMINUTE={minutes}"])


def zoned_next(rule_text, tz, after):
    """The first six instants after `after`: a civil time that comes twice at the first, all inside one gap together at its end."""
    found, civil_end = set(), None
    for civil in rrulestr(rule_text, forceset=True):
        if civil_end is not None and civil > civil_end:
            break
        instants, ends = instants_of(tz, civil)
        found |= {at for at in instants[:1] or ends if at > after}
        if len(found) == 6 and civil_end is None:
            civil_end = civil + timedelta(days=3)
    return sorted(found)[:6]


def zoned_rows():
    rng, rows = random.Random(20260423), []
    cases = [(tz, change) for tz, years in ZONES.items() for year in years for change in changes_in(tz, year)]
    for tz, change in cases:
        for _ in range(3):
            near, after = near_time(rng, change), rng.choice(starts(rng, change))
            rule_text = f"DTSTART:{(near - timedelta(days=rng.randrange(0, 40))).strftime(STAMP)}\nRRULE:{zoned_rule(rng, near)}"
            found = [text(at) for at in zoned_next(rule_text, tz, after)]
            rows.append({"rrule": rule_text, "tz": tz, "after": local_text(tz, after), "oracle": "dateutil+definition", "next": found})
    return [{"id": f"zoned-{number:03}"} | row for number, row in enumerate(rows, 1)]
