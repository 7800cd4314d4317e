//! A calendar's file as the host wants it: JSON, TOML and iCalendar text, all as one JSON object.
//!
//! Not what it says (`sexton-core`). What must hold: the text of an iCalendar file reaches the host as it is.

use crate::cli::{Failure, input};
use serde_json::{Value, json};
use sexton_core::{Blame, Refusal};

/// Reads a file, or standard input for `-`. iCalendar text is known by how it begins, TOML by the file's name. `tz` is the zone of an
/// iCalendar file's times that name none.
///
/// # Errors
/// `INP020` for a file that cannot be read, `INP011` and `INP024` for what is not understood, `INP016` for a zone beside another form.
pub fn read(path: &str, tz: Option<&str>) -> Result<Value, Failure> {
    let text = input::read(path)?;
    from_text(path, &text, tz).map_err(Failure::Input)
}

fn from_text(path: &str, text: &str, tz: Option<&str>) -> Result<Value, Refusal> {
    if text.trim_start().get(..15).is_some_and(|start| start.eq_ignore_ascii_case("BEGIN:VCALENDAR")) {
        return Ok(json!({"ics": text, "tz": tz.unwrap_or("UTC")}));
    }
    let has_ending = |ending: &str| path.to_ascii_lowercase().ends_with(ending);
    if has_ending(".ics") {
        return Err(refused(path, "it is no iCalendar file").expected("a text that begins with BEGIN:VCALENDAR"));
    }
    if tz.is_some() {
        let refusal = Refusal::new("INP016", Blame::Input, "`--tz` goes with an iCalendar file only");
        return Err(refusal.remedy("write `tz` into the file, as in `\"tz\": \"Europe/Paris\"`"));
    }
    if has_ending(".toml") {
        let table: toml::Table = text.parse().map_err(|e| not_toml(path, text, &e))?;
        return Ok(json_of(toml::Value::Table(table)));
    }
    serde_json::from_str(text).map_err(|e| input::not_json(path, text, &e))
}

fn refused(path: &str, why: &str) -> Refusal {
    Refusal::new("INP024", Blame::Input, format!("the calendar in {path} is not understood: {why}"))
}

fn not_toml(path: &str, text: &str, e: &toml::de::Error) -> Refusal {
    let place = e.span().unwrap_or(0..text.len());
    // The line it stands in: a file may be long.
    let from = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let to = text[place.start..].find('\n').map_or(text.len(), |at| place.start + at);
    let number = text[..from].matches('\n').count() + 1;
    refused(path, &format!("line {number} is no TOML: {}", e.message().trim())).at(
        &text[from..to],
        place.start - from,
        place.end.clamp(place.start, to) - from,
    )
}

/// TOML writes days and times without quotes: they are texts in JSON.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(is_so) => json!(is_so),
        toml::Value::Datetime(time) => json!(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, value)| (key, json_of(value))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms_give_one() {
        let toml =
            "tz = \"Europe/Paris\"\ndates = [2026-12-25, \"2026-12-31..2027-01-02\"]\n\n[[weekly]]\ndays = \"mon-fri\"\nfrom = \"09:00\"\n";
        let json = json!({"tz": "Europe/Paris", "dates": ["2026-12-25", "2026-12-31..2027-01-02"], "weekly": [{"days": "mon-fri", "from": "09:00"}]});
        assert_eq!(from_text("a.toml", toml, None), Ok(json.clone()));
        assert_eq!(from_text("a.json", &json.to_string(), None), Ok(json.clone()));
        assert_eq!(from_text("-", &json.to_string(), None), Ok(json));
        let ics = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n";
        assert_eq!(from_text("-", ics, None), Ok(json!({"ics": ics, "tz": "UTC"})));
        assert_eq!(from_text("a.ics", ics, Some("Asia/Tokyo")), Ok(json!({"ics": ics, "tz": "Asia/Tokyo"})));
    }

    #[test]
    fn what_is_not_understood_is_shown_at_its_place() {
        let refused = from_text("a.toml", "tz = \"UTC\"\ndates = [2026-12-25\n", None).expect_err("no end");
        assert!(refused.code == "INP024" && refused.message.contains("no TOML") && refused.place.is_some(), "{refused}");
        let refused = from_text("a.toml", "tz = \"UTC\"\né = = 1", None).expect_err("two signs");
        assert_eq!(refused.place.map(|place| (place.text, place.start)), Some(("é = = 1".to_owned(), 5)));
        assert_eq!(from_text("a.json", "{\"tz\": nope}", None).expect_err("no JSON").code, "INP011");
        assert_eq!(from_text("a.ics", "hello", None).expect_err("no calendar").code, "INP024");
        assert_eq!(from_text("a.json", "{}", Some("UTC")).expect_err("a zone").code, "INP016");
    }
}
