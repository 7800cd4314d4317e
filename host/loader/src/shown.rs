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

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn only_names_that_need_it_are_escaped() {
        assert_eq!(shown(Path::new("/p/lib ü.so")), "/p/lib ü.so");
        assert_eq!(shown(Path::new("/p/a\nb\u{1b}[31m.so")), r#""/p/a\nb\u{1b}[31m.so""#);
        assert_eq!(shown(Path::new(OsStr::from_bytes(b"/p/\xff.so"))), r#""/p/\xFF.so""#);
        assert_eq!(one_line("a\nb\u{1b}ü"), r"a\nb\u{1b}ü");
    }
}
