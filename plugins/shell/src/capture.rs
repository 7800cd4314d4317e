//! The beginning and the end of a stream, whatever its length.
//!
//! Not the whole stream: a job's output is stored with its run. What must hold: memory is bounded by the limit; what is left out is said.

use std::collections::VecDeque;

/// Keeps the first and the last half of its limit.
#[derive(Debug)]
pub struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    total: u64,
}

impl Capture {
    /// Keeps `limit` bytes, at least two.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), half: (limit / 2).max(1), total: 0 }
    }

    /// Takes the next bytes of the stream.
    pub fn take(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.half)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.half);
        self.tail.drain(..over);
        self.tail.extend(rest);
    }

    /// How many of them were not kept.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    /// As text; bytes that are not UTF-8 are replaced, and a line says where how much is missing.
    #[must_use]
    pub fn text(&self) -> String {
        let (front, back) = self.tail.as_slices();
        let bytes = if self.left_out() == 0 {
            [&self.head, front, back].concat()
        } else {
            let gap = format!("\n[... {} bytes left out ...]\n", self.left_out());
            [&self.head, gap.as_bytes(), front, back].concat()
        };
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::Capture;

    fn fed(limit: usize, pieces: &[&str]) -> Capture {
        let mut capture = Capture::new(limit);
        for piece in pieces {
            capture.take(piece.as_bytes());
        }
        capture
    }

    #[test]
    fn what_fits_is_whole() {
        assert_eq!(fed(10, &["abc", "", "defghij"]).text(), "abcdefghij");
        assert_eq!(fed(10, &[]).text(), "");
    }

    #[test]
    fn the_middle_is_left_out_and_counted() {
        for pieces in [&["abcdefghijklmnop"][..], &["abc", "defghijk", "lmnop"], &["a", "b", "cdefghijklmno", "p"]] {
            let capture = fed(6, pieces);
            assert_eq!(capture.text(), "abc\n[... 10 bytes left out ...]\nnop");
            assert_eq!(capture.left_out(), 10);
        }
    }

    #[test]
    fn a_cut_letter_is_replaced() {
        assert!(fed(4, &["aéé"]).text().contains('\u{fffd}') || fed(4, &["aéé"]).left_out() == 1);
    }
}
