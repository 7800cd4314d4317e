//! Signatures: a minisign file beside a plugin's, judged over the very bytes of the private copy.
//!
//! Not key making or signing (the CLI's). What must hold: under `warn` and `enforce` whatever cannot be read or understood refuses, so that
//! damage is never taken for absence; the trusted comment cannot lend one plugin's signature to another.

use super::owner::{self, Trust};
use super::rules::{Policy, Signatures};
use crate::rejection::Rejection;
use crate::shown::{one_line, shown};
use minisign_verify::{Error, PublicKey};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use sexton_plugin_api::wire::Identity;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// No file of keys or signatures may be larger, in bytes.
const FILE_MAX: u64 = 16 << 10;
const KEYS_MAX: usize = 256;

/// What is known of who signed a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// The policy is `off`.
    NotAsked,
    /// No key that the host knows has signed it.
    Unsigned,
    /// A known key has.
    Signed {
        /// The key's number, 16 hex digits as minisign shows it.
        key_id: String,
        /// What the signer says, covered by the signature.
        trusted_comment: String,
    },
}

/// A file that is to be judged.
pub(super) struct Signed<'a> {
    /// The name that the operator sees.
    pub path: &'a Path,
    /// Where it led.
    pub resolved: &'a Path,
    /// The copy's.
    pub bytes: &'a [u8],
    /// What they say of themselves.
    pub identity: &'a Identity,
}

/// The trusted comment that binds a signature to a plugin's name and version; `None` if they cannot be words of a line.
#[must_use]
pub fn comment_for(identity: &Identity) -> Option<String> {
    let is_word = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let words = is_word(&identity.plugin) && is_word(&identity.version);
    words.then(|| format!("sexton plugin={} version={}", identity.plugin, identity.version))
}

/// The name of the signature of a file: `libx.so.minisig`.
#[must_use]
pub fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// The signature of `path` (which leads to `resolved`), beside the name that the operator sees or else beside the file itself; `None` if
/// there is none.
pub fn find(path: &Path, resolved: &Path) -> io::Result<Option<PathBuf>> {
    for place in [beside(path), beside(resolved)] {
        match place.symlink_metadata() {
            Ok(_) => return Ok(Some(place)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// Judges by policy; a warning besides.
pub(super) fn judge(signed: &Signed<'_>, rules: &Signatures, trust: &Trust) -> Result<(Signature, Option<String>), Rejection> {
    if rules.policy == Policy::Off {
        return Ok((Signature::NotAsked, None));
    }
    let keys = read_keys(&rules.keys, trust)?;
    let found = find(signed.path, signed.resolved).map_err(|e| not_understood(&beside(signed.path), &format!("it cannot be read: {e}")))?;
    let Some(place) = found else { return lenient(rules.policy, unsigned(signed, &rules.keys)) };
    let text = read_signature(&place, trust)?;
    let signature = minisign_verify::Signature::decode(&text).map_err(|e| not_understood(&place, &e.to_string()))?;
    let id = key_id(&text).ok_or_else(|| not_understood(&place, "it names no key"))?;
    let mut of_id = keys.iter().filter(|(known, _)| *known == id).peekable();
    if of_id.peek().is_none() {
        return lenient(rules.policy, unknown_key(signed, &id, &rules.keys));
    }
    let mut verdict = Err(Error::InvalidSignature);
    for (_, key) in of_id {
        verdict = verdict.or_else(|_| key.verify(signed.bytes, &signature, false));
    }
    match verdict {
        Ok(()) => {}
        Err(Error::UnexpectedAlgorithm | Error::UnsupportedAlgorithm | Error::UnsupportedLegacyMode) => {
            return Err(not_understood(&place, "it is of minisign's old form, which does not sign a hash"));
        }
        Err(_) => return Err(does_not_fit(signed, &place, &id)),
    }
    let comment = one_line(signature.trusted_comment());
    bound(signature.trusted_comment(), signed.identity, &place)?;
    Ok((Signature::Signed { key_id: id, trusted_comment: comment }, None))
}

/// What `warn` lets pass, with a warning that shows.
fn lenient(policy: Policy, rejection: Rejection) -> Result<(Signature, Option<String>), Rejection> {
    match policy {
        Policy::Enforce => Err(rejection),
        Policy::Off | Policy::Warn => {
            Ok((Signature::Unsigned, Some(format!("{}; loaded since `signatures = \"warn\"`", rejection.message))))
        }
    }
}

/// Whatever the comment says of name and version must be so.
fn bound(comment: &str, identity: &Identity, place: &Path) -> Result<(), Rejection> {
    for word in comment.split_whitespace() {
        let (what, said, is) = match word.split_once('=') {
            Some(("plugin", said)) => ("plugin", said, &identity.plugin),
            Some(("version", said)) => ("version", said, &identity.version),
            _ => continue,
        };
        if said != is {
            return Err(Rejection::new("PLG072", format!("the signature `{}` was made for another {what}", shown(place)))
                .expected(format!("{what} `{}`, as the file's identity has it", one_line(is)))
                .found(format!("{what} `{}` in its trusted comment", one_line(said)))
                .remedy(
                    "put the signature beside the file that it was made for, or sign this one: `sexton plugin sign FILE --key SECRET_KEY`",
                ));
        }
    }
    Ok(())
}

fn read_keys(directory: &Path, trust: &Trust) -> Result<Vec<(String, PublicKey)>, Rejection> {
    let unreadable = |why: String| {
        Rejection::new("PLG073", format!("the public keys in `{}` cannot be read: {why}", shown(directory)))
            .expected("a directory of minisign public keys, `*.pub`")
            .remedy("make the directory and put the signers' public keys into it (`signature_keys`), or set `signatures = \"off\"`")
    };
    let directory = owner::resolve_directory(directory, trust).map_err(|r| if r.code == "PLG002" { r } else { unreadable(r.message) })?;
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(|e| unreadable(e.to_string()))? {
        let path = entry.map_err(|e| unreadable(e.to_string()))?.path();
        if path.extension() != Some(OsStr::new("pub")) {
            continue;
        }
        if keys.len() == KEYS_MAX {
            return Err(unreadable(format!("there are more than {KEYS_MAX}")));
        }
        let named = |why: String| unreadable(format!("`{}`: {why}", shown(&path)));
        let resolved = owner::resolve(&path, trust).map_err(|r| if r.code == "PLG002" { r } else { named(r.message) })?;
        let text = read_small(&resolved).map_err(|e| named(e.to_string()))?;
        let key = PublicKey::decode(&text).map_err(|e| named(e.to_string()))?;
        let id = key_id(&text).ok_or_else(|| named("it names no key".to_owned()))?;
        keys.push((id, key));
    }
    Ok(keys)
}

fn read_signature(place: &Path, trust: &Trust) -> Result<String, Rejection> {
    let resolved = owner::resolve(place, trust).map_err(|r| if r.code == "PLG002" { r } else { not_understood(place, &r.message) })?;
    read_small(&resolved).map_err(|e| not_understood(place, &e.to_string()))
}

/// Never blocks and never reads much, whatever the name leads to.
fn read_small(resolved: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(resolved, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    file.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_MAX} bytes")));
    }
    Ok(text)
}

/// The key's number in a file of minisign (its second line: two bytes of algorithm, eight of number), as minisign shows it.
fn key_id(text: &str) -> Option<String> {
    let line = text.lines().nth(1)?.as_bytes().get(..16)?;
    let mut bytes = Vec::with_capacity(12);
    for four in line.chunks_exact(4) {
        let mut bits = 0u32;
        for byte in four {
            bits = bits << 6 | sextet(*byte)?;
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    let number = u64::from_le_bytes(bytes.get(2..10)?.try_into().ok()?);
    Some(format!("{number:016X}"))
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

fn unsigned(signed: &Signed<'_>, keys: &Path) -> Rejection {
    Rejection::new("PLG070", format!("plugin `{}` is not signed", signed.identity.plugin))
        .expected(format!("`{}`, made with a key of `{}`", shown(&beside(signed.path)), shown(keys)))
        .found("no signature beside the file")
        .remedy("`sexton plugin sign FILE --key SECRET_KEY`, and put the `.minisig` beside the file")
}

fn unknown_key(signed: &Signed<'_>, id: &str, keys: &Path) -> Rejection {
    Rejection::new("PLG073", format!("plugin `{}` is signed by key {id}, which this host does not know", signed.identity.plugin))
        .expected(format!("a key of `{}`", shown(keys)))
        .found(format!("key {id}"))
        .remedy(format!(
            "if you trust the signer, put the public key into `{}`, then `sexton plugin load {}`",
            shown(keys),
            shown(signed.path)
        ))
}

fn does_not_fit(signed: &Signed<'_>, place: &Path, id: &str) -> Rejection {
    Rejection::new("PLG071", format!("the signature `{}` does not fit plugin `{}`", shown(place), signed.identity.plugin))
        .expected(format!("a signature of key {id} over these very bytes"))
        .found("other bytes, or a signature that was altered")
        .remedy(
            "copy file and signature again from where they were made; strip before signing, not after; if it stays so, do not use the file",
        )
}

fn not_understood(place: &Path, why: &str) -> Rejection {
    Rejection::new("PLG074", format!("the signature `{}` is not understood: {why}", shown(place)))
        .expected("a file as `sexton plugin sign` or `minisign -S` writes it")
        .remedy("sign the file again, or remove the signature if none is meant")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_numbered_as_minisign_numbers_it() {
        let public = "untrusted comment: minisign public key 52A6FC93FAB4C82B\nRWQryLT6k/ymUlyRVTr0Ac4sTdwu1WVzV1XTWVrxGMaHWcSwUOOMCPw2\n";
        assert_eq!(key_id(public).as_deref(), Some("52A6FC93FAB4C82B"));
        for wrong in ["", "a\n", "a\nRWQ", "a\nRWQryLT6k/ym*lyR", "a\nüüüüüüüüü"] {
            assert_eq!(key_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_comment_is_words_of_one_line() {
        let identity = |version: &str| Identity {
            plugin: "http".into(),
            version: version.into(),
            api_major: 1,
            api_minor: 0,
            rustc: String::new(),
            panic: "unwind".into(),
            event_types: vec![],
        };
        assert_eq!(comment_for(&identity("1.2.3-rc.1")).as_deref(), Some("sexton plugin=http version=1.2.3-rc.1"));
        for wrong in ["", "1 plugin=other", "1\n2"] {
            assert_eq!(comment_for(&identity(wrong)), None, "{wrong}");
        }
    }
}
