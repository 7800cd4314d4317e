//! One run as an operator follows it: on a terminal, without one, over its attempts, to its end.
//!
//! Not the stream (`live`). What must hold: each line of the log is there once, the exit code is the outcome's, and nothing is drawn where there
//! is no terminal.

use rustix::fs::Mode;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Said, Site, in_millis, until};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

/// Lets so many steps begin.
fn let_go(gate: &Path, steps: usize) {
    fs::write(gate, "x".repeat(steps)).expect("the site can be written");
}

fn live(site: &Site, args: &Value) -> String {
    let event =
        json!({"event_type": "fx.live", "schedule": {"once": in_millis(0)}, "args": args, "retry": {"attempts": 2, "first_delay_ms": 1}});
    format!("{}.1", site.schedule(&event))
}

/// A command, its standard error in a file that can be looked at.
fn start(site: &Site, arguments: &[&str]) -> (Child, PathBuf) {
    let said = site.path().join(format!("stderr-{}", arguments.join("-").replace('/', "_")));
    let mut command = site.command(arguments);
    command.stdout(Stdio::piped()).stderr(File::create(&said).expect("the site can be written"));
    (command.spawn().expect("the binary is built"), said)
}

fn end(child: Child, said: &Path) -> Said {
    let Output { status, stdout, .. } = child.wait_with_output().expect("a child can be waited for");
    Said::new("watch".to_owned(), &Output { status, stdout, stderr: fs::read(said).expect("it is there") })
}

fn saying(said: &Path, text: &str) {
    until(&format!("it says `{text}`"), SOON, || fs::read_to_string(said).expect("text").contains(text).then_some(()));
}

/// The steps that its log names, in order.
fn steps(stdout: &str) -> Vec<u32> {
    let number = |line: &str| line.split("step ").nth(1)?.split(' ').next()?.parse().ok();
    stdout.lines().filter_map(number).collect()
}

#[test]
fn without_a_terminal_there_are_plain_lines() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_live"]);
        let _host = HostProcess::start(&site);
        let gate = site.path().join("gate");
        let occurrence = live(&site, &json!({"steps": 3, "total": 3, "note": "copying", "gate": gate, "line": 10}));
        let (child, said) = start(&site, &["run", "watch", &occurrence]);
        saying(&said, "attempt 1 is under way");
        let_go(&gate, 1);
        saying(&said, "attempt 1: 1 of 3 (33 %), copying");
        let running = site.sexton(&["run", "list", "--running"]).fine().saying("1 of 3 (33 %), copying").saying(&occurrence);
        assert!(running.stdout.lines().count() == 2 && running.stdout.contains("running"), "{running}");
        let rows = site.sexton(&["run", "list", "--running", "--type", "fx.live", "--output", "ndjson"]).fine().ndjson();
        assert_eq!((&rows[0]["occurrence"], &rows[0]["progress"]), (&json!(occurrence), &json!([1, 3, "copying"])));
        site.sexton(&["run", "list", "--running", "--type", "sexton.noop"]).fine().saying("nothing is running");
        let_go(&gate, 3);
        let whole = end(child, &said).fine().saying("attempt 1 succeeded after ");
        assert_eq!(steps(&whole.stdout), [1, 2, 3]);
        assert!(!whole.stderr.contains(['\u{1b}', '\r']) && !whole.stdout.contains(['\u{1b}', '\r']), "{whole}");
        // What is over already is told once more, without its log.
        let again = site.sexton(&["run", "watch", &occurrence]).fine().saying("attempt 1 succeeded");
        assert_eq!(again.stdout.lines().count(), 1, "{again}");
    }
}

#[test]
fn it_goes_on_over_the_attempts_and_ends_as_the_last_one_did() {
    let site = Site::with(Placement::Runner, &["fx_live"]);
    let _host = HostProcess::start(&site);
    let watched = |args: &Value, flags: &[&str]| {
        let (args, retry) = (args.to_string(), r#"{"attempts": 2, "first_delay_ms": 1}"#);
        let arguments = ["event", "schedule", "fx.live", "--in", "0s", "--args", &args, "--retry", retry, "--watch"];
        site.sexton(&[&arguments, flags].concat())
    };
    let said = watched(&json!({"steps": 1, "line": 5, "fail": 7, "until_attempt": 1}), &[]).fine();
    assert!(said.stdout.contains("attempt 1 failed after") && said.stdout.contains(": eeeeeee\n"), "{said}");
    assert!(said.stdout.trim_end().lines().last().is_some_and(|l| l.starts_with("attempt 2 succeeded")), "{said}");
    assert_eq!(steps(&said.stdout), [1, 1], "each attempt has its log");

    let said = watched(&json!({"steps": 1, "fail": 7}), &[]).exits(1).saying("attempt 2 failed");
    assert!(said.stdout.trim_end().ends_with("dead letter: attempt 2 of 2 failed"), "{said}");

    let lines =
        watched(&json!({"steps": 2, "total": 2, "line": 5, "fail": 7, "until_attempt": 1}), &["--output", "ndjson"]).fine().ndjson();
    let of = |what: &str| lines.iter().filter(|line| line["what"] == what).collect::<Vec<_>>();
    let ends: Vec<&Value> = of("ended").into_iter().map(|line| &line["outcome"]).collect();
    assert_eq!((ends, of("log").len()), (vec![&json!("failed"), &json!("succeeded")], 4), "{lines:?}");
    let card = watched(&json!({"steps": 1}), &["--output", "json"]).fine().json();
    assert_eq!(card["runs"][0]["outcome"], "succeeded");
}

#[test]
fn one_attempt_an_event_run_now_and_what_never_runs() {
    let site = Site::with(Placement::Runner, &["fx_live"]);
    let host = HostProcess::start(&site);
    let gate = site.path().join("gate");
    let occurrence = live(&site, &json!({"steps": 1, "gate": gate, "fail": 3, "until_attempt": 1}));
    let (child, said) = start(&site, &["run", "watch", &occurrence, "--once"]);
    saying(&said, "attempt 1 is under way");
    let_go(&gate, 1);
    end(child, &said).exits(1).saying("attempt 1 failed");

    let manual = site.schedule(&json!({"event_type": "fx.live", "schedule": {"manual": true}, "args": {"steps": 1, "line": 3}}));
    for n in 1..=2 {
        let said = site.sexton(&["event", "run-now", &manual, "--watch"]).fine().saying("attempt 1 succeeded");
        assert_eq!((steps(&said.stdout), site.runs(&["--event", &manual]).len()), (vec![1], n));
    }
    site.sexton(&["event", "run-now", &manual, &manual, "--watch"]).refused("INP016").exits(2);
    site.sexton(&["run", "watch", &format!("{manual}.77")]).refused("INP012").exits(2);

    let later = site.schedule(&json!({"event_type": "fx.live", "schedule": {"once": in_millis(3_600_000)}, "args": {"steps": 1}}));
    let (child, said) = start(&site, &["run", "watch", &format!("{later}.1")]);
    saying(&said, "attempt 1 is due 2");
    site.sexton(&["event", "cancel", &later]).fine();
    end(child, &said).exits(1).saying("will not run");

    let held = live(&site, &json!({"steps": 1, "gate": site.path().join("never")}));
    let (child, said) = start(&site, &["run", "watch", &held]);
    saying(&said, "attempt 1 is under way");
    host.kill();
    end(child, &said).exits(3).saying("HST004");
}

/// What a terminal of so many columns is sent by a command, and how the command ends. `seen` gets all that was sent so far, again and again.
fn on_a_terminal(site: &Site, columns: u16, arguments: &[&str], seen: impl Fn(&str)) -> (String, Option<i32>) {
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal can be had");
    grantpt(&main).and_then(|()| unlockpt(&main)).expect("it is ours");
    let name = ptsname(&main, Vec::new()).expect("it has a name");
    let open = || {
        File::from(
            rustix::fs::open(name.as_c_str(), rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY, Mode::empty()).expect("it is there"),
        )
    };
    tcsetwinsize(&main, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("it has a size");
    let mut command = site.command(arguments);
    command.stdin(Stdio::null()).stdout(open()).stderr(open()).env("TERM", "xterm");
    let mut child = command.spawn().expect("the binary is built");
    // Or the terminal would stay open.
    drop(command);
    let mut sent = Vec::new();
    let mut main = File::from(main);
    let mut piece = [0; 4_096];
    // Its other end is gone: an error on this system.
    while let Ok(read @ 1..) = main.read(&mut piece) {
        sent.extend_from_slice(&piece[..read]);
        seen(&String::from_utf8_lossy(&sent));
    }
    (String::from_utf8_lossy(&sent).into_owned(), child.wait().expect("a child can be waited for").code())
}

#[test]
fn on_a_terminal_a_bar_is_drawn_and_fits() {
    let site = Site::with(Placement::Runner, &["fx_live"]);
    let _host = HostProcess::start(&site);
    for (columns, drawn) in [(80, "] "), (40, "] "), (20, "attempt 1")] {
        let gate = site.path().join(format!("gate-{columns}"));
        let occurrence =
            live(&site, &json!({"steps": 4, "total": 4, "note": "a note that is longer than there is room for", "gate": gate, "line": 5}));
        let_go(&gate, 1);
        // A step begins when the one before it is on the screen.
        let (sent, code) = on_a_terminal(&site, columns, &["run", "watch", &occurrence], |sent| {
            let shown = (1..4).filter(|step| sent.contains(&format!("{step}/4"))).count();
            let_go(&gate, shown + 1);
        });
        assert_eq!(code, Some(0), "{sent:?}");
        assert!(sent.contains(drawn) && sent.contains("attempt 1") && sent.contains("attempt 1 succeeded"), "{columns}: {sent:?}");
        assert_eq!(steps(&sent), [1, 2, 3, 4]);
        assert!(!sent.contains("\u{1b}[3") && !sent.contains("\u{1b}[1m"), "NO_COLOR is honoured: {sent:?}");
        // What is drawn anew stands between the erasing of a line and the return to its beginning.
        let bars = sent
            .split("\u{1b}[2K")
            .filter_map(|rest| rest.split(['\r', '\n']).next())
            .filter(|bar| bar.starts_with("attempt 1") && !bar.contains("succeeded"));
        let widths: Vec<usize> = bars.map(|bar| bar.trim_end().chars().count()).collect();
        assert!(!widths.is_empty() && widths.iter().all(|width| *width < usize::from(columns)), "{columns}: {widths:?}");
    }
}
