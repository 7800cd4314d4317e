//! Cron expressions as tables: where mistakes are shown and what is said to them, what is accepted and how it reads in English.
//!
//! Not the calendar against a slow walk (`walks`), nor zones (the tables of the crate). What must hold: the tables are made by hand, from the
//! manuals of Vixie's cron and of Quartz.

use super::*;
use crate::refusal::Refusal;
use jiff::civil::date;

fn vixie(text: &str) -> Result<Pattern, Refusal> {
    read(text, Options::default())
}

fn quartz(text: &str) -> Result<Pattern, Refusal> {
    read(text, Options { dialect: Dialect::Quartz, ..Options::default() })
}

#[test]
fn a_mistake_is_shown_at_its_place() {
    for (text, start, end) in [
        ("", 0, 0),
        ("   ", 0, 3),
        ("* * * *", 7, 7),
        ("* * * * * * * *", 14, 15),
        ("61 * * * *", 0, 2),
        ("0 24 * * *", 2, 4),
        ("0 2 32 * *", 4, 6),
        ("0 2 0 * *", 4, 5),
        ("0 2 * 13 *", 6, 8),
        ("0 2 * * 8", 8, 9),
        ("0 2 * * MONDAY", 8, 14),
        ("0 2 * * MON,FOO", 12, 15),
        ("FEB 2 * * *", 0, 3),
        ("0 2 JANFEB * *", 4, 10),
        ("0 2 * * MONTUE", 8, 14),
        ("1,,2 * * * *", 1, 3),
        ("1, * * * *", 1, 2),
        (", * * * *", 0, 1),
        ("10,0/0 * * * *", 3, 6),
        ("*/0 * * * *", 0, 3),
        ("20-70 * * * *", 3, 5),
        ("0 2 * * FRI-MUN", 12, 15),
        ("0 2 L-31 * *", 4, 8),
        ("0 2 L-3/2 * *", 4, 9),
        ("0 2 32W * *", 4, 7),
        ("0 2 * * 5#6", 8, 11),
        ("0 2 * * #2", 8, 10),
        ("0 2 * * L", 8, 9),
        ("0 2 * * 1-FRIL", 8, 14),
        ("0 0 2 * * * 10000", 12, 17),
        ("0 0 2 * * * 0", 12, 13),
        ("0 0 2 * * * 2030-2020", 12, 21),
        ("0  2\t* * x", 9, 10),
        ("0 2 * * ſun", 8, 10),
        ("@dayly", 0, 6),
        (" @reboot ", 1, 8),
        ("@daily x", 0, 8),
        (" @every 90s", 1, 11),
        ("H 2 * * *", 0, 1),
        ("99999999 * * * *", 0, 8),
        ("0 2 * * +MON", 8, 9),
        ("/5 * * * *", 0, 2),
        ("5- * * * *", 0, 2),
        ("-5 * * * *", 0, 2),
        ("1/ * * * *", 0, 2),
        ("1/2/3 * * * *", 2, 5),
        ("*/5x * * * *", 2, 4),
        ("*-5 * * * *", 0, 1),
        ("? * * * *", 0, 1),
        ("0 2 1,? * *", 6, 7),
        ("0 2 * * ?,1", 8, 9),
    ] {
        let refusal = vixie(text).map(|_| ()).expect_err(text);
        assert_eq!(refusal.code, "INP003", "{text}");
        let place = refusal.place.clone().expect(text);
        assert_eq!((place.text.as_str(), place.start, place.end), (text, start, end), "{text}: {}", refusal.message);
    }
    assert_eq!(vixie(&"* ".repeat(1_000)).map(|_| ()).map_err(|r| r.code), Err("INP003".to_owned()));
    let split = vixie(&format!("{}é{}", "*".repeat(511), "*".repeat(9))).expect_err("too long").place.expect("a place");
    assert_eq!(split.start, 511, "the bound lies within a character");
}

#[test]
fn usual_mistakes_have_remedies() {
    for (text, part) in [
        ("60 * * * *", "write 0"),
        ("60 0 0 * * *", "write 0"),
        ("0 24 * * *", "write 0"),
        ("0 2 0 * *", "count from 1"),
        ("0 2 * 0 *", "count from 1"),
        ("0 2 * * MONDAY", "write `MON`"),
        ("0 2 * * TUES", "write `TUE`"),
        ("0 2 * * thurs", "write `THU`"),
        ("0 2 * * WENDSDAY", "write `WED`"),
        ("0 2 * * TEU", "write `TUE`"),
        ("0 2 * * SUT", "write `SUN`"),
        ("0 2 * SEPT *", "write `SEP`"),
        ("0 2 * JUNE *", "write `JUN`"),
        ("0 2 * FEBUARY *", "write `FEB`"),
        ("0 2 * MON *", "day of week field"),
        ("0 2 MAR * *", "month field"),
        ("H 2 * * *", "Jenkins"),
        ("H(0-29)/10 2 * * *", "Jenkins"),
        ("0 0 1 1 * 2030", "`0 0 0 1 1 * 2030`"),
        ("0 2 * * +MON", "day_match = \"and\""),
        ("/5 * * * *", "`*/5`"),
        ("? 2 * * *", "write `*`"),
        ("L 2 * * *", "day fields"),
        ("0 2 5#2 * *", "day of week field"),
        ("0 2 * * 15W", "day of month field"),
        ("0 2 * * L", "`FRIL`"),
        ("0 2 * * 5#6", "1 to 5"),
        ("0 2 15-L * *", "`15-31`"),
        ("0 2 1-15W * *", "single day"),
        ("*/90 * * * *", "--every 90m"),
        ("0 */24 * * *", "--every 24h"),
        ("0 0 */32 * *", "first value only"),
        ("*/0 * * * *", "at least 1"),
        ("0 0 0 * * * 2030-2020", "do not come round"),
        ("0 2 * * * /usr/bin/backup --all x", "command"),
        ("@reboot", "--in 1s"),
        ("@every 90s", "--every 90s"),
    ] {
        let refusal = vixie(text).map(|_| ()).expect_err(text);
        assert!(refusal.remedy.as_ref().is_some_and(|remedy| remedy.contains(part)), "{text}: {refusal}");
    }
    for (text, part) in [
        ("0 2 * * *", "`0 0 2 * * *`"),
        ("0 0 2 ? * 0", "write 1 or SUN"),
        ("0 0 2 1 * MON", "write `?`"),
        ("0 0 2 1 * *", "write `?`"),
        ("0 0 2 ? * ?", "write `*`"),
    ] {
        let refusal = quartz(text).map(|_| ()).expect_err(text);
        assert!(refusal.code == "INP003" && refusal.place.is_some(), "{text}: {refusal}");
        assert!(refusal.remedy.as_ref().is_some_and(|remedy| remedy.contains(part)), "{text}: {refusal}");
    }
}

#[test]
fn expressions_are_read_and_sorted_by_rule() {
    for (text, elapsed_like) in [
        ("* * * * *", true),
        ("*/5 2 * * *", true),
        ("30 * * * *", true),
        ("30 */2 * * *", true),
        ("@hourly", true),
        ("* 30 2 * * *", false),
        ("0,30 2 * * *", false),
        ("0-59 2 * * *", false),
        ("0/10 2 * * *", false),
        ("30 2 * * *", false),
        ("0 30 2 * * * 2030-2040", false),
        ("@Daily", false),
        ("@midnight", false),
        ("0 9 ? * mon-fri", false),
        ("0 9 LW jan,jul ?", false),
        ("0 9 15W * *", false),
        ("0 9 l-3w * *", false),
        ("0 9 * * 5L", false),
        ("0 9 * * FRI#2", false),
        ("0 9 * * SAT-SUN", false),
        ("  0 9 * * 7  ", false),
    ] {
        let pattern = vixie(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        assert_eq!(pattern.elapsed_like, elapsed_like, "{text}");
    }
}

#[test]
fn different_texts_of_one_meaning_are_one_pattern() {
    let same: [(&str, &str); 14] = [
        ("0-59/15 22-2 * * *", "0/15 22,23,0,1,2 * * *"),
        ("50-10/5 1 * * *", "50,55,0,5,10 1 * * *"),
        ("0 0 28-3/2 * *", "0 0 28,30,1,3 * *"),
        ("0 0 * NOV-FEB *", "0 0 * 11,12,1,2 *"),
        ("0 0 * * FRI-MON", "0 0 * * 5,6,0,1"),
        ("0 0 * * 5-7", "0 0 * * FRI,SAT,SUN"),
        ("0 0 * * 7-2", "0 0 * * SUN-TUE"),
        ("0 0 * * 0-7", "0 0 * * 1-7"),
        ("0 0 * * 1/2", "0 0 * * MON,WED,FRI,SUN"),
        ("0 0 * * SAT-TUE/2", "0 0 * * SAT,MON"),
        ("0 0 ? * 7", "0 0 * * SUN"),
        ("0 0 * * 7#2,7L", "0 0 * * sun#2,SunL"),
        ("0 0 L-0 * ?", "0 0 l * *"),
        ("0 0 0 1 1 ? 2030/2", "0 0 0 1 1 * 2030-9999/2"),
    ];
    for (one, other) in same {
        let (one, other) = (vixie(one).unwrap_or_else(|r| panic!("{one}: {r}")), vixie(other).unwrap_or_else(|r| panic!("{other}: {r}")));
        assert_eq!(Pattern { elapsed_like: false, ..one }, Pattern { elapsed_like: false, ..other });
    }
    for (in_quartz, in_vixie) in [
        ("0 0 2 ? * 1", "0 2 * * SUN"),
        ("0 0 2 ? * 2-6", "0 2 * * MON-FRI"),
        ("0 0 2 ? * 6#3,7L", "0 2 * * FRI#3,SATL"),
        ("0 0 2 ? * L", "0 2 * * SAT"),
        ("0 0 2 ? * MON/2", "0 2 * * MON,WED,FRI"),
        ("0 0 2 ? * 7-1", "0 2 * * SAT,SUN"),
        ("0 0 2 L-3 * ?", "0 2 L-3 * *"),
        ("0 0 2 * * *", "0 2 * * *"),
        ("0 0 2 * * ? */2", "0 0 2 * * * 1970/2"),
        ("@weekly", "@weekly"),
    ] {
        assert_eq!(quartz(in_quartz), vixie(in_vixie), "{in_quartz}");
    }
}

#[test]
fn every_is_handed_on() {
    let seconds =
        |text: &str| every(text).map(|read| read.map(|span| span.as_secs()).map_err(|r| (r.code, r.place.map(|p| (p.start, p.end)))));
    assert_eq!(seconds("@every 90s"), Some(Ok(90)));
    assert_eq!(seconds("  @EVERY  1h 30m "), Some(Ok(5_400)));
    assert_eq!(seconds(" @every 5x"), Some(Err(("INP005".to_owned(), Some((9, 10))))));
    assert_eq!(seconds("@every"), Some(Err(("INP005".to_owned(), Some((6, 6))))));
    assert_eq!((seconds("@everyday"), seconds("@daily"), seconds("5m"), seconds("@évery 5m"), seconds("")), (None, None, None, None, None));
}

#[test]
fn days_match_either_or_both() {
    let first = |text: &str, day_match: DayMatch| {
        let pattern = read(text, Options { day_match, ..Options::default() }).expect(text);
        let day = pattern.next(date(2027, 8, 1).at(0, 0, 0, 0), &mut Steps::new()).expect(text).date();
        (day.year(), day.month(), day.day())
    };
    for (text, either, both) in [
        ("0 0 13 * FRI", (2027, 8, 6), (2027, 8, 13)),
        ("0 0 29 2 MON", (2028, 2, 7), (2044, 2, 29)),
        // `*/2` begins with a star: both, in either reading.
        ("0 0 */2 * TUE", (2027, 8, 3), (2027, 8, 3)),
        ("0 0 1 * */4", (2027, 8, 1), (2027, 8, 1)),
        ("0 0 2 * */4", (2027, 9, 2), (2027, 9, 2)),
        ("0 0 2-31/2 * TUE", (2027, 8, 2), (2027, 8, 10)),
        ("0 0 ? * FRI", (2027, 8, 6), (2027, 8, 6)),
        ("0 0 L * FRI#2", (2027, 8, 13), (2027, 8, 13)),
    ] {
        assert_eq!(first(text, DayMatch::Or), either, "{text}");
        if !text.contains("L *") {
            assert_eq!(first(text, DayMatch::And), both, "{text}");
        }
    }
    let never = read("0 0 L * FRI#2", Options { day_match: DayMatch::And, ..Options::default() }).expect("good");
    assert_eq!(never.next(date(2027, 8, 1).at(0, 0, 0, 0), &mut Steps::new()), None);
}

#[test]
fn patterns_have_words() {
    for (text, words) in [
        ("* * * * *", "Every minute."),
        ("* * * * * *", "Every second."),
        ("*/5 * * * *", "Every 5 minutes."),
        ("0/5 * * * *", "Every 5 minutes."),
        ("*/10 * * * * *", "Every 10 seconds."),
        ("*/10 */5 * * * *", "Every 10 seconds, in every 5th minute."),
        ("15,45 * * * * *", "At 15 and 45 seconds past every minute."),
        ("30 0/5 * * * *", "At 30 seconds past the minute, in every 5th minute."),
        ("* * 9-17 * * *", "Every second, between 09:00 and 17:59."),
        ("*/7 * * * *", "At 0, 7, 14, 21, 28, 35, 42, 49 and 56 minutes past every hour."),
        ("30 2 * * MON-FRI", "At 02:30 on Monday to Friday."),
        ("15 30 2 * * *", "At 02:30:15."),
        ("0 8,12,18 * * *", "At 08:00, 12:00 and 18:00."),
        ("*/5 9-17 * * 1-5", "Every 5 minutes, between 09:00 and 17:59, on Monday to Friday."),
        ("* 22-2 * * *", "Every minute, between 22:00 and 02:59."),
        ("* 8,12,18 * * *", "Every minute, in the hours 8, 12 and 18."),
        ("*/15 */6 * * *", "Every 15 minutes, in every 6th hour."),
        ("@hourly", "Every hour."),
        ("1 * * * *", "At 1 minute past every hour."),
        ("0 */2 * * *", "Every 2 hours."),
        ("30 */2 * * *", "At 30 minutes past every second hour."),
        ("0 9-17 * * *", "Every hour from 09:00 to 17:00."),
        ("30 9-17 * * 1-5", "Every hour from 09:30 to 17:30, on Monday to Friday."),
        ("5,20,40 9-17 * * *", "At 5, 20 and 40 minutes past every hour, between 09:00 and 17:59."),
        ("0 1-23/3 * * *", "On the hour, in the hours 1, 4, 7, 10, 13, 16, 19 and 22."),
        ("12 1-13/2 * * *", "At 12 minutes past the hours 1, 3, 5, 7, 9, 11 and 13."),
        ("@yearly", "At 00:00 on day 1 of January."),
        ("0 0 1,15 * *", "At 00:00 on days 1 and 15 of the month."),
        ("0 0 1-7 * *", "At 00:00 on days 1 to 7 of the month."),
        ("0 0 10/5 * *", "At 00:00 on every 5th day from day 10 of the month."),
        ("0 0 */2 * 1-5", "At 00:00 on every second day from the first of the month when they fall on Monday to Friday."),
        ("0 0 L * *", "At 00:00 on the last day of the month."),
        ("0 9 LW * *", "At 09:00 on the last weekday of the month."),
        ("0 9 15W * *", "At 09:00 on the weekday nearest to day 15 of the month."),
        ("0 9 L-3 * *", "At 09:00 on the day 3 days before the last of the month."),
        ("0 9 1W,L,7 * *", "At 09:00 on day 7, the last day and the weekday nearest to day 1 of the month."),
        ("0 9 * * FRI#2", "At 09:00 on the second Friday of the month."),
        ("0 9 * 11 5L", "At 09:00 on the last Friday of November."),
        ("0 9 * * MON,FRI#2", "At 09:00 on Monday and on the second Friday of the month."),
        ("0 0 * NOV-FEB FRI-MON", "At 00:00 on Friday to Monday in November to February."),
        ("0 0 15 * FRI", "At 00:00 on day 15 of the month or on Friday."),
        ("0 0 13 6,7 FRI", "At 00:00 on day 13 of the month or on Friday, in June and July."),
        ("0 0 13 * */2", "At 00:00 on day 13 of the month when it falls on Tuesday, Thursday, Saturday or Sunday."),
        ("0 0 0 1 1 ? 2030-2032,2040", "At 00:00 on day 1 of January, in the years 2030 to 2032 and 2040."),
        ("0 0 0 1 * ? 2030", "At 00:00 on day 1 of the month, in the year 2030."),
    ] {
        assert_eq!(vixie(text).expect(text).words(), words, "{text}");
    }
    for (text, words) in [
        ("0 0 13 6 FRI", "At 00:00 on day 13 of June when it falls on Friday."),
        ("0 0 1-7 * MON,FRI", "At 00:00 on days 1 to 7 of the month when they fall on Monday or Friday."),
    ] {
        let pattern = read(text, Options { day_match: DayMatch::And, ..Options::default() }).expect(text);
        assert_eq!(pattern.words(), words, "{text}");
    }
}
