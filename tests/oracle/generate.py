"""Generates `tests/data/oracle/*.ndjson`: what independent programs say, for the differential suite of schedules. Run by hand, never by CI.

How to run (Python 3.11, systemd 252, from the top of the repository; some two minutes):

    python3 -m venv VENV && VENV/bin/pip install -r tests/oracle/requirements.txt
    VENV/bin/python tests/oracle/generate.py            # or some of: cron options calendar quartz rrule zoned systemd
    git diff --stat tests/data/oracle                   # the same versions give the same bytes

Versions the committed rows were made with (2026-11-25): cronsim 2.8, croniter 7.0.0, python-dateutil 4.0.0, tzdata 2026.6 (= 2026f, what the
Rust side bundles), systemd 252.38. The machine's zone data is never read: zoneinfo gets no search path and systemd gets `TZDIR`. The random
numbers are seeded per file; the zones and years visited are in `cron_rows.ZONES`.

The files (one JSON object a line; times are RFC 3339, `next` and `design` in UTC, strictly after `after`):

- cron.ndjson      id expr tz after oracle next [design why] [tag]: Vixie dialect, default switches, 6 times. 5, 6 and 7 fields, nicknames.
- options.ndjson   the same with `gap` (shift, skip) and `fold` (first, last, both); only rows where the switch changes the answer.
- calendar.ndjson  tz UTC, no zone rule at work: 5, 6 (seconds first), 7 fields; `days` "and" where the day fields are joined by AND.
- quartz.ndjson    id expr dialect days tz after oracle next: `dialect` quartz (1 = SUN), and vixie with `L-n`, `W`, `LW`, AND. A list shorter
                   than 6 is the whole future of an expression with years.
- rrule.ndjson     id rrule oracle next (8) total ends [design why] [never]: the text has DTSTART, RRULE and perhaps EXDATE, RDATE lines; floating, in UTC.
- zoned.ndjson     id rrule tz after oracle next (6): rules whose DTSTART is civil time in `tz`; dateutil walks, the definition places.
- systemd.ndjson   id on_calendar normalized tz zone_by after oracle next (5) [design why].
- deviations.md    the rows in which an oracle contradicts the design, by reason, and the number of rows per file and zone.

Which answer counts: `design` where the row has it, else `next`. `design` is written only where the definition model (definition.py: brute
force, reading the design's rule) differs from the oracle; `why` is the reason. `unexplained` in a `why` stops the generator.

Which oracle is known to be wrong where:

- cronsim: answers a time before the start when the start lies in the second pass of a fold; walks hours and days of elapsed-like
  expressions over a change and then loses times, or answers one that the expression does not name, where the shift is no whole hour or
  midnight lies in a gap; calls any field that begins with `*` elapsed-like, also `*/10,7`. It treats expressions with seconds as
  elapsed-like always: not asked. It cannot read `W`, `L-n`, `?`, ranges that wrap.
- croniter: asked in UTC only, for its zone handling repeats fixed times in folds. Joins `n#k`, `nL`, `nW` with the other day field by AND;
  counts one step too many where a range with a step wraps; lets `31W` fall on the last weekday of a shorter month. It cannot read `LW`,
  `L-n`, and no list that mixes plain days with `n#k` or `nL`.
- dateutil: reads `Z` in a rule by the machine's zone, so it is asked without. Counts BYSETPOS of a weekly rule from the start on in its
  first week; by RFC 5545 a set starts at the beginning of its interval (`total` is the design's then).
- systemd: skips times in a gap, takes one pass of the repeated hour for elapsed rhythms and the second one for a fixed time when asked
  after the first, and gives up where midnight lies in a gap.
- definition: is ours, and so no second opinion on the meaning of the design. Its readings: `*/n` in one day field leaves it "not given"
  (Vixie: AND; rows with `tag` star_step_day); `*/2` as year counts from 1970, so even years (`tag` year_step); `n/k` and `0-59/k` are
  fixed-time, only `*` and `*/n` by themselves are elapsed-like; that holds for 6 and 7 fields too, the seconds play no part; `nW` has no
  day in a month without day n; the switches `gap` and `fold` act on fixed-time expressions alone; Quartz's `L` as day of week is Saturday.
"""

import json
import sys
import zoneinfo
from collections import Counter
from importlib.metadata import version
from pathlib import Path

zoneinfo.reset_tzpath(())

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "data" / "oracle"


def check_versions():
    for line in (HERE / "requirements.txt").read_text().split():
        name, _, wanted = line.partition("==")
        if version(name) != wanted:
            raise SystemExit(f"{name} is {version(name)}; the rows are made with {wanted}: see requirements.txt")


def sources():
    from calendar_rows import calendar_rows
    from cron_rows import cron_rows, option_rows
    from quartz_rows import quartz_rows
    from rrule_rows import rrule_rows, zoned_rows
    from systemd_rows import systemd_rows

    named = (cron_rows, calendar_rows, quartz_rows, rrule_rows, zoned_rows, systemd_rows)
    return {made.__name__.removesuffix("_rows"): made for made in named} | {"options": option_rows}


def write(name, rows):
    unexplained = [row["id"] for row in rows if row.get("why") == "unexplained"]
    if unexplained:
        raise SystemExit(f"{name}: nobody knows why the oracle differs in {unexplained}")
    TARGET.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, separators=(",", ":")) for row in rows]
    (TARGET / f"{name}.ndjson").write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(rows)} rows, {len([row for row in rows if 'why' in row])} deviations")


def read(name):
    return [json.loads(line) for line in (TARGET / f"{name}.ndjson").read_text().splitlines()]


def write_deviations(names):
    out = ["# Where the oracles contradict the design", "", "Written by `tests/oracle/generate.py`; its header says more. In these rows `design` counts.", ""]
    files = {name: read(name) for name in names}
    for name, rows in files.items():
        reasons = Counter(row["why"] for row in rows if "why" in row)
        if reasons:
            out += [f"## {name}.ndjson", ""]
        for why, count in reasons.most_common():
            ids = " ".join(row["id"] for row in rows if row.get("why") == why)
            out += [f"**{why}** ({count} rows)", "", ids, ""]
    out += ["## Rows", "", "| file | rows | by oracle | deviations |", "|---|---|---|---|"]
    for name, rows in files.items():
        oracles = ", ".join(f"{oracle} {count}" for oracle, count in sorted(Counter(row["oracle"] for row in rows).items()))
        out.append(f"| {name} | {len(rows)} | {oracles} | {len([row for row in rows if 'why' in row])} |")
    out += ["", "| zone | cron | options | quartz | zoned | systemd |", "|---|---|---|---|---|---|"]
    zoned = ["cron", "options", "quartz", "zoned", "systemd"]
    counts = {name: Counter(row["tz"] for row in files[name]) for name in zoned}
    for tz in sorted(set().union(*counts.values())):
        out.append(f"| {tz} | " + " | ".join(str(counts[name][tz]) for name in zoned) + " |")
    (TARGET / "deviations.md").write_text("\n".join(out) + "\n")


def main():
    check_versions()
    made = sources()
    for name in sys.argv[1:] or made:
        write(name, made[name]())
    write_deviations(sorted(made))


if __name__ == "__main__":
    main()
