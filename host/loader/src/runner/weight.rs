//! What JSON takes in memory once it is read, told from its text.
//!
//! Not a reader: what is no JSON is weighed as if it were. What must hold: the weight is no less than what the JSON library takes, as a value or as what it gathers
//! on the way to a type; `[{"":0}]` has a hundred times its length. The test `memory` compares it with what is taken in earnest.

use super::bounds::READ_MAX;
use serde::Deserialize;
use serde_json::value::RawValue;

/// JSON up to this length stays below [`READ_MAX`] whatever it holds.
const LIGHT: usize = 256 << 10;

/// What runs that ended take, of which outputs are kept as text.
///
/// # Errors
/// More than [`READ_MAX`], in words.
pub(crate) fn weigh_ended(text: &str) -> Result<usize, String> {
    #[derive(Deserialize)]
    struct Ended<'a> {
        #[serde(borrow)]
        reply: Reply<'a>,
    }
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow, default)]
        output: Option<&'a RawValue>,
    }
    if text.len() <= LIGHT {
        return Ok(text.len());
    }
    let outputs = serde_json::from_str::<Vec<Ended<'_>>>(text).unwrap_or_default();
    let (mut beside, mut from) = (String::new(), 0);
    for output in outputs.iter().filter_map(|ended| ended.reply.output.map(RawValue::get)) {
        // It lies within the text.
        let at = output.as_ptr().addr() - text.as_ptr().addr();
        beside.push_str(&text[from..at]);
        from = at + output.len();
    }
    beside.push_str(&text[from..]);
    within(weight(&beside).map(|weight| weight + text.len() - beside.len()))
}

/// What JSON takes, if it may be much.
///
/// # Errors
/// As [`weigh`].
pub(crate) fn weigh_if_heavy(text: &str) -> Result<usize, String> {
    if text.len() <= LIGHT { Ok(text.len()) } else { weigh(text) }
}

/// What JSON takes in memory once it is read, at most, in bytes.
///
/// # Errors
/// More than [`READ_MAX`], in words.
pub(crate) fn weigh(text: &str) -> Result<usize, String> {
    within(weight(text))
}

fn within(weight: Option<usize>) -> Result<usize, String> {
    let weight = weight.ok_or_else(|| format!("JSON with the text `{RAW}`, which is not taken"))?;
    if weight > READ_MAX {
        return Err(format!("JSON that takes {} MiB once it is read, at most {} MiB are taken", weight >> 20, READ_MAX >> 20));
    }
    Ok(weight)
}

/// The JSON library reads the text beside this key as JSON in its turn: what stands in it could not be weighed.
const RAW: &str = "$serde_json::private::RawValue";

/// An object with its first members, as a node or as the list that it is gathered in; an array's first four elements; each further member; each further
/// element, while its array is moved to a larger place; a string's block.
const OBJECT: usize = 640;
const FIRST_MEMBERS: u32 = 8;
const ARRAY: usize = 128;
const MEMBER: usize = 128;
const ELEMENT: usize = 96;
const STRING: usize = 32;

/// Levels that are told apart.
const DEPTH: usize = 129;

/// `None`: it cannot be weighed.
fn weight(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut sum = bytes.len();
    // Of each level the members; `None`: it is an array. Readers stop at 128.
    let (mut levels, mut depth, mut at) = ([None; DEPTH], 0_usize, 0);
    let level = |depth: usize| depth.min(DEPTH - 1);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                let is_object = *byte == b'{';
                levels[level(depth)] = is_object.then_some(0_u32);
                sum += if is_object { OBJECT } else { ARRAY };
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => match &mut levels[level(depth)] {
                Some(members) => {
                    *members += 1;
                    sum += if *members < FIRST_MEMBERS { 0 } else { MEMBER };
                }
                None => sum += ELEMENT,
            },
            b'"' => {
                let (length, has_escapes) = string(&bytes[at + 1..]);
                let inside = &bytes[at + 1..at + 1 + length];
                if is_raw(inside, has_escapes) {
                    return None;
                }
                sum += STRING;
                at += length + 1;
            }
            _ => {}
        }
        at += 1;
    }
    Some(sum)
}

/// Where a string ends, and whether anything in it is escaped.
fn string(bytes: &[u8]) -> (usize, bool) {
    let (mut at, mut has_escapes) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return (at, has_escapes),
            b'\\' => (at, has_escapes) = (at + 2, true),
            _ => at += 1,
        }
    }
    (bytes.len(), has_escapes)
}

fn is_raw(inside: &[u8], has_escapes: bool) -> bool {
    if !has_escapes {
        return inside == RAW.as_bytes();
    }
    // Six bytes for each of its own at most.
    let short = inside.len() <= 6 * RAW.len();
    short
        && std::str::from_utf8(inside)
            .is_ok_and(|text| serde_json::from_str::<String>(&format!("\"{text}\"")).is_ok_and(|text| text == RAW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_is_weighed_and_text_is_not() {
        let text = format!("[\"{}\"]", r#"{[:,\"\\"#.repeat(1000));
        assert_eq!(weight(&text), Some(text.len() + ARRAY + STRING));
        assert_eq!(weight(r#"{"a":[1,2],"b":{}}"#), Some(18 + 2 * OBJECT + ARRAY + ELEMENT + 2 * STRING));
        let members = |count: usize| format!("{{{}}}", vec![r#""a":0"#; count].join(","));
        assert_eq!(weight(&members(8)), Some(49 + OBJECT + 8 * STRING));
        assert_eq!(weight(&members(10)), Some(61 + OBJECT + 2 * MEMBER + 10 * STRING));
        let deep = format!("{}0{}", "[".repeat(400), ",0]".repeat(400));
        assert!(weight(&deep).expect("it can be weighed") >= 400 * (ARRAY + ELEMENT));
        // Cut off anywhere, it is weighed without a fault.
        for cut in 0..text.len() {
            let _whatever = weight(&text[..cut]);
        }
    }

    #[test]
    fn json_within_a_text_is_not_read_past_the_scale() {
        for key in [RAW.to_owned(), RAW.replace('$', "\\u0024"), RAW.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect()] {
            let why = weigh(&format!(r#"{{"{key}":"[[],[]]"}}"#)).expect_err("it cannot be weighed");
            assert!(why.contains(RAW), "{why}");
        }
    }

    #[test]
    fn outputs_are_no_burden_and_what_is_beside_them_is() {
        let numbers = format!("[{}0]", "0,".repeat(1 << 20));
        let ended = |output: &str, end: &str| {
            format!(r#"[{{"reply":{{"run":1,"end":{{"end":"succeeded","x":{end}}},"output":{output}}},"started_at":"","finished_at":""}}]"#)
        };
        weigh_ended(&ended(&numbers, "0")).expect("an output is kept as text");
        let why = weigh_ended(&ended("0", &numbers)).expect_err("the library gathers it");
        assert!(why.contains("98 MiB"), "{why}");
        // However it is nested, one takes nothing off what is beside it.
        let deep = format!("{}{}", r#"[{"a":"#.repeat(100_000), "0}]".repeat(100_000));
        weigh_ended(&ended(&deep, &numbers)).expect_err("as before");
    }
}
