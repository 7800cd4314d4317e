//! Identity as data: the JSON text of the section `.sexton.identity`, put together at compile time.
//!
//! Not the batch (that is the truth, this is what is known without running code). What must hold: the text is a
//! [`crate::wire::Identity`], and no part of it needs escaping.

/// `rustc --version` of the build of this crate, and thereby of the plugin.
pub const RUSTC: &str = env!("SEXTON_RUSTC");
/// How this image panics.
pub const PANIC: &str = if cfg!(panic = "abort") { "abort" } else { "unwind" };

// `API_MAJOR` and `API_MINOR` as text: a number cannot be written out at compile time.
const API_MAJOR_TEXT: &str = "1";
const API_MINOR_TEXT: &str = "0";
const _: () = assert!(crate::abi::API_MAJOR == 1 && crate::abi::API_MINOR == 0, "write the new numbers into the two texts above");

/// The parts of the identity of plugin `name`, version `version`.
#[must_use]
pub const fn parts(name: &'static str, version: &'static str) -> [&'static str; 13] {
    [
        "{\"plugin\":\"",
        name,
        "\",\"version\":\"",
        version,
        "\",\"api_major\":",
        API_MAJOR_TEXT,
        ",\"api_minor\":",
        API_MINOR_TEXT,
        ",\"rustc\":\"",
        RUSTC,
        "\",\"panic\":\"",
        PANIC,
        "\"}",
    ]
}

/// The length of the parts together, bytes.
#[must_use]
pub const fn length(parts: &[&str]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < parts.len() {
        sum += parts[i].len();
        i += 1;
    }
    sum
}

/// The parts together. `N` is their [`length`].
#[must_use]
pub const fn joined<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut text = [0; N];
    let (mut at, mut i) = (0, 0);
    while i < parts.len() {
        let part = parts[i].as_bytes();
        let mut j = 0;
        while j < part.len() {
            text[at] = part[j];
            at += 1;
            j += 1;
        }
        i += 1;
    }
    assert!(at == N, "N is the length of the parts");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Identity;

    #[test]
    fn the_text_is_an_identity() {
        const PARTS: [&str; 13] = parts("fx-counter", "1.2.3-rc.1+b5");
        const TEXT: [u8; length(&PARTS)] = joined(&PARTS);
        let identity: Identity = serde_json::from_slice(&TEXT).unwrap();
        assert_eq!((identity.plugin.as_str(), identity.version.as_str()), ("fx-counter", "1.2.3-rc.1+b5"));
        assert_eq!((identity.api_major, identity.api_minor), (crate::abi::API_MAJOR, crate::abi::API_MINOR));
        assert!(identity.rustc.starts_with("rustc 1."), "{}", identity.rustc);
        assert_eq!(identity.panic, "unwind");
    }
}
