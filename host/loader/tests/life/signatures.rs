//! Signatures by policy: each state of a file, its signature and the keys, under `off`, `warn` and `enforce`.
//!
//! Not the making of keys and signatures by the CLI. What must hold: what is damaged is never taken for what is absent.

use crate::bench::{Ground, fixture};
use minisign::KeyPair;
use sexton_loader::inspect::{Inspected, Policy, Rules, Signature, Signatures, comment_for, identity_of, inspect, signature_beside};
use sexton_loader::rejection::Rejection;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A plugin, a directory of keys, and the key that is in it.
struct Site {
    ground: Ground,
    plugin: PathBuf,
    keys: PathBuf,
    known: KeyPair,
}

/// What is expected under `warn` and under `enforce`: a code, or nothing.
type Expected = (Option<&'static str>, Option<&'static str>);

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().expect("a key")
}

fn id_of(pair: &KeyPair) -> String {
    format!("{:016X}", u64::from_le_bytes(pair.pk.keynum().try_into().expect("eight bytes")))
}

impl Site {
    fn new() -> Self {
        let ground = Ground::new();
        let plugin = ground.drop_in("fx_jobs");
        let keys = ground.path("keys");
        fs::create_dir(&keys).expect("made");
        let known = pair();
        fs::write(keys.join("known.pub"), known.pk.to_box().expect("a box").to_string()).expect("written");
        fs::write(keys.join("README"), "no key, and not looked at").expect("written");
        Self { ground, plugin, keys, known }
    }

    fn comment(&self) -> String {
        comment_for(&identity_of(&fs::read(&self.plugin).expect("read")).expect("an identity")).expect("words")
    }

    fn signed(&self, by: &KeyPair, comment: &str) -> String {
        let bytes = fs::read(&self.plugin).expect("read");
        minisign::sign(Some(&by.pk), &by.sk, &*bytes, Some(comment), None).expect("signed").into_string()
    }

    fn put(&self, signature: impl AsRef<[u8]>) {
        fs::write(signature_beside(&self.plugin), signature).expect("written");
    }

    fn put_good(&self) {
        self.put(self.signed(&self.known, &self.comment()));
    }

    fn inspect(&self, policy: Policy) -> Result<Inspected, Rejection> {
        self.inspect_at(&self.plugin, policy)
    }

    fn inspect_at(&self, path: &Path, policy: Policy) -> Result<Inspected, Rejection> {
        let signatures = Signatures { policy, keys: self.keys.clone() };
        inspect(path, &self.ground.generations(), &Rules { signatures, ..Rules::default() })
    }

    fn expect(&self, what: &str, (warn, enforce): Expected) {
        let off = self.inspect(Policy::Off).unwrap_or_else(|r| panic!("{what}: off looks at nothing: {r}"));
        assert!(off.signature == Signature::NotAsked && off.warnings.is_empty(), "{what}: {off:?}");
        for (policy, expected) in [(Policy::Warn, warn), (Policy::Enforce, enforce)] {
            let verdict = self.inspect(policy);
            let code = verdict.as_ref().err().map(|r| r.code.as_str());
            assert_eq!(code, expected, "{what} under {policy:?}: {verdict:?}");
            if let Err(rejection) = verdict {
                assert!(rejection.remedy.is_some(), "{what}: says what to do");
            }
        }
    }
}

const GOOD: Expected = (None, None);

fn always(code: &'static str) -> Expected {
    (Some(code), Some(code))
}

#[test]
fn each_state_of_a_signature_has_its_answer() {
    let site = Site::new();
    site.expect("unsigned", (None, Some("PLG070")));
    let unsigned = site.inspect(Policy::Warn).expect("loads");
    assert!(unsigned.signature == Signature::Unsigned && unsigned.warnings[0].contains("`fx-jobs` is not signed"), "{unsigned:?}");

    site.put_good();
    site.expect("signed", GOOD);
    let signed = site.inspect(Policy::Enforce).expect("good");
    assert_eq!(signed.signature, Signature::Signed { key_id: id_of(&site.known), trusted_comment: site.comment() });
    assert!(signed.warnings.is_empty(), "{:?}", signed.warnings);

    site.put(site.signed(&site.known, "timestamp:1\tfile:libfx_jobs.so"));
    site.expect("signed by minisign itself, whose comment has no such words", GOOD);

    let stranger = pair();
    site.put(site.signed(&stranger, &site.comment()));
    site.expect("unknown key", (None, Some("PLG073")));
    let tainted = site.inspect(Policy::Warn).expect("loads");
    assert!(tainted.signature == Signature::Unsigned && tainted.warnings[0].contains(&id_of(&stranger)), "{tainted:?}");
    fs::write(site.keys.join("stranger.pub"), stranger.pk.to_box().expect("a box").to_string()).expect("written");
    site.expect("the key has become known", GOOD);
    fs::remove_file(site.keys.join("stranger.pub")).expect("removed");
    site.expect("and unknown again", (None, Some("PLG073")));
}

#[test]
fn what_does_not_fit_is_refused_under_warn_too() {
    let site = Site::new();
    let good = site.signed(&site.known, &site.comment());
    site.put(good.replace("version=", "version=9"));
    site.expect("an altered comment", always("PLG071"));
    site.put(good.replacen("\nRU", "\nRW", 1));
    site.expect("the old form", always("PLG074"));
    for comment in ["sexton plugin=other version=0.1.0", "sexton plugin=fx-jobs version=9.9.9", "plugin=fx-jobs plugin=other"] {
        site.put(site.signed(&site.known, comment));
        site.expect(comment, always("PLG072"));
    }
    site.put(&good);
    let mut bytes = fs::read(&site.plugin).expect("read");
    // After what the sections hold: the structure is as good as before.
    bytes.extend_from_slice(b"stripped, padded, infected");
    fs::write(&site.plugin, bytes).expect("written");
    site.expect("other bytes", always("PLG071"));
    fs::copy(fixture("fx_jobs"), &site.plugin).expect("copied");
    site.expect("the same bytes again", GOOD);
}

#[test]
fn what_cannot_be_understood_is_not_absent() {
    let site = Site::new();
    let good = site.signed(&site.known, &site.comment());
    let cut: Vec<String> = (1..4).map(|lines| good.lines().take(lines).collect::<Vec<_>>().join("\n")).collect();
    let large = format!("{good}{}", "#".repeat(20 << 10));
    for wrong in ["", "hello", "a\nb\nc\nd\n", &cut[0], &cut[1], &cut[2], &large, &good.replace("trusted comment: ", "comment: ")] {
        site.put(wrong);
        site.expect(&wrong.chars().take(40).collect::<String>(), always("PLG074"));
    }
    site.put(b"\xff\xfe\x00");
    site.expect("no text", always("PLG074"));
    let place = signature_beside(&site.plugin);
    fs::remove_file(&place).expect("removed");
    symlink(site.ground.path("nowhere"), &place).expect("made");
    site.expect("leads nowhere", always("PLG074"));
    fs::remove_file(&place).expect("removed");
    fs::create_dir(&place).expect("made");
    site.expect("a directory", always("PLG074"));
    fs::remove_dir(&place).expect("removed");
    rustix::fs::mknodat(rustix::fs::CWD, &place, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).expect("made");
    site.expect("a FIFO without a writer", always("PLG074"));
}

#[test]
fn the_owner_rule_holds_for_signature_and_keys() {
    let site = Site::new();
    site.put_good();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    let places =
        [(signature_beside(&site.plugin), 0o646, 0o644), (site.keys.clone(), 0o777, 0o755), (site.keys.join("known.pub"), 0o646, 0o644)];
    for (place, open, closed) in places {
        mode(&place, open);
        site.expect(&format!("{} is everybody's", place.display()), always("PLG002"));
        mode(&place, closed);
        site.expect("closed again", GOOD);
    }
    mode(&site.keys, 0o1777);
    site.expect("whoever likes may add a key", always("PLG002"));
}

#[test]
fn keys_that_cannot_be_read_refuse_everything() {
    let site = Site::new();
    site.put_good();
    let broken = site.keys.join("broken.pub");
    for text in ["", "hello", "a\nb\n"] {
        fs::write(&broken, text).expect("written");
        site.expect("a broken key beside the good one", always("PLG073"));
    }
    fs::remove_file(&broken).expect("removed");
    fs::rename(&site.keys, site.ground.path("away")).expect("moved");
    site.expect("no keys at all", always("PLG073"));
    fs::remove_file(signature_beside(&site.plugin)).expect("removed");
    site.expect("nor a signature", always("PLG073"));
    fs::write(&site.keys, "no directory").expect("written");
    site.expect("keys that are no directory", always("PLG073"));
}

#[test]
fn a_signature_stands_beside_the_link_or_beside_the_file() {
    let site = Site::new();
    let link = site.ground.path("liblink.so");
    symlink(&site.plugin, &link).expect("made");
    assert_eq!(site.inspect_at(&link, Policy::Enforce).expect_err("none yet").code, "PLG070");
    site.put_good();
    assert!(site.inspect_at(&link, Policy::Enforce).is_ok(), "beside the file");
    fs::write(signature_beside(&link), "hello").expect("written");
    assert_eq!(site.inspect_at(&link, Policy::Enforce).expect_err("the operator's name comes first").code, "PLG074");
    fs::rename(signature_beside(&site.plugin), signature_beside(&link)).expect("moved");
    assert!(site.inspect_at(&link, Policy::Enforce).is_ok(), "beside the link");
}
