//! Files as they are found: good ones, broken ones, and things that are no files.

use crate::bench::{Ground, fixture};
use sexton_loader::inspect::{Rules, adopt, inspect};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn code_of(ground: &Ground, path: &Path) -> String {
    let rejection = inspect(path, &ground.generations(), &Rules::default()).expect_err("refused");
    assert_eq!(ground.copies(), 0, "a refused copy is removed");
    rejection.code
}

fn with_bytes(ground: &Ground, bytes: &[u8]) -> (String, String) {
    let path = ground.path("libx.so");
    fs::write(&path, bytes).expect("written");
    let rejection = inspect(&path, &ground.generations(), &Rules::default()).expect_err("refused");
    assert_eq!(ground.copies(), 0, "a refused copy is removed");
    (rejection.code, rejection.message)
}

fn find(bytes: &[u8], text: &[u8]) -> usize {
    bytes.windows(text.len()).position(|w| w == text).expect("in the file")
}

#[test]
fn a_good_file_is_read_and_copied() {
    let ground = Ground::new();
    let inspected = ground.inspect("fx_jobs").expect("good");
    assert_eq!(inspected.identity.plugin, "fx-jobs");
    assert_eq!(inspected.identity.event_types, ["fx.ok", "fx.soak"]);
    assert_eq!(inspected.digest.len(), 64);
    assert!(inspected.warnings.is_empty(), "{:?}", inspected.warnings);
    let mode = |p: &Path| p.metadata().expect("there").permissions().mode() & 0o7777;
    assert_eq!((mode(&inspected.copy), mode(&ground.generations())), (0o400, 0o700));
    let adopted = adopt(&inspected, &ground.generations(), 12).expect("adopted");
    assert_eq!(adopted.file_name().and_then(|n| n.to_str()), Some(format!("fx-jobs.12.{}.so", inspected.digest).as_str()));
    assert_eq!(fs::read(&adopted).expect("read"), fs::read(fixture("fx_jobs")).expect("read"));
    let again = ground.inspect("fx_jobs").expect("good");
    assert_eq!(adopt(&again, &ground.generations(), 12).expect_err("a name is given once").code, "PLG019");
}

#[test]
fn what_is_no_plugin_is_said_in_words() {
    let ground = Ground::new();
    let good = fs::read(fixture("fx_jobs")).expect("read");
    let cases: [(&[u8], &str, &str); 7] = [
        (b"", "PLG003", "empty"),
        (b"hello\nworld", "PLG003", "text (`hello`)"),
        (b"#!/bin/sh\necho", "PLG003", "a script (`#!/bin/sh`)"),
        (b"!<arch>\nx", "PLG003", "archive"),
        (b"\x01\x02\x03\x04", "PLG003", "01 02 03 04"),
        (b"\x7fELF", "PLG004", "within the header"),
        (&good[..4096], "PLG004", "ends at byte"),
    ];
    for (bytes, code, words) in cases {
        let (found, message) = with_bytes(&ground, bytes);
        assert_eq!(found, code, "{message}");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(ground.inspect("fx_no_entry").expect_err("refused").code, "PLG006");
    assert_eq!(code_of(&ground, &std::env::current_exe().expect("a test binary")), "PLG004", "a program");
}

#[test]
fn patched_headers_and_identities() {
    let ground = Ground::new();
    let good = fs::read(fixture("fx_jobs")).expect("read");
    let identity = find(&good, b"{\"plugin\":\"fx-jobs\"");
    let patched = |at: usize, text: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + text.len()].copy_from_slice(text);
        with_bytes(&ground, &bytes)
    };
    let in_identity = |from: &str, to: &str| patched(identity + find(&good[identity..], from.as_bytes()), to.as_bytes());
    let (code, message) = patched(18, &183u16.to_le_bytes());
    assert_eq!((code.as_str(), message.as_str()), ("PLG005", "built for aarch64, this host is x86_64"));
    assert_eq!(patched(4, &[1]).0, "PLG005", "32 bit");
    assert_eq!(patched(16, &2u16.to_le_bytes()).0, "PLG004", "no library");
    assert_eq!(in_identity("\"api_major\":1", "\"api_major\":2").0, "PLG008");
    assert_eq!(in_identity("\"api_minor\":0", "\"api_minor\":9").0, "PLG008");
    assert_eq!(in_identity("fx-jobs", "FX-JOBS").0, "PLG017");
    assert_eq!(in_identity("\"plugin\"", "\"plugni\"").0, "PLG007");
    assert_eq!(in_identity("{", "\u{1}").0, "PLG007");
    let name = find(&good, b".sexton.identity\0");
    assert_eq!(patched(name, b".sexton.idontity").0, "PLG007");
    let entry = find(&good, b"_1as_0lib_1header");
    assert_eq!(patched(entry, b"_2as").0, "PLG006");
}

#[test]
fn cut_at_any_length_it_is_refused() {
    let ground = Ground::new();
    let good = fs::read(fixture("fx_jobs")).expect("read");
    for i in 0..64 {
        let length = good.len() * i / 64 + if i % 3 == 0 { 1 } else { 0 };
        let (code, message) = with_bytes(&ground, &good[..length]);
        assert!(["PLG003", "PLG004", "PLG007"].contains(&code.as_str()), "{length}: {code} {message}");
    }
}

#[test]
fn things_that_are_no_regular_files() {
    let ground = Ground::new();
    fs::create_dir(ground.path("dir.so")).expect("made");
    assert_eq!(code_of(&ground, &ground.path("dir.so")), "PLG001");
    let fifo = ground.path("fifo.so");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).expect("made");
    assert_eq!(code_of(&ground, &fifo), "PLG001");
    assert_eq!(code_of(&ground, Path::new("/dev/zero")), "PLG001");
    assert_eq!(code_of(&ground, &ground.path("absent.so")), "PLG001");
    let looped = ground.path("loop.so");
    symlink(&looped, &looped).expect("made");
    assert_eq!(code_of(&ground, &looped), "PLG001");
}

#[test]
fn symbolic_links_lead_to_the_file_and_are_judged() {
    let ground = Ground::new();
    let good = ground.drop_in("fx_jobs");
    let (hop, link) = (ground.path("hop"), ground.path("plugin.so"));
    symlink(&good, &hop).expect("made");
    symlink("./../".to_owned() + ground.path("").file_name().and_then(|n| n.to_str()).expect("a name") + "/hop", &link).expect("made");
    assert_eq!(inspect(&link, &ground.generations(), &Rules::default()).expect("good").resolved, good);
    fs::create_dir(ground.path("open")).expect("made");
    fs::set_permissions(ground.path("open"), fs::Permissions::from_mode(0o777)).expect("set");
    let through = ground.path("open").join("link.so");
    symlink(&good, &through).expect("made");
    let rejection = inspect(&through, &ground.generations(), &Rules::default()).expect_err("refused");
    assert_eq!(rejection.code, "PLG002");
    let remedy = rejection.remedy.expect("what to type");
    assert!(remedy.starts_with("chmod ") && remedy.ends_with(&format!("o-w {}", ground.path("open").display())), "{remedy}");
}

#[test]
fn files_that_others_may_write() {
    let ground = Ground::new();
    let path = ground.drop_in("fx_jobs");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).expect("set");
    let rejection = inspect(&path, &ground.generations(), &Rules::default()).expect_err("refused");
    assert_eq!((rejection.code.as_str(), rejection.remedy), ("PLG002", Some(format!("chmod o-w {}", path.display()))));
    assert_eq!(ground.copies(), 0);
}

#[test]
fn the_offline_check_loads_unloads_and_leaves_nothing() {
    let ground = Ground::new();
    let (inspected, batch) = sexton_loader::check(
        &ground.drop_in("fx_jobs"),
        &ground.generations(),
        &Rules::default(),
        &crate::bench::spawner(),
        &sexton_loader::Trial::default(),
    )
    .expect("good");
    assert_eq!((inspected.identity.plugin.as_str(), batch.types.len()), ("fx-jobs", 2));
    assert!(inspected.warnings.is_empty(), "{:?}", inspected.warnings);
    let code = |name: &str| {
        sexton_loader::check(
            &ground.drop_in(name),
            &ground.generations(),
            &Rules::default(),
            &crate::bench::spawner(),
            &sexton_loader::Trial::default(),
        )
        .expect_err("refused")
        .code
    };
    let layout = sexton_loader::check(
        &ground.drop_in("fx_layout"),
        &ground.generations(),
        &Rules::default(),
        &crate::bench::spawner(),
        &sexton_loader::Trial::default(),
    )
    .expect_err("refused");
    let found = layout.found.expect("what differs");
    assert!(layout.code == "PLG011" && found.contains("the plugin has") && !found.contains("Error:"), "{found}");
    assert_eq!(code("fx_no_entry"), "PLG006");
    assert_eq!(ground.copies(), 0);
}

#[test]
fn a_host_without_privileges_takes_its_own_and_roots_files() {
    const WHO: &str = "SEXTON_TEST_UNPRIVILEGED";
    const NOBODY: u32 = 65534;
    if let Some(dir) = std::env::var_os(WHO) {
        let dir = Path::new(&dir);
        let generations = dir.join("generations");
        let verdict = |name: &str| inspect(&dir.join(name), &generations, &Rules::default()).map(drop).map_err(|r| r.code);
        assert_eq!(verdict("own.so"), Ok(()));
        assert_eq!(verdict("root.so"), Ok(()));
        assert_eq!(verdict("other.so"), Err("PLG002".to_owned()));
        assert_eq!(verdict("closed.so"), Err("PLG001".to_owned()));
        assert_eq!(inspect(&dir.join("own.so"), Path::new("/proc/none"), &Rules::default()).expect_err("no copy there").code, "PLG019");
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    let ground = Ground::new();
    let dir = ground.path("nobodys");
    fs::create_dir(&dir).expect("made");
    for (name, owner, mode) in [("own.so", NOBODY, 0o644), ("root.so", 0, 0o644), ("other.so", 1, 0o644), ("closed.so", 0, 0o600)] {
        let path = dir.join(name);
        fs::copy(fixture("fx_jobs"), &path).expect("copied");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        std::os::unix::fs::chown(&path, Some(owner), Some(owner)).expect("given");
    }
    std::os::unix::fs::chown(&dir, Some(NOBODY), Some(NOBODY)).expect("given");
    fs::set_permissions(ground.path(""), fs::Permissions::from_mode(0o755)).expect("set");
    // The test binary may lie where nobody else may look: a copy of it runs.
    let exe = dir.join("tests");
    fs::copy(std::env::current_exe().expect("a test binary"), &exe).expect("copied");
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).expect("set");
    let mut child = std::process::Command::new("setpriv");
    child.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(exe);
    child.args(["--exact", "files::a_host_without_privileges_takes_its_own_and_roots_files", "--nocapture"]).env(WHO, &dir);
    let ended = child.current_dir("/").status().expect("setpriv is there");
    assert!(ended.success(), "{ended}");
}
