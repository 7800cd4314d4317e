"""The definition-level model: which civil times an expression means, and what becomes of them at the zone changes.

Not an implementation to ship and not a port of one: every symbol of the fields is written down from its definition with Python's calendar
module and tried day by day; zone changes are found by asking zoneinfo for offsets and bisecting. What must hold: nothing here is taken from
the Rust code, and nothing here is clever: when the two disagree, this is the one a person can check by reading.

The rule (design, section 6). Elapsed-like: the minute or the hour field is `*` or `*/n`; every instant whose civil time matches counts, so
times inside a gap do not exist and both passes of a fold count. Fixed-time: all else; every civil time counts once: a time that comes twice
at the first, the times inside one gap together as one occurrence at the gap's end. Switchable for fixed-time: gap "shift" (default) | "skip",
fold "first" (default) | "last" | "both".
"""

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

UTC = timezone.utc
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
DAYS = "SUN MON TUE WED THU FRI SAT".split()
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
SEARCH_YEARS = 100


def last_day(year, month):
    return calendar.monthrange(year, month)[1]


def sunday_based(day):
    """0 = Sunday … 6 = Saturday."""
    return (day.weekday() + 1) % 7


def value_of(text, names, first):
    return names.index(text) + first if text in names else int(text)


def numbers(text, low, high, names=(), first=0):
    """The numbers of one item: `*`, `5`, `5-9`, a range that wraps `22-2`, and any of them with `/n` (`5/n` runs to the end)."""
    base, _, step = text.partition("/")
    if base in ("*", "?"):
        run = list(range(low, high + 1))
    elif "-" in base:
        start, end = (value_of(part, names, first) for part in base.split("-"))
        run = list(range(start, end + 1)) if start <= end else list(range(start, high + 1)) + list(range(low, end + 1))
    else:
        start = value_of(base, names, first)
        run = list(range(start, high + 1)) if step else [start]
    return set(run[:: int(step)] if step else run)


def number_set(field, low, high, names=(), first=0):
    found = set()
    for item in field.split(","):
        found |= numbers(item, low, high, names, first)
    return found


def nearest_weekday(year, month, number):
    """The day nearest to `number` that is Monday to Friday and in the same month; None: the month has no such day number."""
    if number > last_day(year, month):
        return None
    day = date(year, month, number)
    if day.weekday() == 5:
        return number - 1 if number > 1 else 3
    if day.weekday() == 6:
        return number + 1 if number < last_day(year, month) else number - 2
    return number


def day_of_month_matches(item, day):
    last = last_day(day.year, day.month)
    if item == "L":
        return day.day == last
    if item == "LW":
        weekdays = [n for n in range(1, last + 1) if date(day.year, day.month, n).weekday() < 5]
        return day.day == weekdays[-1]
    if item.startswith("L-"):
        return day.day == last - int(item[2:])
    if item.endswith("W"):
        return day.day == nearest_weekday(day.year, day.month, int(item[:-1]))
    return day.day in numbers(item, 1, 31)


def day_of_week_matches(item, day, quartz):
    first = 1 if quartz else 0
    own = sunday_based(day)
    number = lambda text: (value_of(text, DAYS, first) - first) % 7
    if item == "L":
        return own == 6
    if "#" in item:
        name, _, nth = item.partition("#")
        return own == number(name) and (day.day - 1) // 7 + 1 == int(nth)
    if item.endswith("L") and item not in DAYS:
        return own == number(item[:-1]) and day.day + 7 > last_day(day.year, day.month)
    if quartz:
        return own + 1 in numbers(item, 1, 7, DAYS, 1)
    if "-" in item:
        # 7 is Sunday: a range to 7 ends there, a range from 7 starts at 0, any other may wrap.
        base, _, step = item.partition("/")
        start, end = (value_of(part, DAYS, 0) for part in base.split("-"))
        start = 0 if start == 7 and end != 7 else start
        run = [n % 7 for n in range(start, (end if start <= end else end + 7) + 1)]
        return own in run[:: int(step or 1)]
    return own in {n % 7 for n in numbers(item, 0, 7, DAYS, 0)}


@dataclass(frozen=True)
class Meaning:
    seconds: tuple
    minutes: tuple
    hours: tuple
    days: str
    months: frozenset
    weekdays: str
    years: frozenset | None
    quartz: bool
    both_days: bool
    elapsed_like: bool

    def on(self, day):
        if day.month not in self.months or (self.years is not None and day.year not in self.years):
            return False
        by_month = any(day_of_month_matches(item, day) for item in self.days.split(","))
        by_week = any(day_of_week_matches(item, day, self.quartz) for item in self.weekdays.split(","))
        return (by_month and by_week) if self.both_days else (by_month or by_week)

    def times(self, start):
        """Civil times at or after `start`, in order, for the years that are searched at all."""
        day, end = start.date(), start.year + SEARCH_YEARS
        while day.year < end:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self.on(day):
                for hour in self.hours:
                    if day == start.date() and hour < start.hour:
                        continue
                    for minute in self.minutes:
                        for second in self.seconds:
                            civil = datetime(day.year, day.month, day.day, hour, minute, second)
                            if civil >= start:
                                yield civil
            day += timedelta(days=1)


def is_star(field):
    return field == "*" or (field.startswith("*/") and field[2:].isdigit())


@lru_cache(maxsize=None)
def meaning(expr, dialect="vixie", days="or"):
    """Reads 5 fields, 6 (seconds first), 7 (year last) or a nickname."""
    fields = NICKNAMES.get(expr.lower(), expr).upper().split()
    if len(fields) == 5:
        fields = ["0", *fields]
    seconds, minutes, hours, dom, months, dow = fields[:6]
    # Vixie: a day field that begins with a star does not count as given, also `*/2`. Quartz: one of the two is `?`.
    open_day = dom[0] in "*?" or dow[0] in "*?"
    return Meaning(
        seconds=tuple(sorted(number_set(seconds, 0, 59))),
        minutes=tuple(sorted(number_set(minutes, 0, 59))),
        hours=tuple(sorted(number_set(hours, 0, 23))),
        days=dom,
        months=frozenset(number_set(months, 1, 12, MONTHS, 1)),
        weekdays=dow,
        years=frozenset(number_set(fields[6], 1970, 2199)) if len(fields) == 7 else None,
        quartz=dialect == "quartz",
        both_days=days == "and" or open_day,
        elapsed_like=is_star(minutes) or is_star(hours),
    )


def offset_at(tz, instant):
    """Offset at a naive UTC instant."""
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(tz)).utcoffset()


@lru_cache(maxsize=None)
def changes_in(tz, year):
    """(instant, offset before, offset after) of every change of offset in a year of UTC, found by probing and bisecting."""
    found, at = [], datetime(year, 1, 1)
    here = offset_at(tz, at)
    while at.year == year:
        to = at + timedelta(hours=3)
        there = offset_at(tz, to)
        if there != here:
            low, high = at, to
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                low, high = (low, middle) if offset_at(tz, middle) != here else (middle, high)
            found.append((high, here, there))
        at, here = to, there
    return found


def changes_near(tz, instant, hours=48):
    if tz == "UTC":
        return []
    reach = timedelta(hours=hours)
    years = range((instant - reach).year, (instant + reach).year + 1)
    return [change for year in years for change in changes_in(tz, year) if abs(change[0] - instant) <= reach]


def instants_of(tz, civil):
    """(the instants with this civil time, the ends of the gaps that swallow it), naive UTC."""
    near = changes_near(tz, civil)
    if not near:
        return [civil - offset_at(tz, civil)], []
    offsets = {offset for _, before, after in near for offset in (before, after)}
    instants = sorted(civil - offset for offset in offsets if offset_at(tz, civil - offset) == offset)
    ends = [at for at, before, after in near if at + before <= civil < at + after]
    return instants, ends


def spread(tz, instant):
    offsets = [offset for _, before, after in changes_near(tz, instant, 72) for offset in (before, after)]
    return max(offsets) - min(offsets) if offsets else timedelta(0)


def next_times(means, tz, after, count, gap="shift", fold="first"):
    """The first `count` instants strictly after `after` (naive UTC), by the rule at the top of this file."""
    start = after + offset_at(tz, after) - spread(tz, after)
    found, stop = set(), None
    for civil in means.times(start):
        if stop is not None and civil > stop:
            break
        instants, ends = instants_of(tz, civil)
        if means.elapsed_like or fold == "both":
            chosen = instants
        else:
            chosen = instants[-1:] if fold == "last" else instants[:1]
        if not instants and not means.elapsed_like and gap == "shift":
            chosen = ends
        found |= {instant for instant in chosen if instant > after}
        if len(found) >= count and stop is None:
            latest = max(found)
            stop = latest + offset_at(tz, latest) + 2 * spread(tz, latest)
    return sorted(found)[:count]


def text(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def local_text(tz, instant):
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(tz)).isoformat(timespec="seconds")
