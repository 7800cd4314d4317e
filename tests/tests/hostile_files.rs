//! Files that are no plugin, damaged plugins, and plugins linked in ways that a host must not take: through `plugin check` and through the directory.
//!
//! Not bad code in good files (`hostile_load`). What must hold: `plugin check` ends with 0 or 1, never by a signal and never not; the host answers and lives
//! whatever lies in its directory.

use serde_json::Value;
use sexton_tests::{
    Build, Heartbeat, HostProcess, Placement, SOON, Said, Site, Way, at_work, c_library, count, runner_is_there, seed, until,
};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LENGTHS: usize = 64;
/// So many libraries a host looks at in its directory; the last by name are left out.
const FILES_MAX: usize = 1_024;
/// `plugin check` gives `load` 30 s.
const HANG: Duration = Duration::from_secs(60);

/// `plugin check`, killed and told about if it hangs.
fn check(site: &Site, file: &Path) -> Said {
    let text = file.to_str().expect("the path is text");
    let mut child =
        site.command(&["plugin", "check", text]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("built");
    let began = Instant::now();
    let mut ended = until(&format!("the check of {text} has ended"), HANG + SOON, || match child.try_wait().expect("our child") {
        Some(_) => Some(true),
        None if began.elapsed() > HANG => Some(false),
        None => None,
    });
    if !ended {
        child.kill().expect("our child");
    }
    let output = child.wait_with_output().expect("a child can be waited for");
    ended &= output.status.code().is_some_and(|code| code == 0 || code == 1);
    let said = Said::new(format!("plugin check {text}"), &output);
    assert!(ended, "it hung or was ended by a signal: {said}");
    assert!(!said.stderr.contains("panicked at"), "{said}");
    assert!(said.code == Some(0) || said.stderr.contains("PLG") || said.stdout.contains("PLG"), "a refusal without a code: {said}");
    said
}

/// The file of `stem` as `plugin list` has it, as soon as it is rejected.
fn until_rejected(site: &Site, stem: &str) -> Value {
    let path = Value::from(site.plugins.file(stem).to_str().expect("the path is text"));
    until(&format!("{stem} is rejected"), SOON, || {
        site.plugin_list().into_iter().find(|plugin| plugin["path"] == path && plugin["rejection"].is_object())
    })
}

/// All of these through `plugin check`, on as many threads as the machine has cores; how many were good.
fn check_all(site: &Site, builds: &[(String, Build)]) -> usize {
    let (next, good) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, build)) = builds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let file = site.plugins.beside(build);
                    let said = check(site, &file);
                    if said.code == Some(0) {
                        good.fetch_add(1, Ordering::Relaxed);
                        println!("{name}: good in spite of it");
                    }
                    std::fs::remove_file(file).expect("ours");
                }
            });
        }
    });
    good.into_inner()
}

#[test]
fn files_cut_short_are_checked_alone() {
    let site = Site::new(Placement::Runner);
    let good = Build::of("fx_hostile");
    let builds: Vec<(String, Build)> = good.lengths(LENGTHS).map(|length| (format!("{length} bytes"), good.cut(length))).collect();
    let passed = check_all(&site, &builds);
    println!("{LENGTHS} lengths of {} bytes: {passed} good, the others rejected", good.bytes.len());
}

/// Today's check opens the file in its own process; from the runner on it must survive that.
#[test]
fn files_with_a_flipped_byte_are_checked_alone() {
    if !runner_is_there() {
        return;
    }
    let site = Site::new(Placement::Runner);
    let good = Build::of("fx_witness");
    let seed = seed();
    let flips = count(200, 1_000);
    let seeds = (0_u64..).take(flips).map(|n| seed.wrapping_add(n));
    let builds: Vec<(String, Build)> = seeds.map(|seed| (format!("flip {seed}"), good.flipped(seed))).collect();
    let began = Instant::now();
    let passed = check_all(&site, &builds);
    let each = began.elapsed() / u32::try_from(flips).expect("a small number");
    println!("{flips} flips: {passed} good, {} rejected, {} ms a check", flips - passed, each.as_millis());
}

#[test]
fn damaged_plugins_in_the_directory_alone() {
    if !runner_is_there() {
        return;
    }
    let site = Site::new(Placement::Runner);
    let mut host = HostProcess::start(&site);
    let heartbeat = Heartbeat::start(&site);
    // Another plugin than the one that beats.
    let good = Build::of("fx_hostile");
    let mut state = seed();
    for n in 0..20 {
        let bad = good.flipped(state);
        state = state.wrapping_add(1);
        site.plugins.put("fx_hostile", &bad, Way::ALL[n % 3]);
        until("it is rejected or serves", SOON + SOON, || {
            let mut plugins = site.plugin_list().into_iter();
            let file = Value::from(site.plugins.file("fx_hostile").to_str().expect("text"));
            plugins.find(|plugin| plugin["path"] == file && (plugin["rejection"].is_object() || plugin["digest"] == bad.digest.as_str()))
        });
        assert!(host.alive(), "flip {} ended the host", state.wrapping_sub(1));
    }
    heartbeat.check(&site);
    assert!(host.stop().success());
}

/// What is wrong with it, its flags, its text; the code of its rejection.
const LINKED: [(&str, &[&str], &str, &str); 8] = [
    ("c_stack", &["-Wl,-z,execstack"], "", "PLG013"),
    ("c_textrel", &["-Wl,-z,notext"], "__asm__(\".text\\n.globl place\\nplace: .quad malloc\\n\");", "PLG013"),
    ("c_runpath", &["-Wl,-rpath,$ORIGIN", "-Wl,--enable-new-dtags"], "", "PLG009"),
    ("c_rpath", &["-Wl,-rpath,$ORIGIN", "-Wl,--disable-new-dtags"], "", "PLG009"),
    ("c_private", &["-Wl,--no-as-needed", "-lresolv"], "", "PLG009"),
    ("c_filter", &["-Wl,-f,libz_of_nobody.so"], "", "PLG009"),
    ("c_object", &["-c"], "", "PLG004"),
    ("c_faceless", &[], "int nothing;", "PLG006"),
];

#[test]
fn libraries_linked_as_no_plugin_may_be() {
    let site = Site::new(Placement::InProcess);
    let mut host = HostProcess::start(&site);
    for (stem, flags, text, code) in LINKED {
        let name = stem.replace('_', "-");
        let build = c_library(Some(&name).filter(|_| stem != "c_faceless").map(String::as_str), text, flags);
        site.plugins.put(stem, &build, Way::Move);
        let plugin = until_rejected(&site, stem);
        assert_eq!(plugin["rejection"]["code"], code, "{stem}: {plugin}");
        check(&site, &site.plugins.file(stem)).refused(code);
    }
    assert!(host.alive());
    assert!(host.stop().success());
}

/// Told about, not refused: in a runner it goes with its process.
#[test]
fn an_image_that_cannot_be_unmapped_is_told_about() {
    let site = Site::new(Placement::InProcess);
    let file = site.plugins.beside(&Build::of("fx_rival").never_unmapped());
    let said = check(&site, &file).fine().saying("nodelete");
    println!("{}", said.stdout);
}

#[test]
fn a_build_that_aborts_on_a_panic_is_refused_where_that_ends_the_host() {
    let site = Site::with(Placement::InProcess, &["fx_rival"]);
    let _host = HostProcess::start(&site);
    let bad = Build::of("fx_witness").saying_panic_abort();
    site.plugins.put("fx_witness", &bad, Way::Move);
    let plugin = until_rejected(&site, "fx_witness");
    assert_eq!(plugin["rejection"]["code"], "PLG014", "{plugin}");
}

#[test]
fn names_in_the_directory_that_are_no_files() {
    let site = Site::with(Placement::InProcess, &["fx_witness"]);
    let mut host = HostProcess::start(&site);
    let directory = site.plugins.path();
    let fifo = directory.join("libfifo.so");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("coreutils are there").success());
    std::fs::create_dir(directory.join("libdirectory.so")).expect("ours");
    symlink("nowhere.so", directory.join("libdangling.so")).expect("ours");
    symlink("libround.so", directory.join("libround.so")).expect("ours");
    symlink("/dev/zero", directory.join("libdevice.so")).expect("ours");
    let _socket = UnixListener::bind(directory.join("libsocket.so")).expect("ours");
    let loose = site.plugins.beside(&Build::of("shell"));
    std::fs::set_permissions(&loose, std::fs::Permissions::from_mode(0o777)).expect("ours");
    std::fs::rename(loose, directory.join("libloose.so")).expect("within the site");
    let shared = site.path().join("shared");
    std::fs::create_dir(&shared).expect("ours");
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).expect("ours");
    std::fs::write(shared.join("target.so"), &Build::of("shell").bytes).expect("ours");
    symlink(shared.join("target.so"), directory.join("libshared.so")).expect("ours");
    for stem in ["fifo", "directory", "dangling", "round", "device", "socket", "loose", "shared"] {
        let plugin = until_rejected(&site, stem);
        let code = plugin["rejection"]["code"].as_str().expect("a code is text");
        assert!(["PLG001", "PLG002"].contains(&code), "{stem}: {plugin}");
        check(&site, &site.plugins.file(stem)).refused(code);
    }
    site.until_serving("fx-witness", &Build::of("fx_witness"));
    assert!(host.alive());
    assert!(host.stop().success());
}

#[test]
fn two_thousand_dropped_files_and_the_host_answers_alone() {
    let placement = Placement::ALL[0];
    let site = Site::new(placement);
    let mut host = HostProcess::start(&site);
    let heartbeat = Heartbeat::start(&site);
    let files = count(2_000, 10_000);
    let (dropped, rival) = (AtomicBool::new(false), Build::of("fx_rival"));
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..files {
                // Every hundredth is a copy of a real plugin under another file name; all but one of those are one too many.
                let build = if n % 100 == 50 { rival.clone() } else { Build::from_bytes(format!("garbage {n}")) };
                std::fs::rename(site.plugins.beside(&build), site.plugins.path().join(format!("lib{n:05}.so"))).expect("within the site");
            }
            dropped.store(true, Ordering::Release);
        });
        while !dropped.load(Ordering::Acquire) {
            let began = Instant::now();
            let _list = site.plugin_list();
            times.push(began.elapsed());
        }
    });
    let rejected = |times: &mut Vec<Duration>| {
        let began = Instant::now();
        let plugins = site.plugin_list();
        times.push(began.elapsed());
        plugins.iter().filter(|plugin| plugin["rejection"].is_object()).count()
    };
    // Of the copies of one plugin all are rejected: its types are the heartbeat's. What is past the limit is left out, and said so once.
    let judged = files.min(FILES_MAX);
    until("the files are judged", SOON * 3, || (rejected(&mut times) >= judged).then_some(()));
    assert!(host.stderr().contains("too many libraries"), "it does not say that files are left out");
    for n in 0..files {
        std::fs::remove_file(site.plugins.path().join(format!("lib{n:05}.so"))).expect("nobody else takes it away");
    }
    until("they are forgotten", SOON * 3, || (rejected(&mut times) == 0).then_some(()));
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
    println!("{files} files: {} lists meanwhile, p50 {} ms, p99 {} ms, max {} ms", times.len(), at(50), at(99), at(100));
    assert!(host.alive());
    heartbeat.check(&site);
    println!("{} processes at work", at_work(&site, Some(host.pid())).len());
    assert!(host.stop().success());
}
