//! A piece of an expression that still knows its place in the whole.
//!
//! Not its meaning. What must hold: the text is ASCII where it is cut, so that every place lies between characters.

use crate::refusal::{Blame, Refusal};

/// Bytes `start..end` of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Spot<'a> {
    pub(super) fn as_str(self) -> &'a str {
        &self.text[self.start..self.end]
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Without its last bytes.
    pub(super) fn without_last(self, bytes: usize) -> Self {
        Self { end: self.end - bytes, ..self }
    }

    /// Without its first bytes.
    pub(super) fn without_first(self, bytes: usize) -> Self {
        Self { start: self.start + bytes, ..self }
    }

    /// Before and after the first such character.
    pub(super) fn split_once(self, at: char) -> Option<(Self, Self)> {
        let (before, after) = self.as_str().split_once(at)?;
        Some((self.without_last(self.end - self.start - before.len()), self.without_first(self.end - self.start - after.len())))
    }

    /// The pieces between commas.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let mut start = self.start;
        self.as_str().split(',').map(move |item| {
            let spot = Self { text: self.text, start, end: start + item.len() };
            start = spot.end + 1;
            spot
        })
    }

    /// Refuses the expression because of this piece.
    pub(super) fn refused(self, message: impl Into<String>) -> Refusal {
        Refusal::new("INP003", Blame::Input, message).at(self.text, self.start, self.end)
    }
}
