//! The identity section: who a plugin is and what it was built against, as data in the file.
//!
//! Not the batch of `load`, which is the truth about types. What must hold: it is read within limits and without running code, so that a
//! mismatch is said in words before anything is opened.

use crate::rejection::Rejection;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use sexton_plugin_api::abi::{API_MAJOR, API_MINOR, IDENTITY_SECTION, TYPES_SECTION};
use sexton_plugin_api::wire::Identity;

const IDENTITY_MAX: usize = 16 << 10;
const TYPES_MAX: usize = 256 << 10;
const TYPE_ID_MAX: usize = 200;
const NAME_MAX: usize = 63;

/// Reads and judges the identity of an ELF file whose structure has been checked.
pub(super) fn read(bytes: &[u8]) -> Result<Identity, Rejection> {
    let file = ElfFile64::<Endianness>::parse(bytes)
        .map_err(|e| Rejection::new("PLG004", format!("the section table cannot be read: {e}")).remedy("build the plugin again"))?;
    let text = section(&file, IDENTITY_SECTION, IDENTITY_MAX)?.ok_or_else(|| {
        unreadable(format!("there is no section `{IDENTITY_SECTION}`"))
            .remedy("write `#[plugin]` on `load` and `unload`; if the section was stripped, keep it (`strip --keep-section`)")
    })?;
    parse(text, section(&file, TYPES_SECTION, TYPES_MAX)?.unwrap_or_default())
}

/// Understands and judges the text of the section and the ids beside it.
pub(super) fn parse(text: &[u8], types: &[u8]) -> Result<Identity, Rejection> {
    let text = std::str::from_utf8(text).map_err(|_| unreadable("it is not UTF-8"))?.trim_end_matches('\0').trim();
    let mut identity: Identity = serde_json::from_str(text).map_err(|e| {
        let twice = if e.to_string().contains("trailing") { " (is there a second `#[plugin]` in what the plugin links?)" } else { "" };
        unreadable(format!("its JSON is not understood: {e}{twice}"))
    })?;
    judge(&identity)?;
    identity.event_types = event_types(types)?;
    Ok(identity)
}

fn section<'a>(file: &ElfFile64<'a, Endianness>, name: &str, max: usize) -> Result<Option<&'a [u8]>, Rejection> {
    let Some(section) = file.sections().find(|s| s.name_bytes().is_ok_and(|n| n == name.as_bytes())) else { return Ok(None) };
    if section.size() > max as u64 {
        return Err(unreadable(format!("section `{name}` has {} bytes, at most {max} are read", section.size())));
    }
    let bytes = section.data().map_err(|e| Rejection::new("PLG004", format!("section `{name}` lies outside the file: {e}")))?;
    Ok(Some(bytes))
}

fn judge(identity: &Identity) -> Result<(), Rejection> {
    name_is_allowed(&identity.plugin)?;
    if identity.version.len() > 64 || identity.rustc.len() > 200 {
        return Err(unreadable("its version or rustc text is too long"));
    }
    if identity.api_major != API_MAJOR || identity.api_minor > API_MINOR {
        let newer = (identity.api_major, identity.api_minor) > (API_MAJOR, API_MINOR);
        let remedy = if newer {
            "update the host, or build the plugin against the `sexton-plugin-api` of this host"
        } else {
            "build the plugin against the `sexton-plugin-api` of this host"
        };
        return Err(Rejection::new("PLG008", format!("plugin `{}` was built against another version of the plugin API", identity.plugin))
            .expected(format!("API {API_MAJOR}.0 to {API_MAJOR}.{API_MINOR}"))
            .found(format!("API {}.{}", identity.api_major, identity.api_minor))
            .remedy(remedy));
    }
    match identity.panic.as_str() {
        // Whether `abort` will do depends on where the code is to run.
        "unwind" | "abort" => Ok(()),
        other => Err(unreadable(format!("its panic strategy `{}` is unknown", shown(other)))),
    }
}

/// Names go into file names, commands and metrics: one spelling, no surprises.
fn name_is_allowed(name: &str) -> Result<(), Rejection> {
    let of_set = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let why = match () {
        () if name.is_empty() => "it is empty",
        () if name.len() > NAME_MAX => "it is too long",
        () if !name.bytes().all(of_set) => "it has another character",
        () if !name.as_bytes()[0].is_ascii_alphanumeric() => "it starts with neither letter nor digit",
        () if name == "host" => "`host` is the host's own",
        () => return Ok(()),
    };
    Err(Rejection::new("PLG017", format!("the plugin name `{}` is not allowed: {why}", shown(name)))
        .expected(format!("1 to {NAME_MAX} lower-case letters, digits, `-`, `_` or `.`, a letter or digit first"))
        .found(format!("`{}`", shown(name)))
        .remedy("rename the plugin's package, or name it in `#[plugin(name = \"…\")]`"))
}

/// Ids end with a zero byte each; the linker may pad with more zero bytes.
fn event_types(bytes: &[u8]) -> Result<Vec<String>, Rejection> {
    let mut types = Vec::new();
    for id in bytes.split(|b| *b == 0).filter(|id| !id.is_empty()) {
        let text = std::str::from_utf8(id).ok().filter(|t| t.len() <= TYPE_ID_MAX && !t.contains(char::is_control));
        types.push(
            text.ok_or_else(|| unreadable(format!("an id in section `{TYPES_SECTION}` is no text of at most {TYPE_ID_MAX} bytes")))?
                .to_owned(),
        );
    }
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

fn unreadable(why: impl std::fmt::Display) -> Rejection {
    Rejection::new("PLG007", format!("the plugin does not say who it is: {why}"))
        .expected(format!("a section `{IDENTITY_SECTION}` as the `#[plugin]` macro writes it"))
        .remedy("build the plugin with the `sexton-plugin-api` of this host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "start-resource", "http", "x_1.2", "0day", &"a".repeat(63)] {
            assert!(name_is_allowed(name).is_ok(), "{name}");
        }
        for name in ["", "host", "Http", "a b", "../x", ".hidden", "-x", "a/b", "ä", "a\0", &"a".repeat(64)] {
            assert_eq!(name_is_allowed(name).expect_err(name).code, "PLG017");
        }
    }

    #[test]
    fn event_type_ids_are_advice_within_limits() {
        assert_eq!(event_types(b"b.x\0\0\0a.y\0b.x\0").expect("ids"), ["a.y", "b.x"]);
        assert!(event_types(&[b'a'; 300]).is_err());
        assert!(event_types(b"a\xff\0").is_err());
        assert!(event_types(b"a\nb\0").is_err());
    }

    #[test]
    fn api_range_and_panic_strategy() {
        let good = Identity {
            plugin: "p".into(),
            version: "1.0.0".into(),
            api_major: API_MAJOR,
            api_minor: API_MINOR,
            rustc: "rustc 1.95.0".into(),
            panic: "unwind".into(),
            event_types: vec![],
        };
        assert_eq!(judge(&good), Ok(()));
        let code = |identity: Identity| judge(&identity).expect_err("refused").code;
        assert_eq!(code(Identity { api_minor: API_MINOR + 1, ..good.clone() }), "PLG008");
        assert_eq!(code(Identity { api_major: API_MAJOR + 1, ..good.clone() }), "PLG008");
        assert_eq!(judge(&Identity { panic: "abort".into(), ..good.clone() }), Ok(()), "a matter of placement");
        assert_eq!(code(Identity { panic: "?".into(), ..good.clone() }), "PLG007");
        assert_eq!(code(Identity { plugin: "host".into(), ..good }), "PLG017");
    }
}
