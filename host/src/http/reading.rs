//! Bodies: one event, an array of them, or one a line; and the small JSON of the other verbs.
//!
//! Not validation against schemas (the engine's). What must hold: a refusal names the line or the event, and points at the place.

use crate::http::answer::No;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use sexton_core::{Blame, NewEvent, Refusal, Schedule};

/// How much of a long text is shown around a place, in bytes to each side.
const AROUND: usize = 100;

/// What some editors write before UTF-8 text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A body as it came.
pub type Raw = Result<Bytes, BytesRejection>;

/// Events, and whether they came as one object.
#[derive(Debug)]
pub struct Events {
    /// In order.
    pub events: Vec<NewEvent>,
    /// The line of each, from 1, if they came in lines; else nothing.
    pub lines: Vec<usize>,
    /// One object, so one object is answered.
    pub single: bool,
}

/// The text of a body.
///
/// # Errors
/// `INP015` when it is too long, `INP011` when it is no UTF-8.
pub fn text(body: Raw) -> Result<String, No> {
    let bytes = body.map_err(|e| {
        let too_long = axum::response::IntoResponse::into_response(e).status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE;
        No(if too_long {
            Refusal::new("INP015", Blame::Input, "the body is longer than this host takes")
                .expected("at most `body_max` bytes of its configuration")
                .remedy("send it in several parts, or raise `body_max`")
        } else {
            Refusal::new("INP011", Blame::Input, "the body did not arrive whole")
        })
    })?;
    let text = String::from_utf8(bytes.into());
    let mut text = text.map_err(|e| No(Refusal::new("INP011", Blame::Input, format!("the body is no UTF-8 text: {e}"))))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

/// Events by the body's content type: `application/x-ndjson` is one a line, all else one object or an array.
///
/// # Errors
/// `INP011` with the line or the event, or whatever is wrong with its schedule.
pub fn events(headers: &HeaderMap, body: &str) -> Result<Events, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-ndjson") {
        let lines = body.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = lines.map(|(i, line)| Ok((event(line).map_err(|r| named(&format!("line {}", i + 1), r))?, i + 1)));
        let (events, lines) = read.collect::<Result<Vec<_>, Refusal>>()?.into_iter().unzip();
        return Ok(Events { events, lines, single: false });
    }
    if !body.trim_start().starts_with('[') {
        return Ok(Events { events: vec![event(body)?], lines: Vec::new(), single: true });
    }
    let parts: Vec<&RawValue> = serde_json::from_str(body).map_err(|e| not_json(body, &e))?;
    let events: Result<Vec<_>, _> =
        parts.iter().enumerate().map(|(i, part)| event(part.get()).map_err(|r| named(&format!("event {}", i + 1), r))).collect();
    Ok(Events { events: events?, lines: Vec::new(), single: false })
}

fn named(place: &str, mut refusal: Refusal) -> Refusal {
    refusal.message = format!("{place}: {}", refusal.message);
    refusal
}

fn event(text: &str) -> Result<NewEvent, Refusal> {
    if let Some(refusal) = no_object(text.trim()) {
        return Err(refusal);
    }
    serde_json::from_str(text).map_err(|e| {
        // Through serde a schedule's refusal loses its code and place: ask again for that part alone.
        let whole: Result<Value, _> = serde_json::from_str(text);
        let schedule = whole.ok().and_then(|mut whole| Some(whole.get_mut("schedule")?.take()));
        schedule.and_then(|schedule| Schedule::from_json(&schedule).err()).unwrap_or_else(|| not_json(text, &e))
    })
}

/// An array, a number or a word where an event is wanted.
fn no_object(text: &str) -> Option<Refusal> {
    let (found, remedy) = if text.starts_with('[') {
        ("an array", "write the events one a line, without brackets and commas (`jq -c '.[]'` does it)")
    } else if !text.starts_with('{') && serde_json::from_str::<Value>(text).is_ok() {
        ("a single value", "write an object")
    } else {
        return None;
    };
    let refusal = Refusal::new("INP011", Blame::Input, format!("an event is a JSON object, and this is {found}"));
    Some(refusal.expected(r#"{"event_type": "shell.run", "schedule": {"every": "5m"}, "args": {…}}"#).remedy(remedy))
}

/// A small JSON body; an empty one is `{}`.
///
/// # Errors
/// `INP011`, or whatever is wrong with its schedule.
pub fn object<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|e| {
        let schedule = serde_json::from_str::<Value>(text).ok().and_then(|mut whole| Some(whole.get_mut("schedule")?.take()));
        schedule.filter(|s| !s.is_null()).and_then(|s| Schedule::from_json(&s).err()).unwrap_or_else(|| not_json(text, &e))
    })
}

/// The refusal of JSON that is not understood, with the part of the text around the place.
fn not_json(text: &str, e: &serde_json::Error) -> Refusal {
    let line = text.split('\n').nth(e.line().saturating_sub(1)).unwrap_or_default();
    let said = e.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    let last = line.len().saturating_sub(1);
    let at = border(line, e.column().saturating_sub(1).min(last));
    let (start, end) = unknown_field(line, at, said).unwrap_or((at, at + 1));
    let (from, to) = (border(line, start.saturating_sub(AROUND)), border(line, (end + AROUND).min(line.len())));
    let refusal = Refusal::new("INP011", Blame::Input, format!("this is not the JSON that is wanted: {said}"));
    refusal.at(&line[from..to], start - from, end - from)
}

/// The greatest character border up to `at`.
fn border(line: &str, mut at: usize) -> usize {
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where the field stands that serde does not know: it points behind it.
fn unknown_field(line: &str, at: usize, said: &str) -> Option<(usize, usize)> {
    let name = said.strip_prefix("unknown field `")?.split('`').next()?;
    let quoted = format!("\"{name}\"");
    let start = line[..(at + 1).min(line.len())].rfind(&quoted).or_else(|| line.find(&quoted))?;
    Some((start, start + quoted.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(kind: &str, body: &str) -> Result<Events, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).expect("a header"));
        events(&headers, body)
    }

    const GOOD: &str = r#"{"event_type": "a.b", "schedule": {"manual": true}, "args": {"n": 1.50}}"#;

    #[test]
    fn the_three_forms() {
        let one = read("application/json", GOOD).expect("good");
        assert!(one.single && one.events[0].args.get() == r#"{"n": 1.50}"#, "arguments stay as written");
        assert_eq!(read("application/json", &format!("[{GOOD}, {GOOD}]")).expect("good").events.len(), 2);
        let lines = read("application/x-ndjson", &format!("{GOOD}\n\n{GOOD}\n")).expect("good");
        assert!(!lines.single && lines.events.len() == 2);
        assert_eq!(lines.lines, [1, 3], "blank lines count");
        let marked = text(Ok(Bytes::from(format!("\u{feff}{GOOD}")))).ok().expect("a byte order mark is passed over");
        assert!(read("application/json", &marked).expect("good").single);
        assert!(text(Ok(Bytes::new())).is_ok_and(|text| text.is_empty()));
    }

    #[test]
    fn refusals_name_their_place() {
        let typo = GOOD.replace("event_type", "event_typo");
        let refusal = read("application/x-ndjson", &format!("{GOOD}\n{typo}")).expect_err("refused");
        assert!(refusal.code == "INP011" && refusal.message.starts_with("line 2: ") && refusal.message.contains("event_typo"), "{refusal}");
        let place = refusal.place.expect("a place");
        assert_eq!(&place.text[place.start..place.end], "\"event_typo\"");
        let refusal = read("application/json", &format!("[{GOOD},{typo}]")).expect_err("refused");
        assert!(refusal.message.starts_with("event 2: "), "{refusal}");
        for (line, found) in
            [("[]", "an array"), ("[1, 2]", "an array"), ("[", "an array"), ("7", "a single value"), ("null", "a single value")]
        {
            let refusal = read("application/x-ndjson", &format!("{GOOD}\n{line}")).expect_err("refused");
            assert_eq!(refusal.message, format!("line 2: an event is a JSON object, and this is {found}"));
            assert_eq!(refusal.code, "INP011");
        }
        for text in ["", "{", "[", "nul", "[1]", "\u{e9}", "[{},"] {
            assert_eq!(read("application/json", text).expect_err(text).code, "INP011", "{text}");
        }
    }

    #[test]
    fn a_schedule_keeps_its_own_code() {
        let bad = GOOD.replace(r#"{"manual": true}"#, r#"{"every": "soon"}"#);
        assert_eq!(read("application/json", &bad).expect_err("refused").code, "INP005");
        assert_eq!(object::<sexton_store::rows::Edit>(r#"{"schedule": {"every": "soon"}}"#).expect_err("refused").code, "INP005");
        assert_eq!(object::<sexton_store::rows::Edit>(r#"{"argz": 1}"#).expect_err("refused").code, "INP011");
    }
}
