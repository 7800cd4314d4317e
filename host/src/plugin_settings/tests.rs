//! What a settings file may say, what it means, and how it is refused.

use super::*;
use serde_json::json;
use sexton_loader::confine::{Capabilities, Limits};
use std::collections::BTreeMap;

fn understood(text: &str) -> Result<PluginSettings, Refusal> {
    parse(text, Path::new("p/libx.toml"))
}

#[test]
fn what_the_file_says_becomes_json() {
    let text = "placement = \"in-process\"\nlog_level = \"debug\"\n[settings]\nwho = \"me\"\nn = [1, 2.5]\nat = 2026-01-02T03:04:05Z\n[settings.deep]\nyes = true\n";
    let read = understood(text).expect("well formed");
    assert_eq!((read.log_level, read.placement), (4, Placement::InProcess));
    assert_eq!(read.settings, json!({"who": "me", "n": [1, 2.5], "at": "2026-01-02T03:04:05Z", "deep": {"yes": true}}));
}

#[test]
fn every_key_is_understood() {
    let text = r#"
placement = "runner"
run_as = "acme"
[limits]
memory = "512 MiB"
open_files = 100
processes = 20
cpu = "150%"
run_time = "1m 30s"
runs = 4
log_lines = 10
output = 2048
event_types = 3
[capabilities]
read = ["/srv/in"]
write = ["/srv/out", "/srv/more"]
network = true
[environment]
LANG = "C.UTF-8"
TOKEN = "a=b"
[deadlines]
load = "10s"
unload = "2m"
"#;
    let read = understood(text).expect("well formed");
    let limits = Limits {
        memory: 512 << 20,
        open_files: 100,
        processes: 20,
        cpu_percent: Some(150),
        run_time_ms: Some(90_000),
        runs: 4,
        log_lines: 10,
        output_bytes: 2048,
        event_types: 3,
    };
    let capabilities =
        Capabilities { read: vec!["/srv/in".into()], write: vec!["/srv/out".into(), "/srv/more".into()], network: true, processes: false };
    let environment = BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned()), ("TOKEN".to_owned(), "a=b".to_owned())]);
    let confinement = Confinement { limits, run_as: Some("acme".to_owned()), capabilities: Some(capabilities), environment };
    assert_eq!(read.confinement, confinement);
    assert_eq!((read.load_deadline, read.unload_wait), (Some(Duration::from_secs(10)), Some(Duration::from_secs(120))));
}

#[test]
fn silence_is_the_default() {
    let silent = understood("").expect("empty is fine");
    assert_eq!(silent, PluginSettings::default());
    assert_eq!((silent.placement, silent.confinement.capabilities), (Placement::Runner, None));
    assert_eq!(understood("[limits]\n[deadlines]\n").expect("empty tables are fine"), PluginSettings::default());
    let listed = understood("[capabilities]\n").expect("an empty list is a list").confinement.capabilities;
    assert_eq!(listed, Some(Capabilities::default()), "which denies all");
    let dir = tempfile::tempdir().expect("a directory");
    let absent = dir.path().join("libx.toml");
    assert_eq!(read(&absent, &absent).expect("absent is fine"), PluginSettings::default());
}

fn refused(text: &str, line: usize, words: &str) {
    let refusal = understood(text).expect_err(text);
    assert_eq!(refusal.code, "PLG038");
    assert!(refusal.message.contains(&format!("line {line}:")), "{text:?}: {}", refusal.message);
    assert!(refusal.message.contains(words), "{text:?}: {}", refusal.message);
}

#[test]
fn refusals_name_the_line() {
    for (text, line, words) in [
        ("log_level = \"info\"\nplacment = \"in-process\"\n", 2, "placment"),
        ("placement = \"moon\"\n", 1, "`moon` is no placement"),
        ("\n\nlog_level = \"loud\"\n", 3, "`loud` is no log level"),
        ("log_level = 3\n", 1, "expected a string"),
        ("\nrun_as = \"\"\n", 2, "not empty"),
        ("[settings]\nx = nan\n", 1, "no form in JSON"),
        ("[settings\n", 1, ""),
        ("[limits]\nmemry = 5\n", 2, "memry"),
        ("[limits]\nmemory = \"2GB\"\n", 2, "is no size"),
        ("[limits]\nmemory = -1\n", 2, "is no size"),
        ("[limits]\nmemory = \"99999999999GiB\"\n", 2, "is no size"),
        ("[limits]\nmemory = \"63MiB\"\n", 2, "66060288 bytes are out of bounds: expected 67108864"),
        ("[limits]\noutput = \"17MiB\"\n", 2, "out of bounds"),
        ("[limits]\nopen_files = 31\n", 2, "31 is out of bounds: expected 32 to 1048576"),
        ("[limits]\n\nprocesses = 7\n", 3, "expected 8"),
        ("[limits]\nruns = 257\n", 2, "expected 1 to 256"),
        ("[limits]\nruns = 0\n", 2, "expected 1 to 256"),
        ("[limits]\nlog_lines = 100001\n", 2, "expected 1 to 100000"),
        ("[limits]\nevent_types = -5\n", 2, "expected 1 to 4096"),
        ("[limits]\ncpu = \"0%\"\n", 2, "no share of a core"),
        ("[limits]\ncpu = \"50\"\n", 2, "no share of a core"),
        ("[limits]\nrun_time = \"soon\"\n", 2, "no duration"),
        ("[limits]\nrun_time = \"0s\"\n", 2, "`limits.run_time` is too short"),
        ("[deadlines]\nload = \"10\"\n", 2, "no duration"),
        ("[deadlines]\nreload = \"10s\"\n", 2, "reload"),
        ("[capabilities]\nread = [\n\"/a\",\n\"b\"]\n", 4, "`b` is no absolute path"),
        ("[capabilities]\nexec = true\n", 2, "exec"),
        ("[environment]\nA = \"x\"\nB = 5\n", 3, "expected a string"),
        ("[environment]\n\"A=B\" = \"x\"\n", 2, "has no `=`"),
    ] {
        refused(text, line, words);
    }
}

#[test]
fn no_time_is_longer_than_a_clock_can_add() {
    for (table, key) in [("limits", "run_time"), ("deadlines", "load"), ("deadlines", "unload")] {
        let text = |time: &str| format!("[{table}]\n{key} = \"{time}\"\n");
        for time in ["366d", "365d 1s", "9000000000000y", "18446744073709551615s"] {
            let refusal = understood(&text(time)).expect_err(time);
            assert_eq!(refusal.code, "PLG038");
            assert!(refusal.message.contains("line 2:") && refusal.message.contains(&format!("`{table}.{key}` is ")), "{refusal}");
            assert!(refusal.found.is_some_and(|f| f.contains(time)) && refusal.expected.is_some_and(|e| e.contains("to 365d")));
        }
        understood(&text("365d")).expect("a year is fine");
    }
}

#[test]
fn what_cannot_bind_threads_is_refused_in_process() {
    for (text, line, key) in [
        ("run_as = \"acme\"\n", 2, "`run_as`"),
        ("[limits]\nmemory = \"1GiB\"\n", 3, "`limits.memory`"),
        ("[limits]\nopen_files = 64\n", 3, "`limits.open_files`"),
        ("[limits]\nruns = 3\nprocesses = 64\n", 4, "`limits.processes`"),
        ("[limits]\ncpu = \"50%\"\n", 3, "`limits.cpu`"),
        ("[capabilities]\nnetwork = true\n", 2, "`capabilities`"),
        ("[environment]\nA = \"x\"\n", 2, "`environment`"),
    ] {
        refused(&format!("placement = \"in-process\"\n{text}"), line, key);
        understood(text).expect("fine in a runner");
    }
    let kept = "placement = \"in-process\"\n[limits]\nruns = 2\nrun_time = \"3s\"\nlog_lines = 5\noutput = \"1KiB\"\nevent_types = 1\n";
    assert_eq!(understood(kept).expect("the host counts these itself").confinement.limits.runs, 2);
}

#[test]
fn a_file_that_never_ends_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("libx.toml");
    std::fs::write(&path, "#".repeat(300 * 1024)).expect("written");
    assert!(read(&path, &path).expect_err("too large").message.contains("too large"));
}

#[test]
fn the_placement_is_written_and_nothing_else_changes() {
    let text = "# mine\nlog_level = \"warn\" # loud\nplacement = 'runner'   # for now\n\n# theirs\n[settings]\na = 1\n";
    let written = with_placement(text, Placement::InProcess).expect("written");
    assert_eq!(written, text.replace("'runner'", "\"in-process\""));
    assert_eq!(with_placement("", Placement::InProcess).expect("written"), "placement = \"in-process\"\n");
    let tables = "# theirs\n[settings]\na = 1 # one\n";
    assert_eq!(with_placement(tables, Placement::Runner).expect("written"), format!("placement = \"runner\"\n{tables}"));
    let other = with_placement("placement = \"moon\"\n", Placement::Runner).expect("a wrong one is what is put right");
    assert_eq!(other, "placement = \"runner\"\n");
}

#[test]
fn a_placement_that_does_not_go_with_the_rest_is_refused() {
    let refusal = with_placement("run_as = \"acme\"\n", Placement::InProcess).expect_err("it would bind nothing");
    assert_eq!(refusal.code, "PLG038");
    assert!(refusal.message.contains("`run_as` cannot be kept"), "{}", refusal.message);
    assert!(with_placement("a = [\n", Placement::Runner).expect_err("no TOML").message.contains("the settings file, line"));
}
