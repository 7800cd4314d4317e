//! Reading cron expressions: which fields there are, where a text is wrong, and which rule of zone changes it follows.
//!
//! Not the search for times (`civil`): croner matches the fields, this file says what it would not say: the place of a mistake. What must
//! hold: whatever is accepted here, croner accepts, and every refusal has a place in the text as it was typed.

use super::zone;
use crate::refusal::{Blame, Refusal};
use croner::Cron;
use jiff::tz::TimeZone;
use std::cell::RefCell;
use std::rc::Rc;
use std::str::FromStr;

const LONGEST_TEXT: usize = 512;
/// Parsed plans kept by each thread: some 6 KB each, most of it croner's years.
const KEPT_PLANS: usize = 64;
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A field of an expression, in the order of the seven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
    Year,
}

const FIELDS: [Field; 7] = [Field::Second, Field::Minute, Field::Hour, Field::DayOfMonth, Field::Month, Field::DayOfWeek, Field::Year];

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
            Self::Year => "year",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Second | Self::Minute => "0-59, `*`, a list `0,30`, a range `10-20`, a step `*/5` or `10-50/5`",
            Self::Hour => "0-23, `*`, a list `8,20`, a range `9-17`, a step `*/2` or `8-18/2`",
            Self::DayOfMonth => "1-31, `*`, `?`, `L` (last), `15W` (nearest weekday), `LW`, lists, ranges, steps",
            Self::Month => "1-12 or JAN-DEC, `*`, lists, ranges, steps",
            Self::DayOfWeek => {
                "0-7 or SUN-SAT (0 and 7 are Sunday), `*`, `?`, `5#2` (second Friday), `5L` (last Friday), `+…` (and day of month), lists, ranges, steps"
            }
            Self::Year => "1-5000, `*`, lists, ranges, steps",
        }
    }

    /// Whether a piece between `,` `-` `/` `#` may stand in this field at all. croner replaces names in the whole text, so that it would
    /// take `FEB` for a minute.
    fn takes(self, atom: &str) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let upper = atom.to_ascii_uppercase();
        if atom.is_empty() || atom == "*" || is_number(atom) {
            return true;
        }
        match self {
            Self::DayOfMonth => matches!(upper.as_str(), "L" | "LW" | "?") || upper.strip_suffix('W').is_some_and(is_number),
            Self::Month => MONTHS.contains(&upper.as_str()),
            Self::DayOfWeek => {
                let day = upper.strip_suffix('L').unwrap_or(&upper);
                day.is_empty() || day == "?" || is_number(day) || DAYS.contains(&day)
            }
            Self::Second | Self::Minute | Self::Hour | Self::Year => false,
        }
    }
}

/// An expression as understood: what croner matches, and which rule of zone changes it follows.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Matches civil times.
    pub(super) cron: Cron,
    /// The minute or hour field is `*` or `*/n`: it follows real elapsed time across zone changes.
    pub(super) elapsed_like: bool,
}

/// An expression in its zone, ready to be asked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) pattern: Pattern,
    pub(super) zone: TimeZone,
}

struct Kept {
    expression: String,
    tz: String,
    plan: Rc<Plan>,
}

thread_local! {
    // Parsing costs some fifty times a question, and settlement asks for each successor: a few recent plans are kept, most recent first.
    // Kept per thread so that asking takes no lock; beside the schedule, so that a schedule stays plain text that compares and prints.
    static PLANS: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// The plan of an expression in a zone. Refuses with `INP003` or `INP004`.
pub(super) fn plan(expression: &str, tz: &str) -> Result<Rc<Plan>, Refusal> {
    PLANS.with_borrow_mut(|plans| {
        if let Some(at) = plans.iter().position(|kept| kept.expression == expression && kept.tz == tz) {
            plans[..=at].rotate_right(1);
            return Ok(Rc::clone(&plans[0].plan));
        }
        let plan = Rc::new(Plan { pattern: read(expression)?, zone: zone::zone(tz)? });
        plans.truncate(KEPT_PLANS - 1);
        plans.insert(0, Kept { expression: expression.to_owned(), tz: tz.to_owned(), plan: Rc::clone(&plan) });
        Ok(plan)
    })
}

/// Reads an expression: 5 fields, 6 (seconds first), 7 (year last), or a nickname. Refuses with `INP003` and the place.
pub(super) fn read(text: &str) -> Result<Pattern, Refusal> {
    if text.len() > LONGEST_TEXT {
        return Err(refused(text, LONGEST_TEXT, text.len(), "the expression is too long").expected(format!("at most {LONGEST_TEXT} bytes")));
    }
    if let Some((at, found)) = text.char_indices().find(|(_, c)| !c.is_ascii() || c.is_ascii_control() && !c.is_ascii_whitespace()) {
        return Err(refused(text, at, at + found.len_utf8(), format!("{found:?} does not belong in a cron expression")));
    }
    if text.trim_start().starts_with('@') {
        return nickname(text);
    }
    let places = words(text);
    let fields = fields_of(text, &places)?;
    for (field, start, end) in &fields {
        check_atoms(text, *field, *start, *end)?;
    }
    let cron = Cron::from_str(text).map_err(|error| locate(text, &fields, &error))?;
    let is_stepped = |wanted: Field| fields.iter().any(|(field, start, end)| *field == wanted && is_star(&text[*start..*end]));
    Ok(Pattern { cron, elapsed_like: is_stepped(Field::Minute) || is_stepped(Field::Hour) })
}

fn refused(text: &str, start: usize, end: usize, message: impl Into<String>) -> Refusal {
    Refusal::new("INP003", Blame::Input, message).at(text, start, end)
}

fn nickname(text: &str) -> Result<Pattern, Refusal> {
    let word = text.trim();
    let start = text.len() - text.trim_start().len();
    match NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        Some((_, expression)) => read(expression),
        None => {
            let refusal = refused(text, start, start + word.len(), format!("`{word}` is no nickname of a schedule"))
                .expected("@yearly @annually @monthly @weekly @daily @midnight @hourly, or five to seven fields");
            Err(if word.eq_ignore_ascii_case("@reboot") {
                refusal.remedy("a start of the host is no time; use `--in 1s`")
            } else {
                refusal
            })
        }
    }
}

/// Start and end of each word.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        match (byte.is_ascii_whitespace(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                places.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    places
}

fn fields_of(text: &str, places: &[(usize, usize)]) -> Result<Vec<(Field, usize, usize)>, Refusal> {
    let wanted = match places.len() {
        5 => &FIELDS[1..6],
        6 => &FIELDS[..6],
        7 => &FIELDS[..],
        count => {
            let (start, end) = match (count, places.get(7)) {
                (_, Some((eighth, _))) => (*eighth, text.trim_end().len()),
                (0, None) => (0, text.len()),
                (_, None) => (text.trim_end().len(), text.trim_end().len()),
            };
            let counted = if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
            return Err(refused(text, start, end, format!("the expression has {counted}")).expected(
                "5 fields (minute, hour, day of month, month, day of week), 6 (seconds first), 7 (year last), or a nickname such as @daily",
            ));
        }
    };
    Ok(wanted.iter().zip(places).map(|(field, (start, end))| (*field, *start, *end)).collect())
}

fn is_star(field: &str) -> bool {
    field == "*" || field.strip_prefix("*/").is_some_and(|step| step.bytes().all(|b| b.is_ascii_digit()))
}

/// The comma-separated items of a field, with their places.
fn items(text: &str, start: usize, end: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut at = start;
    text[start..end].split(',').map(move |item| {
        let place = (at, at + item.len());
        at = place.1 + 1;
        place
    })
}

fn check_atoms(text: &str, field: Field, start: usize, end: usize) -> Result<(), Refusal> {
    let signed = field == Field::DayOfWeek && text[start..end].starts_with('+');
    for (item_start, item_end) in items(text, start + usize::from(signed), end) {
        if item_start == item_end {
            let (from, to) = (item_start.saturating_sub(1).max(start), (item_end + 1).min(end));
            return Err(refused(text, from, to, format!("an item of the {} field is empty", field.name())).expected(field.expected()));
        }
        let mut at = item_start;
        for atom in text[item_start..item_end].split(['-', '/', '#']) {
            if !field.takes(atom) {
                return Err(not_understood(text, field, at, at + atom.len()));
            }
            at += atom.len() + 1;
        }
    }
    Ok(())
}

fn not_understood(text: &str, field: Field, start: usize, end: usize) -> Refusal {
    refused(text, start, end, format!("`{}` is not understood in the {} field", &text[start..end], field.name())).expected(field.expected())
}

/// Finds the item that croner refused by asking it about each alone.
fn locate(text: &str, fields: &[(Field, usize, usize)], error: &croner::errors::CronError) -> Refusal {
    for (field, start, end) in fields {
        for (item_start, item_end) in items(text, *start, *end) {
            let alone: Vec<&str> = FIELDS.iter().map(|other| if other == field { &text[item_start..item_end] } else { "*" }).collect();
            if Cron::from_str(&alone.join(" ")).is_err() {
                let refusal = not_understood(text, *field, item_start, item_end);
                return match single_step(&text[item_start..item_end]) {
                    Some(step) => refusal.remedy(format!("a step needs a range: `*/{step}`, or from-to/{step}")),
                    None => refusal,
                };
            }
        }
    }
    refused(text, 0, text.len(), format!("the expression is not understood: {error}"))
}

/// `0/10` as Quartz writes it, or `/10`.
fn single_step(item: &str) -> Option<&str> {
    let (start, step) = item.split_once('/')?;
    (start.bytes().all(|b| b.is_ascii_digit()) && !step.is_empty()).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            ("10,0/10 * * * *", 3, 7),
            ("*/0 * * * *", 0, 3),
            ("20-10 * * * *", 0, 5),
            ("0 2 * * FRI-MON", 8, 15),
            ("0 2 L-3 * *", 4, 7),
            ("0 2 * * 5#6", 8, 11),
            ("0 0 2 * * * 5001", 12, 16),
            ("0  2\t* * x", 9, 10),
            ("0 2 * * ſun", 8, 10),
            ("@dayly", 0, 6),
            (" @reboot ", 1, 8),
            ("@daily x", 0, 8),
            ("H 2 * * *", 0, 1),
            ("99999999 * * * *", 0, 8),
        ] {
            let refusal = read(text).map(|_| ()).expect_err(text);
            assert_eq!(refusal.code, "INP003", "{text}");
            let place = refusal.place.clone().expect(text);
            assert_eq!((place.text.as_str(), place.start, place.end), (text, start, end), "{text}: {}", refusal.message);
        }
        assert_eq!(read(&"* ".repeat(1_000)).map(|_| ()).map_err(|r| r.code), Err("INP003".to_owned()));
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
            ("30 2 * * *", false),
            ("0 30 2 * * * 2030-2040", false),
            ("@Daily", false),
            ("@midnight", false),
            ("0 9 ? * mon-fri", false),
            ("0 9 LW jan,jul ?", false),
            ("0 9 15W * *", false),
            ("0 9 * * 5L", false),
            ("0 9 * * FRI#2", false),
            ("0 9 1-7 * +MON", false),
            ("0 9 * * SAT-SUN", false),
            ("  0 9 * * 7  ", false),
        ] {
            let pattern = read(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
            assert_eq!(pattern.elapsed_like, elapsed_like, "{text}");
        }
    }

    #[test]
    fn plans_are_kept_within_a_bound_and_the_recent_survive() {
        let first = plan("0 2 * * *", "UTC").expect("a plan");
        for minute in 0..KEPT_PLANS + 20 {
            let text = format!("{} {} * * *", minute % 60, minute / 60);
            plan(&text, "UTC").expect("a plan");
            let again = plan("0 2 * * *", "UTC").expect("a plan");
            assert!(Rc::ptr_eq(&first, &again), "asked again each time, so it is kept");
        }
        assert_eq!(PLANS.with_borrow(Vec::len), KEPT_PLANS);
        assert!(plan("nonsense", "UTC").is_err() && plan("0 2 * * *", "Nowhere").is_err());
        assert_eq!(PLANS.with_borrow(Vec::len), KEPT_PLANS);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9*/,#LW?+a-zA-Z@ -]{0,40}|\\PC{0,20}|([0-9*/,LW#?-]{1,5} ){4,7}[0-9*/,LW#-]{1,4}") {
            if let Err(refusal) = read(&text) {
                let place = refusal.place.expect("every refusal of an expression has a place");
                prop_assert!(text.get(place.start..place.end).is_some(), "{:?}", place);
            }
        }
    }
}
