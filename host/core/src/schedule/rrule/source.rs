//! The text of a recurrence, unfolded, and where each of its bytes stood in the text as typed.
//!
//! Not its meaning (`lines`, `parts`). What must hold: every refusal points into the text as typed, on its character boundaries.

use crate::refusal::{Blame, Refusal};
use std::ops::Range;

/// Longest text taken: some nine hundred excepted dates.
const LONGEST_TEXT: usize = 8 * 1024;
/// Longest piece of a text that a message repeats.
const LONGEST_QUOTE: usize = 40;
/// The words that open a line. `EXRULE` is known so that it can be refused by name.
pub(super) const PROPERTIES: [&str; 5] = ["DTSTART", "RRULE", "EXDATE", "RDATE", "EXRULE"];

/// A text of ASCII lines, with a way back.
pub(super) struct Source<'a> {
    text: &'a str,
    /// Lines parted by `\n`, folds taken out. ASCII only.
    pub(super) clean: String,
    /// For each byte of `clean`, where it stood in `text`.
    places: Vec<usize>,
}

impl<'a> Source<'a> {
    /// Lines may be parted by a line break, by a `\n` written as two characters, or by a space before the next property.
    pub(super) fn read(text: &'a str) -> Result<Self, Refusal> {
        let mut source = Self { text, clean: String::new(), places: Vec::new() };
        if text.len() > LONGEST_TEXT {
            let start = text.floor_char_boundary(LONGEST_TEXT);
            let refusal = Refusal::new("INP023", Blame::Input, "the recurrence is too long").at(text, start, text.len());
            return Err(refusal.expected(format!("at most {LONGEST_TEXT} bytes")).found(format!("{} bytes", text.len())));
        }
        if let Some((at, found)) = text.char_indices().find(|(_, c)| !c.is_ascii()) {
            let refusal = Refusal::new("INP023", Blame::Input, format!("{found:?} does not belong in a recurrence"));
            return Err(refusal.at(text, at, at + found.len_utf8()));
        }
        let mut at = 0;
        while at < text.len() {
            let end = at + gap_len(&text[at..]);
            if end > at {
                source.gap(at, end);
                at = end;
            } else {
                source.push(text.as_bytes()[at], at);
                at += 1;
            }
        }
        Ok(source)
    }

    fn push(&mut self, byte: u8, place: usize) {
        self.clean.push(char::from(byte));
        self.places.push(place);
    }

    /// What stands for the blank stretch `at..end`: nothing for a fold (a break, then a blank, then no property), else a break or a space.
    fn gap(&mut self, at: usize, end: usize) {
        let (gap, after) = (&self.text[at..end], &self.text[end..]);
        let breaks = gap.contains(['\r', '\n', '\\']);
        if opens_property(after) || breaks && !gap.ends_with([' ', '\t']) {
            self.push(b'\n', at);
        } else if !breaks {
            self.push(b' ', at);
        }
    }

    /// The lines that are not empty, as ranges of `clean`, without the space around them.
    pub(super) fn lines(&self) -> Vec<Range<usize>> {
        self.split(0..self.clean.len(), '\n').into_iter().filter(|line| !line.is_empty()).collect()
    }

    /// The pieces of a range between separators, without the space around them.
    pub(super) fn split(&self, range: Range<usize>, separator: char) -> Vec<Range<usize>> {
        let mut start = range.start;
        let mut pieces = Vec::new();
        for piece in self.clean[range].split(separator) {
            pieces.push(self.trimmed(start..start + piece.len()));
            start += piece.len() + 1;
        }
        pieces
    }

    /// A range without the space around it.
    pub(super) fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let piece = &self.clean[range.clone()];
        let start = range.start + piece.len() - piece.trim_start().len();
        start..start + piece.trim().len()
    }

    /// The text of a range.
    pub(super) fn get(&self, range: &Range<usize>) -> &str {
        &self.clean[range.clone()]
    }

    /// The text of a range, short enough to stand in a sentence.
    pub(super) fn quote(&self, range: &Range<usize>) -> String {
        let piece = self.get(range).escape_debug().to_string();
        if piece.len() > LONGEST_QUOTE { format!("`{}…`", &piece[..LONGEST_QUOTE]) } else { format!("`{piece}`") }
    }

    /// A refusal that points at a range.
    pub(super) fn refused(&self, range: &Range<usize>, message: impl Into<String>) -> Refusal {
        let place = |at: usize| self.places.get(at).copied();
        let start = place(range.start).unwrap_or(self.text.len());
        let end = if range.is_empty() { start } else { place(range.end - 1).map_or(self.text.len(), |last| last + 1) };
        Refusal::new("INP023", Blame::Input, message).at(self.text, start, end)
    }
}

/// The length of the blank stretch that a text opens with: spaces, line breaks, and breaks written as `\n`.
fn gap_len(text: &str) -> usize {
    let mut len = 0;
    loop {
        let rest = &text[len..];
        if rest.starts_with([' ', '\t', '\r', '\n']) {
            len += 1;
        } else if rest.starts_with("\\n") || rest.starts_with("\\r") {
            len += 2;
        } else {
            return len;
        }
    }
}

fn opens_property(text: &str) -> bool {
    let word = text.split([':', ';']).next().unwrap_or("");
    word.len() < text.len() && PROPERTIES.iter().any(|property| property.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parted_in_every_way_they_are_written() {
        for text in [
            "DTSTART:20260101\nRRULE:FREQ=DAILY;COUNT=12",
            "DTSTART:20260101\r\nRRULE:FREQ=DAILY;COUNT=12\r\n",
            "DTSTART:20260101\\nRRULE:FREQ=DAILY;COUNT=12",
            "DTSTART:20260101\\r\\nRRULE:FREQ=DAILY;COUNT=12",
            " DTSTART:20260101 RRULE:FREQ=DAILY;COUNT=12 ",
            "\n  DTSTART:20260101\n  RRULE:FREQ=DAILY;COUNT=12\n",
            "DTSTART:20260\r\n 101\r\nRRULE:FREQ=DAI\r\n\tLY;COUNT=1\r\n 2",
        ] {
            let source = Source::read(text).expect(text);
            let lines: Vec<&str> = source.lines().into_iter().map(|line| &source.clean[line]).collect();
            assert_eq!(lines, ["DTSTART:20260101", "RRULE:FREQ=DAILY;COUNT=12"], "{text:?}");
        }
    }

    #[test]
    fn places_are_those_of_the_text_as_typed() {
        let text = "RRULE:FREQ=DAI\r\n LY;COUNT=x";
        let source = Source::read(text).expect(text);
        let at = source.clean.find('x').expect("there");
        let place = source.refused(&(at..at + 1), "no").place.expect("a place");
        assert_eq!(&text[place.start..place.end], "x");
        let whole = source.refused(&(0..source.clean.len()), "no").place.expect("a place");
        assert_eq!((whole.start, whole.end), (0, text.len()));
        let nowhere = source.refused(&(source.clean.len()..source.clean.len()), "no").place.expect("a place");
        assert_eq!((nowhere.start, nowhere.end), (text.len(), text.len()));
    }
}
