//! File names as people read them.
//!
//! Not for opening files. What must hold: a name holds no line break and nothing a terminal obeys, whoever chose it.

use std::path::Path;

/// A path as text: as it is, or in quotes and escaped if it holds control characters or is no UTF-8.
#[must_use]
pub fn shown(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("{path:?}"),
    }
}

/// Text in one line: control characters escaped.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Text of so many bytes at most, whole characters; what is left out is said at its end, within those bytes: ` [… cut, 12 bytes dropped]`.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    // As long as the mark can be for this text.
    let room = most.saturating_sub(mark(text.len()).len());
    let kept = &text[..text.floor_char_boundary(room)];
    format!("{kept}{}", mark(text.len() - kept.len()))
}

fn mark(dropped: usize) -> String {
    format!(" [… cut, {dropped} bytes dropped]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn what_is_cut_says_how_much_is_gone() {
        assert_eq!(cut("äää", 6), "äää");
        for (text, most) in [("ä".repeat(100), 64), ("x".repeat(1_000), 100), ("x".repeat(101), 100), ("€".repeat(40), 41)] {
            let cut = cut(&text, most);
            let (kept, rest) = cut.split_once(" [… cut, ").expect("a mark");
            let dropped: usize = rest.strip_suffix(" bytes dropped]").expect("its end").parse().expect("a number");
            assert!(cut.len() <= most && text.starts_with(kept) && kept.len() + dropped == text.len(), "{most}: {cut}");
        }
    }

    #[test]
    fn only_names_that_need_it_are_escaped() {
        assert_eq!(shown(Path::new("/p/lib ü.so")), "/p/lib ü.so");
        assert_eq!(shown(Path::new("/p/a\nb\u{1b}[31m.so")), r#""/p/a\nb\u{1b}[31m.so""#);
        assert_eq!(shown(Path::new(OsStr::from_bytes(b"/p/\xff.so"))), r#""/p/\xFF.so""#);
        assert_eq!(one_line("a\nb\u{1b}ü"), r"a\nb\u{1b}ü");
    }
}
