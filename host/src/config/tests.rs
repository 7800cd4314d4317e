//! What configuration says to wrong text, and which layer wins.

use super::{Config, Flags, Origin, file, keys::KEYS};
use sexton_loader::inspect::Policy;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut env: BTreeMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    env.insert("XDG_STATE_HOME".to_owned(), "/home/u/.state".to_owned());
    env
}

fn code_of(text: &str) -> (String, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("sexton.toml");
    std::fs::write(&path, text).expect("writes");
    let refusal = Config::load(Some(&path), &env(&[]), &Flags::new()).expect_err("refused");
    let place = refusal.place.as_ref().map_or("", |p| &p.text[p.start..p.end]).to_owned();
    assert!(refusal.message.contains("sexton.toml:"), "names the file: {}", refusal.message);
    (refusal.code, place)
}

#[test]
fn later_layers_win_and_say_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "state = \"s\"\ndrain = \"1m\"\ngrace = \"2s\"\nname = \"a\"\n").expect("writes");
    let flags = Flags::from([("name", "c".to_owned())]);
    let config = Config::load(Some(&path), &env(&[("SEXTON_NAME", "b"), ("SEXTON_GRACE", "3s")]), &flags).expect("good");
    assert_eq!((config.name.as_str(), config.grace.as_secs(), config.drain.as_secs()), ("c", 3, 60));
    assert_eq!(config.settings["name"].origin, Origin::Flag("--name".to_owned()));
    assert_eq!(config.settings["drain"].origin.label(), format!("{}:2", path.display()));
    assert_eq!(config.state, dir.path().join("s"), "paths of a file count from its directory");
    assert_eq!(config.plugins, dir.path().join("s/plugins"));
    assert_eq!(config.store, format!("sqlite:{}", dir.path().join("s/sexton.db").display()));
}

#[test]
fn wrong_text_is_refused_at_its_place() {
    let expected = [
        ("drian = \"1s\"", "CFG002", "drian"),
        ("drain = \"soon\"", "CFG001", "\"soon\""),
        ("drain = 5", "CFG001", "5"),
        ("grace = \"366d\"", "CFG001", "\"366d\""),
        ("drain = [1]", "CFG001", "[1]"),
        ("unsettled_max = 0", "CFG001", "0"),
        ("store = \"postgres://db\"", "CFG001", "\"postgres://db\""),
        ("store = \"sqlite:\"", "CFG001", "\"sqlite:\""),
        ("log_format = \"xml\"", "CFG001", "\"xml\""),
        ("log = \"info,=,\"", "CFG001", "\"info,=,\""),
        ("log = \"warning\"", "CFG001", "\"warning\""),
        ("log = \"inof\"", "CFG001", "\"inof\""),
        ("log = \"\"", "CFG001", "\"\""),
        ("log = \"info,sexton::engine=loud\"", "CFG001", "\"info,sexton::engine=loud\""),
        ("signatures = \"on\"", "CFG001", "\"on\""),
        ("signature_keys = \"\"", "CFG001", "\"\""),
        ("name = \"a b\"", "CFG001", "\"a b\""),
        ("state = \"\"", "CFG001", "\"\""),
        ("[web]\nport = 1", "CFG002", "web"),
    ];
    for (text, code, place) in expected {
        assert_eq!(code_of(text), (code.to_owned(), place.to_owned()), "{text}");
    }
    assert_eq!(code_of("state = ").0, "CFG001");
    assert_eq!(code_of("state = \"a\"\nstate = \"b\"").0, "CFG001");
}

#[test]
fn signatures_are_off_until_somebody_says_otherwise() {
    let silent = Config::load(None, &env(&[("SEXTON_STATE", "/s")]), &Flags::new()).expect("good");
    assert_eq!((silent.signatures.policy, silent.signatures.keys), (Policy::Off, PathBuf::from("/s/keys")));
    let flags = Flags::from([("signatures", "enforce".to_owned())]);
    let said = Config::load(None, &env(&[("SEXTON_SIGNATURES", "warn"), ("SEXTON_SIGNATURE_KEYS", "/k")]), &flags).expect("good");
    assert_eq!((said.signatures.policy, said.signatures.keys), (Policy::Enforce, PathBuf::from("/k")));
}

#[test]
fn log_filters_that_say_something_are_taken() {
    for filter in ["off", "WARN", "info,sexton::engine=debug", "info,sexton=trace", "info,sexton[run{id=7}]=debug"] {
        let flags = Flags::from([("log", filter.to_owned())]);
        assert_eq!(Config::load(None, &env(&[]), &flags).expect(filter).log, filter);
    }
    let refusal = Config::load(None, &env(&[]), &Flags::from([("log", "warning".to_owned())])).expect_err("no level");
    assert!(refusal.expected.is_some_and(|said| said.contains("off, error, warn, info, debug, trace")), "the levels are named");
}

#[test]
fn an_unknown_key_hears_the_nearest() {
    let refusal = file::parse(Path::new("x.toml"), "# first\n  pluginz = 1\n").expect_err("unknown");
    assert_eq!(refusal.remedy.as_deref(), Some("did you mean `plugins`?"));
    assert!(refusal.message.starts_with("x.toml:2:3: unknown key"), "{}", refusal.message);
}

#[test]
fn a_missing_file_is_refused() {
    let refusal = Config::load(Some(Path::new("/nowhere/c.toml")), &env(&[]), &Flags::new()).expect_err("no file");
    assert_eq!(refusal.code, "CFG003");
}

#[test]
fn the_default_state_follows_the_user() {
    let wanted = if rustix::process::geteuid().is_root() { "/var/lib/sexton" } else { "/home/u/.state/sexton" };
    assert_eq!(Config::load(None, &env(&[]), &Flags::new()).expect("good").state, PathBuf::from(wanted));
}

#[test]
fn every_key_is_documented() {
    let page = include_str!("../../docs/configuration.md");
    for key in KEYS {
        assert!(page.contains(&format!("`{}`", key.name)) && page.contains(&format!("`{}`", key.env)), "{} is missing", key.name);
    }
}
