//! Recurrences in tables: the dates that RFC 5545 itself gives (3.8.5.3), the odd ends of months and years, the refusals, the words.
//!
//! Not the zones, not the laws (`laws`). What must hold: expected dates come from the standard or a calendar, never from this code.

use super::*;

fn civil(text: &str) -> Civil {
    text.parse().expect(text)
}

fn rules(text: &str) -> Rules {
    read(text).expect(text).settled(&TimeZone::UTC).expect(text)
}

/// Up to `most` times from `from` on, each found by its own question.
fn times(rules: &Rules, from: Civil, most: usize) -> Vec<Civil> {
    let mut found = Vec::new();
    let mut from = Some(from);
    while let Some(at) = from.filter(|_| found.len() < most) {
        let mut steps = Steps::new();
        let Some(next) = rules.next(at, &mut steps) else {
            assert!(!steps.is_spent(), "a rule that fires is found within the budget");
            break;
        };
        found.push(next);
        from = next.checked_add(1.second()).ok();
    }
    found
}

/// The first days, as `0902 0903`; several years as `1997:0902 1998:0101`.
fn days(text: &str, most: usize) -> String {
    let found = times(&rules(text), Civil::MIN, most);
    let mut year = 0;
    let words = found.iter().map(|at| {
        let prefix = if at.year() == year { String::new() } else { format!("{}:", at.year()) };
        year = at.year();
        format!("{prefix}{}", at.strftime("%m%d"))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_examples_of_the_rfc() {
    let table = [
        ("FREQ=DAILY;COUNT=10", "1997:0902 0903 0904 0905 0906 0907 0908 0909 0910 0911"),
        ("FREQ=DAILY;INTERVAL=2", "1997:0902 0904 0906 0908 0910 0912 0914 0916 0918 0920 0922 0924"),
        ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997:0902 0912 0922 1002 1012"),
        ("FREQ=WEEKLY;COUNT=10", "1997:0902 0909 0916 0923 0930 1007 1014 1021 1028 1104"),
        ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "1997:0902 0916 0930 1014 1028 1111 1125 1209 1223 1998:0106 0120 0203"),
        ("FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", "1997:0902 0904 0909 0911 0916 0918 0923 0925 0930 1002"),
        ("FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH", "1997:0902 0904 0909 0911 0916 0918 0923 0925 0930 1002"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", "1997:0902 0904 0916 0918 0930 1002 1014 1016"),
        ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997:0928 1029 1128 1229 1998:0129 0226 0329 0428 0529 0628 0729 0829"),
        ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15", "1997:0902 0915 1002 1015 1102 1115 1202 1215 1998:0102 0115"),
        ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", "1997:0930 1001 1031 1101 1130 1201 1231 1998:0101 0131 0201"),
        ("FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15", "1997:0910 0911 0912 0913 0914 0915 1999:0310 0311 0312 0313"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=TU;COUNT=9", "1997:0902 0909 0916 0923 0930 1104 1111 1118 1125"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=5", "1998:0213 0313 1113 1999:0813 2000:1013"),
        ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13;COUNT=4", "1997:0913 1011 1108 1213"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997:0904 1007 1106"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=7", "1997:0929 1030 1127 1230 1998:0129 0226 0330"),
    ];
    for (rule, expected) in table {
        let is_ending = rule.contains("COUNT") || rule.contains("UNTIL");
        let most = if is_ending { 100 } else { expected.split(' ').count() };
        let found = days(&format!("DTSTART;TZID=America/New_York:19970902T090000\nRRULE:{rule}"), most);
        assert_eq!(found, expected, "{rule}");
    }
}

#[test]
fn the_examples_of_the_rfc_with_other_starts() {
    for (start, rule, expected) in [
        (
            "19980101T090000",
            "FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=MO;BYMONTHDAY=1,2,3,4,5,6,7",
            "1998:0105 1999:0104 2000:0103",
        ),
        ("19970905T090000", "FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "1997:0905 1003 1107 1205 1998:0102 0206 0306 0403 0501 0605"),
        ("19970905T090000", "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR", "1997:0905 1003 1107 1205"),
        (
            "19970907T090000",
            "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
            "1997:0907 0928 1102 1130 1998:0104 0125 0301 0329 0503 0531",
        ),
        ("19970922T090000", "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997:0922 1020 1117 1222 1998:0119 0216"),
        (
            "19970610T090000",
            "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
            "1997:0610 0710 1998:0610 0710 1999:0610 0710 2000:0610 0710 2001:0610 0710",
        ),
        (
            "19970310T090000",
            "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
            "1997:0310 1999:0110 0210 0310 2001:0110 0210 0310 2003:0110 0210 0310",
        ),
        (
            "19970101T090000",
            "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
            "1997:0101 0410 0719 2000:0101 0409 0718 2003:0101 0410 0719 2006:0101",
        ),
        ("19970519T090000", "FREQ=YEARLY;BYDAY=20MO;COUNT=3", "1997:0519 1998:0518 1999:0517"),
        ("19970512T090000", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=3", "1997:0512 1998:0511 1999:0517"),
        ("19970313T090000", "FREQ=YEARLY;BYMONTH=3;BYDAY=TH;COUNT=7", "1997:0313 0320 0327 1998:0305 0312 0319 0326"),
        ("19970805T090000", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997:0805 0810 0819 0824"),
        ("19970805T090000", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997:0805 0817 0819 0831"),
        ("19961105T090000", "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=3", "1996:1105 2000:1107 2004:1102"),
        ("20070115T090000", "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007:0115 0130 0215 0315 0330"),
    ] {
        assert_eq!(days(&format!("DTSTART:{start}\nRRULE:{rule}"), 100), expected, "{rule}");
    }
}

#[test]
fn ends_of_months_leap_years_and_long_week_years() {
    for (text, expected) in [
        ("DTSTART:20260131T090000\nFREQ=MONTHLY;COUNT=4", "2026:0131 0331 0531 0731"),
        ("DTSTART:20260131T090000\nFREQ=MONTHLY;BYMONTHDAY=-1;COUNT=4", "2026:0131 0228 0331 0430"),
        ("DTSTART:20260131T090000\nFREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1;COUNT=3", "2026:0131 0228 0331"),
        ("DTSTART:20240229T090000\nFREQ=YEARLY;COUNT=3", "2024:0229 2028:0229 2032:0229"),
        ("DTSTART:20960229T090000\nFREQ=YEARLY;COUNT=2", "2096:0229 2104:0229"),
        ("DTSTART:20230101T090000\nFREQ=YEARLY;BYYEARDAY=366;COUNT=2", "2024:1231 2028:1231"),
        ("DTSTART:20230101T090000\nFREQ=YEARLY;BYYEARDAY=-366;COUNT=2", "2024:0101 2028:0101"),
        ("DTSTART:20190101T090000\nFREQ=YEARLY;BYWEEKNO=53;BYDAY=TH;COUNT=3", "2020:1231 2026:1231 2032:1230"),
        // The days of week 53 that lie in January belong to the period of their calendar year.
        ("DTSTART:20201201T090000\nFREQ=YEARLY;BYWEEKNO=53;BYDAY=TH,FR;COUNT=4", "2020:1231 2021:0101 2026:1231 2027:0101"),
        ("DTSTART:20240101T090000\nFREQ=YEARLY;BYWEEKNO=1;BYDAY=MO;COUNT=4", "2024:0101 1230 2025:1229 2027:0104"),
        ("DTSTART:20260101T090000\nFREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=5", "2026:0130 0227 0331 0430 0529"),
        // A set is chosen from the whole period, also from what lies before the start.
        ("DTSTART:20260120T090000\nFREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=2;COUNT=2", "2026:0203 0303"),
        ("DTSTART:20260108T090000\nFREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=3;COUNT=2", "2026:0109 0116"),
        // An ordinal and a plain weekday of one list are a union.
        ("DTSTART:20260601T090000\nFREQ=MONTHLY;BYDAY=1MO,WE;COUNT=5", "2026:0601 0603 0610 0617 0624"),
        ("DTSTART:20260101T090000\nRRULE:FREQ=DAILY;COUNT=3\nRRULE:FREQ=DAILY;COUNT=2;INTERVAL=2", "2026:0101 0102 0103"),
    ] {
        assert_eq!(days(text, 20), expected, "{text}");
    }
}

#[test]
fn single_dates_come_and_go() {
    let text = "DTSTART:20260101T090000 RRULE:FREQ=DAILY;UNTIL=20260105T090000";
    assert_eq!(days(text, 20), "2026:0101 0102 0103 0104 0105", "the last instant counts");
    assert_eq!(days(&text.replace("05T090000", "05T085959"), 20), "2026:0101 0102 0103 0104");
    assert_eq!(days(&text.replace("05T090000", "05"), 20), "2026:0101 0102 0103 0104 0105", "a day counts whole");
    assert_eq!(days(&format!("{text} EXDATE:20260102T090000,20260103T100000"), 20), "2026:0101 0103 0104 0105");
    assert_eq!(days(&format!("{text} EXDATE;VALUE=DATE:20260103,20260104"), 20), "2026:0101 0102 0105");
    assert_eq!(days(&format!("{text} RDATE:20260103T090000,20260201T120000 EXDATE:20260101T090000"), 20), "2026:0102 0103 0104 0105 0201");
    assert_eq!(days(&format!("{text} RDATE:20260201T120000 EXDATE:20260201T120000"), 20), "2026:0101 0102 0103 0104 0105");
    let by_day = rules(&format!("{text} RDATE;VALUE=DATE:20251224"));
    assert_eq!(times(&by_day, Civil::MIN, 1), [civil("2025-12-24T09:00")], "at the start's time of day");
    // What is excepted has been counted by COUNT.
    assert_eq!(days("DTSTART:20260101T090000 RRULE:FREQ=DAILY;COUNT=3 EXDATE:20260102T090000", 20), "2026:0101 0103");
}

#[test]
fn what_is_in_utc_comes_onto_the_clocks_of_the_zone() {
    let text = "DTSTART;TZID=America/New_York:20260701T200000\nRRULE:FREQ=DAILY;UNTIL=20260705T000000Z\nEXDATE:20260703T000000Z\nRDATE:20260710T120000Z";
    let read = read(text).expect(text);
    assert_eq!((read.tz.as_deref(), read.start), (Some("America/New_York"), Some(civil("2026-07-01T20:00"))));
    let rules = read.settled(&super::super::zone::zone("America/New_York").expect("a zone")).expect(text);
    let expected = ["2026-07-01T20:00", "2026-07-03T20:00", "2026-07-04T20:00", "2026-07-10T08:00"].map(civil);
    assert_eq!(times(&rules, Civil::MIN, 9), expected);
    let utc = super::read("DTSTART:20260701T200000Z\nRRULE:FREQ=DAILY").expect("read");
    assert_eq!(utc.tz.as_deref(), Some("UTC"));
    assert_eq!(
        super::read("DTSTART;TZID=\"Europe/Paris\":20260701T200000\nRRULE:FREQ=DAILY").expect("read").tz.as_deref(),
        Some("Europe/Paris")
    );
}

#[test]
fn a_start_is_written_in_where_there_is_none() {
    let start = civil("2026-02-03T04:05:06.789");
    for text in ["FREQ=WEEKLY", "\n RRULE:FREQ=WEEKLY", "RRULE:FREQ=WEEKLY\nEXDATE:20260303T040506", "rrule:freq=weekly;"] {
        assert_eq!(read(text).expect(text).settled(&TimeZone::UTC).expect_err(text).code, "INP023");
        let started = with_start(text, start).expect(text);
        assert_eq!(times(&rules(&started), Civil::MIN, 2), ["2026-02-03T04:05:06", "2026-02-10T04:05:06"].map(civil), "{started:?}");
        assert_eq!(with_start(&started, civil("2030-01-01T00:00")).expect("read"), started, "a start stays");
    }
    let unstarted = read("FREQ=WEEKLY").expect("read").rules;
    assert_eq!((unstarted.next(start, &mut Steps::new()), unstarted.count(Civil::MIN, Civil::MAX)), (None, 0));
    assert_eq!(with_start("FREQ=WEEKLI", start).expect_err("no").code, "INP023");
}

/// What a text is refused with: what stands over the caret, and the whole refusal.
fn refused(text: &str) -> (String, String) {
    let refusal = read(text).expect_err(text);
    assert_eq!(refusal.code, "INP023", "{text}");
    let place = refusal.place.clone().expect("every refusal has a place");
    assert_eq!(place.text, text);
    (text[place.start..place.end].to_owned(), refusal.to_string())
}

#[test]
fn refusals_say_where_and_what() {
    for (text, caret, sentence) in [
        ("", "", "there is no rule"),
        ("daily", "daily", "`daily` is no line"),
        ("INTERVAL=2", "INTERVAL=2", "no `FREQ`"),
        ("FREQ=DAYLY", "DAYLY", "did you mean `DAILY`"),
        ("FREQ=HOURLY;INTERVAL=2", "HOURLY", "`0 */2 * * *`"),
        ("FREQ=HOURLY", "HOURLY", "`0 * * * *`"),
        ("FREQ=MINUTELY;INTERVAL=7", "MINUTELY", "every `7m`"),
        ("FREQ=SECONDLY;INTERVAL=10", "SECONDLY", "`*/10 * * * * *`"),
        ("FREQ=DAILY;INTERVALL=2", "INTERVALL", "did you mean `INTERVAL`"),
        ("FREQ=DAILY;BYWEEKDAY=MO", "BYWEEKDAY", "did you mean `BYDAY`"),
        ("FREQ=DAILY;INTERVAL", "INTERVAL", "no `=`"),
        ("FREQ=DAILY;;COUNT=1", "", "a part is empty"),
        ("FREQ=DAILY;COUNT=1;count=2", "count=2", "there twice"),
        ("FREQ=DAILY;COUNT=0", "0", "expected: 1 to 100000"),
        ("FREQ=DAILY;COUNT=100001", "100001", "expected: 1 to 100000"),
        ("FREQ=DAILY;INTERVAL=-1", "-1", "expected: 1 to 100000"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20260101", "UNTIL=20260101", "`COUNT` and `UNTIL`"),
        ("FREQ=DAILY;UNTIL=20260230", "20260230", "not understood as a date"),
        ("FREQ=DAILY;UNTIL=20260201T250000", "20260201T250000", "20260131T090000"),
        ("FREQ=DAILY;BYMONTH=1,13", "13", "expected: 1 to 12"),
        ("FREQ=DAILY;BYHOUR=24", "24", "expected: 0 to 23"),
        ("FREQ=DAILY;BYSECOND=60", "60", "expected: 0 to 59"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "0", "or -1 to -31 from the end"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY=1", "does not go with `FREQ=WEEKLY`"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO=1", "`FREQ=YEARLY` only"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY=1", "`FREQ=YEARLY` only"),
        ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY=1MO", "an ordinal"),
        ("FREQ=YEARLY;BYWEEKNO=2;BYDAY=1MO", "BYDAY=1MO", "does not go with `BYWEEKNO`"),
        ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY=6MO", "five times at most"),
        ("FREQ=MONTHLY;BYDAY=MO,XX", "XX", "expected: MO TU"),
        ("FREQ=MONTHLY;BYDAY=0MO", "0", "expected: 1 to 53"),
        ("FREQ=WEEKLY;WKST=MON", "MON", "no weekday"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS=1", "there is none"),
        ("FREQ=DAILY;SKIP=OMIT", "SKIP", "skipped"),
        ("RRULE;X=1:FREQ=DAILY", "X=1", "nothing before its `:`"),
        ("EXRULE:FREQ=DAILY", "EXRULE", "no longer"),
        ("DTEND:20260101T000000\nRRULE:FREQ=DAILY", "DTEND", "no line"),
        ("DTSTART:20260101T000000", "DTSTART:20260101T000000", "there is no rule"),
        ("DTSTART:20260101T000000 DTSTART:20260101T000000 RRULE:FREQ=DAILY", "DTSTART", "there twice"),
        ("DTSTART;TZID=Europe/Paris:20260101T000000Z RRULE:FREQ=DAILY", "20260101T000000Z", "leave the `Z` away"),
        ("DTSTART;VALUE=DATE:20260101T000000 RRULE:FREQ=DAILY", "20260101T000000", "as `VALUE=DATE` says"),
        ("DTSTART:00000101T000000 RRULE:FREQ=DAILY", "00000101T000000", "the years 1 to 9999"),
        ("RRULE:FREQ=DAILY RDATE;VALUE=PERIOD:20260101T000000/PT1H", "VALUE=PERIOD", "`VALUE=DATE`"),
        (
            "DTSTART;TZID=Europe/Paris:20260101T000000\nRRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Rome:20260102T000000",
            "TZID=Europe/Rome",
            "two zones",
        ),
        ("FREQ=DAILY;BYDAY=МО", "М", "does not belong"),
    ] {
        let (over_caret, whole) = refused(text);
        assert_eq!(over_caret, caret, "{text}: {whole}");
        assert!(whole.contains(sentence), "{text}: {whole}");
    }
}

#[test]
fn sizes_are_bounded() {
    let numbers = |most: usize| (0..most).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let minutes = format!("FREQ=DAILY;BYHOUR={};BYMINUTE={}", numbers(24), numbers(60));
    assert_eq!(
        rules(&format!("DTSTART:20260101T000000\n{minutes}")).count(civil("2026-01-01T00:00"), civil("2027-01-01T00:00")),
        365 * 1_440
    );
    assert!(refused(&format!("{minutes};BYSECOND=0,30")).1.contains("found: 2880"));
    let eight = ["RRULE:FREQ=DAILY"; 8].join("\n");
    read(&eight).expect("eight");
    assert!(refused(&format!("{eight}\nRRULE:FREQ=DAILY")).1.contains("at most 8"));
    let long = |dates: usize| format!("RRULE:FREQ=DAILY\nEXDATE:{}", vec!["20260101"; dates].join(","));
    read(&long(900)).expect("nine hundred dates");
    assert!(refused(&long(1_000)).1.contains("at most 8192 bytes"));
    assert!(refused(&"é".repeat(5_000)).1.contains("too long"));
}

#[test]
fn no_further_time_is_told_from_a_spent_budget() {
    for text in [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=5",
        "FREQ=DAILY;BYMONTH=1;BYSETPOS=2;BYHOUR=1",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
        "FREQ=DAILY;COUNT=5",
        "FREQ=DAILY;UNTIL=20260110",
        "FREQ=DAILY;INTERVAL=7;UNTIL=20300101;BYMONTH=2;BYMONTHDAY=30",
    ] {
        let mut steps = Steps::new();
        let found = rules(&format!("DTSTART:20260101T000000\n{text}")).next(civil("2026-02-01T00:00"), &mut steps);
        assert_eq!((found, steps.is_spent()), (None, false), "{text}");
    }
    let all = rules("DTSTART:20260101T000000\nFREQ=DAILY");
    assert_eq!(all.next(civil("9999-12-31T00:00"), &mut Steps::new()), Some(civil("9999-12-31T00:00")));
    assert_eq!(all.next(civil("9999-12-31T00:00:01"), &mut Steps::new()), None);
    assert_eq!(all.next(Civil::MAX, &mut Steps::new()), None);
    let mut steps = Steps::new();
    while steps.take() {}
    assert_eq!((all.next(civil("2026-01-01T00:00"), &mut steps), steps.is_spent()), (None, true));
}

#[test]
fn a_far_question_is_as_short_as_a_near_one() {
    for rule in ["FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=YEARLY", "FREQ=DAILY;COUNT=100000"]
    {
        let mut steps = Steps::new();
        let rules = rules(&format!("DTSTART:17000101T090000\n{rule}"));
        assert!(rules.next(civil("1965-05-05T10:00"), &mut steps).is_some(), "{rule}");
        assert!(steps.taken() <= 3, "{rule}: {}", steps.taken());
    }
}

#[test]
fn rules_have_words() {
    let day = "DTSTART:20260105T090000\n";
    for (text, words) in [
        (format!("{day}FREQ=DAILY"), "Every day at 09:00"),
        (format!("{day}FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;COUNT=10"), "Every 2 weeks on Monday and Friday at 09:00, 10 times"),
        (format!("{day}FREQ=WEEKLY;COUNT=1"), "Every week on Monday at 09:00, once"),
        (format!("{day}FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=8,17;BYMINUTE=30"), "Every week on a weekday at 08:30 and 17:30"),
        (format!("{day}FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"), "Every month on the last weekday at 09:00"),
        (format!("{day}FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=-1,1"), "Every month on the first and last day of a weekend at 09:00"),
        (format!("{day}FREQ=MONTHLY"), "Every month on the 5th at 09:00"),
        (format!("{day}FREQ=MONTHLY;BYMONTHDAY=1,15,-1,-2"), "Every month on the 1st, 15th, 2nd to last day and last day at 09:00"),
        (
            format!("{day}FREQ=MONTHLY;BYDAY=1MO,-1FR,-2WE"),
            "Every month on the first Monday, the second to last Wednesday and the last Friday at 09:00",
        ),
        (format!("{day}FREQ=MONTHLY;BYDAY=FR,SA;BYMONTHDAY=13"), "Every month on the 13th if that is Friday or Saturday at 09:00"),
        (format!("{day}FREQ=YEARLY"), "Every year on the 5th in January at 09:00"),
        (format!("{day}FREQ=YEARLY;BYDAY=20MO"), "Every year on the 20th Monday of the year at 09:00"),
        (format!("{day}FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU"), "Every year on the last Sunday in March and October at 09:00"),
        (format!("{day}FREQ=YEARLY;BYWEEKNO=1,-1;BYDAY=MO"), "Every year in the 1st and last week of the year on Monday at 09:00"),
        (format!("{day}FREQ=YEARLY;BYYEARDAY=100,-1"), "Every year on the 100th and last day of the year at 09:00"),
        (format!("{day}FREQ=DAILY;BYHOUR=1,2;BYSETPOS=-1"), "Every day at 01:00 and 02:00, of these only the last of each day"),
        (format!("{day}FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6;BYSECOND=0,30"), "Every day at 14 times from 00:00:00 to 06:00:30"),
        (format!("{day}FREQ=DAILY;UNTIL=20260301"), "Every day at 09:00, until 2026-03-01"),
        (format!("{day}FREQ=DAILY;UNTIL=20260301T100000Z"), "Every day at 09:00, until 2026-03-01 10:00 UTC"),
        (
            format!(
                "{day}RRULE:FREQ=DAILY;COUNT=2\nRRULE:FREQ=WEEKLY;BYDAY=WE\nRDATE:20260202T120000\nEXDATE;VALUE=DATE:20260101,20260102,20260103"
            ),
            "Every day at 09:00, 2 times; and every week on Wednesday at 09:00; and on 2026-02-02 12:00; but not on 3 single dates",
        ),
        // Without a start nothing is said that only a start could say.
        ("FREQ=WEEKLY".to_owned(), "Every week"),
        ("FREQ=MONTHLY;BYDAY=2TU;BYHOUR=4".to_owned(), "Every month on the second Tuesday at 04:00"),
    ] {
        assert_eq!(read(&text).expect(&text).rules.words(), words, "{text}");
    }
}
