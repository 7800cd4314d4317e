//! systemd unit files: sections, keys, lengths of time, and words in quotes.
//!
//! Not what a key means. What must hold: a key keeps the number of its line; an empty value takes back the values before it.

use super::{Objection, objection};
use crate::schedule::duration;
use std::time::Duration;

/// A key of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) line_no: usize,
    /// The line as it stands there, lines that it goes on in joined.
    pub(super) text: String,
    pub(super) name: String,
    pub(super) value: String,
}

/// The keys of one section, in their order, but for those that were taken back.
pub(super) fn section(text: &str, wanted: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut is_wanted = false;
    let mut lines = (1..).zip(text.lines());
    while let Some((line_no, first)) = lines.next() {
        let mut line = first.trim().to_owned();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        while line.ends_with('\\') {
            line.pop();
            let Some((_, more)) = lines.next() else { break };
            // A comment within a line that goes on is passed over.
            match more.trim() {
                comment if comment.starts_with(['#', ';']) => line.push('\\'),
                more => line = format!("{} {more}", line.trim_end()),
            }
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_wanted = name == wanted;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_wanted) {
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            if value.is_empty() {
                keys.retain(|key| key.name != name);
            } else {
                keys.push(Key { line_no, text: line, name, value });
            }
        }
    }
    keys
}

/// The last value of a key.
pub(super) fn last<'a>(keys: &'a [Key], name: &str) -> Option<&'a Key> {
    keys.iter().rev().find(|key| key.name == name)
}

/// systemd's yes and no.
pub(super) fn is_yes(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "yes" | "y" | "true" | "t" | "on")
}

/// A length of time such as `5min 20s`, `1h30m` or `90` (seconds).
pub(super) fn length(text: &str) -> Result<Duration, Objection> {
    let wrong = || objection(format!("`{text}` is no length of time"), "write it as `5min 20s`");
    let mut rest = text.trim();
    let mut micros = 0_u128;
    if rest.is_empty() {
        return wrong();
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit: u128 = match unit {
            "us" | "usec" => 1,
            "ms" | "msec" => 1_000,
            "s" | "sec" | "second" | "seconds" | "" => 1_000_000,
            "m" | "min" | "minute" | "minutes" => 60_000_000,
            "h" | "hr" | "hour" | "hours" => 3_600_000_000,
            "d" | "day" | "days" => 86_400_000_000,
            "w" | "week" | "weeks" => 604_800_000_000,
            "M" | "month" | "months" | "y" | "year" | "years" => {
                return objection(format!("`{unit}` has no fixed length"), "write days, or a cron expression");
            }
            _ => return wrong(),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let scaled = |digits: &str, unit: u128| digits.parse::<u64>().ok().map(|count| u128::from(count) * unit);
        let part: String = part.chars().take(6).collect();
        let fraction = if part.is_empty() {
            Some(0)
        } else {
            u32::try_from(part.len()).ok().and_then(|len| Some(scaled(&part, unit)? / 10_u128.pow(len)))
        };
        let Some(sum) = scaled(whole, unit).zip(fraction).map(|(whole, fraction)| whole + fraction) else { return wrong() };
        micros += sum;
        rest = after.trim_start();
    }
    match u64::try_from(micros).ok().map(Duration::from_micros).filter(|length| *length <= duration::LONGEST) {
        Some(length) => Ok(length),
        None => objection(format!("`{text}` is longer than 100 years"), "write a shorter time"),
    }
}

/// A length as a schedule writes it, in units of the clock: a day is 24 hours here, not a day of the calendar.
pub(super) fn clock_text(length: Duration) -> String {
    let hours = length.as_secs() / 3_600;
    let rest = duration::text(length - Duration::from_secs(hours * 3_600));
    match (hours, rest.as_str()) {
        (0, _) => rest,
        (hours, "0s") => format!("{hours}h"),
        (hours, rest) => format!("{hours}h {rest}"),
    }
}

/// Words as systemd cuts them: quotes of two kinds around a word or a part of one, and escapes with a backslash.
pub(super) fn words(text: &str) -> Result<Vec<String>, Objection> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                let escaped = letters.next();
                let meant = match escaped {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('s') => ' ',
                    Some(same @ ('\\' | '"' | '\'' | ' ')) => same,
                    _ => return objection("a backslash does not stand before what it can escape", "write the argument without the escape"),
                };
                word.get_or_insert_default().push(meant);
            }
            _ if quote == Some(letter) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            blank if blank.is_whitespace() && quote.is_none() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    if quote.is_some() {
        return objection("a quote has no end", "close the quote");
    }
    words.extend(word);
    Ok(words)
}
