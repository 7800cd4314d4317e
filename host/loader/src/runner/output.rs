//! What a runner writes to its standard output and error, cut into lines.
//!
//! Not the plugin's `tracing` events. What must hold: a line has a greatest length, whatever is written; the last line of the standard error is kept for the
//! post-mortem.

use super::last_words::{self, LastWords};
use std::io::{self, Read};

/// A line is cut here, in bytes.
const LINE_MAX: usize = 8 << 10;
/// Pieces of a line with no end are said as lines of their own; so much is read at once.
const CHUNK: usize = 16 << 10;

/// How such a line begins.
const NO_MEMORY: &str = "memory allocation of ";

/// One of the two streams.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The last line that was not empty.
    pub last: Option<String>,
    /// The last line that says that memory ran out: the standard library says it, and more after it, before it aborts.
    pub no_memory: Option<String>,
    /// The line of a dying process.
    pub last_words: Option<LastWords>,
}

impl Lines {
    /// Reads once; `said` gets each whole line. False: the stream has ended.
    ///
    /// # Errors
    /// What the stream says, `WouldBlock` included.
    pub(super) fn read(&mut self, stream: &mut impl Read, said: &mut impl FnMut(&str)) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        let read = stream.read(&mut chunk)?;
        for piece in chunk[..read].split_inclusive(|b| *b == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() >= LINE_MAX {
                self.flush(said);
            }
        }
        Ok(read > 0)
    }

    /// What has no line break behind it, at the end.
    pub(super) fn flush(&mut self, said: &mut impl FnMut(&str)) {
        for piece in self.partial.chunks(LINE_MAX) {
            let text = String::from_utf8_lossy(piece);
            let text = text.trim_end();
            if let Some(words) = last_words::read(text) {
                self.last_words = Some(words);
            } else if !text.is_empty() {
                said(text);
                if text.contains(NO_MEMORY) {
                    self.no_memory = Some(text.to_owned());
                }
                self.last = Some(text.to_owned());
            }
        }
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<String>, Lines) {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            let mut stream = *piece;
            while lines.read(&mut stream, &mut |l| found.push(l.to_owned())).expect("a slice can be read") {}
        }
        lines.flush(&mut |l| found.push(l.to_owned()));
        (found, lines)
    }

    #[test]
    fn lines_are_put_together_and_cut() {
        let long = "x".repeat(3 * LINE_MAX + 5);
        let (found, lines) = lines(&[b"one\ntw", b"o\n\n", b"\xff\n", long.as_bytes()]);
        assert_eq!(found[..3], ["one", "two", "\u{fffd}"]);
        assert_eq!(found[3..].iter().map(String::len).sum::<usize>(), long.len(), "nothing of it is lost");
        assert!(found[3..].iter().all(|l| l.len() <= LINE_MAX + CHUNK));
        assert!(lines.last.expect("one").starts_with('x'));
    }

    #[test]
    fn want_of_memory_is_remembered_behind_later_lines() {
        let (_, lines) = lines(&[b"memory allocation of 8 bytes failed\nstack backtrace:\n"]);
        assert_eq!(lines.no_memory.as_deref(), Some("memory allocation of 8 bytes failed"));
    }

    #[test]
    fn last_words_are_no_line_of_the_plugin() {
        let (found, lines) = lines(&[b"half", b"\n\0sexton-last-words 6 -6 0 0 9\n"]);
        assert_eq!(found, ["half"]);
        assert_eq!(lines.last_words.expect("heard"), LastWords { signal: 6, code: -6, address: 0, stack: false, run: 9 });
        assert_eq!(lines.last.as_deref(), Some("half"));
    }
}
