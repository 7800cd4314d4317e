//! Signatures of files that come, change and go while the host runs.
//!
//! Not the judging of one file (the loader's tests). What must hold: a signature that comes later is seen, and one that goes takes nothing
//! from what serves.

use super::*;
use minisign::KeyPair;
use sexton_loader::inspect::{Policy, Signatures, comment_for, identity_of, signature_beside};

fn site(policy: Policy) -> (Site, KeyPair) {
    let dir = Arc::new(tempfile::tempdir().expect("a directory"));
    for name in ["plugins", "keys", "elsewhere"] {
        fs::create_dir(dir.path().join(name)).expect("made");
    }
    let pair = KeyPair::generate_unencrypted_keypair().expect("a key");
    let keys = dir.path().join("keys");
    fs::write(keys.join("ours.pub"), pair.pk.to_box().expect("a box").to_string()).expect("written");
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().expect("a store"));
    let rules = Rules { signatures: Signatures { policy, keys }, ..Rules::default() };
    (Site::judging(dir, store, limits(), rules), pair)
}

fn signature(pair: &KeyPair, bytes: &[u8]) -> String {
    let comment = comment_for(&identity_of(bytes).expect("an identity")).expect("words");
    minisign::sign(Some(&pair.pk), &pair.sk, bytes, Some(&comment), None).expect("signed").into_string()
}

fn refused_with(site: &Site, name: &str, code: &str) -> PluginView {
    site.until(name, code, |v| v.rejection.as_ref().is_some_and(|r| r.code == code))
}

#[test]
fn a_signature_that_comes_later_lets_the_file_in() {
    let (site, pair) = site(Policy::Enforce);
    let bytes = library("");
    site.put("libfx.so", &bytes);
    refused_with(&site, "libfx", "PLG070");
    site.put("libfx.so.minisig", b"half a signa");
    refused_with(&site, "libfx", "PLG074");
    site.put("libfx.so.minisig", signature(&pair, &bytes).as_bytes());
    let first = site.active("fx-first");
    assert!(matches!(first.signature, Some(Signature::Signed { .. })) && first.warnings.is_empty(), "{first:?}");

    // What serves was good when it came: it goes on, and why the file would not be taken now is shown.
    fs::remove_file(site.path("libfx.so.minisig")).expect("removed");
    let unsigned = refused_with(&site, "fx-first", "PLG070");
    assert_eq!((unsigned.state, unsigned.generation), (PluginState::Active, first.generation));
    let next = library("next");
    site.put("libfx.so.minisig", signature(&pair, &next).as_bytes());
    refused_with(&site, "fx-first", "PLG071");
    site.put("libfx.so", &next);
    let second = site.until("fx-first", "the new build", |v| v.generation > first.generation && v.rejection.is_none());
    assert_ne!(second.digest, first.digest);
}

#[test]
fn what_loads_unsigned_shows_it() {
    let (site, _) = site(Policy::Warn);
    site.put("libfx.so", &library(""));
    let view = site.active("fx-first");
    assert_eq!(view.signature, Some(Signature::Unsigned));
    assert!(view.warnings.iter().any(|w| w.contains("is not signed")), "{:?}", view.warnings);
}

#[test]
fn load_by_path_takes_the_signature_along() {
    let (site, pair) = site(Policy::Warn);
    let source = site.dir.path().join("elsewhere/libfx.so");
    let path = source.to_str().expect("text");
    let bytes = library("");
    fs::write(&source, &bytes).expect("written");
    fs::write(signature_beside(&source), signature(&pair, &bytes)).expect("written");
    let loaded = site.supervisor.load(path, &who()).expect("loaded");
    assert!(matches!(loaded.signature, Some(Signature::Signed { .. })), "{loaded:?}");
    assert!(site.path("libfx.so.minisig").exists());

    // Another build without a signature: the old one's does not stay beside it.
    fs::write(&source, library("next")).expect("written");
    assert_eq!(site.supervisor.load(path, &who()).expect_err("the old signature is beside the source").code, "PLG071");
    assert!(site.path("libfx.so.minisig").exists(), "what stands in its place is untouched");
    fs::remove_file(signature_beside(&source)).expect("removed");
    let next = site.supervisor.load(path, &who()).expect("loaded with a warning");
    assert_eq!((next.signature, next.generation > loaded.generation), (Some(Signature::Unsigned), true));
    assert!(!site.path("libfx.so.minisig").exists());
    let left = fs::read_dir(site.plugins()).expect("read").map(|e| e.expect("an entry").file_name()).collect::<Vec<_>>();
    assert_eq!(left, ["libfx.so"], "nothing under a passing name is left");
}
