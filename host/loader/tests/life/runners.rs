//! What only a process of its own can do: die in every way, be killed, take its children along.

use crate::bench::{Ground, Life, PATIENCE, none, output};
use serde_json::json;
use sexton_loader::seam::{Death, DeathKind, Killing, Memory, Order, Placement, Report};
use sexton_plugin_api::wire::JobEnd;
use std::time::{Duration, Instant};

fn active() -> Life {
    let life = Life::active(&Ground::of(Placement::Runner), none());
    assert!(life.mapped() > 0 && crate::bench::mappings_of(&life.image) == 0, "the image is in the runner and not here");
    life
}

/// Starts a run that dies so, beside one that sleeps; how the process ended.
fn death(how: &str) -> Death {
    let mut life = active();
    life.run(1, "fx.sleep", &none());
    life.started(1);
    life.run(2, "fx.die", &json!(how));
    life.started(2);
    let began = Instant::now();
    let farewell = life.gone();
    println!("{how}: from `Started` to `Gone` {} us", began.elapsed().as_micros());
    assert_eq!(farewell.memory, Memory::Unmapped);
    farewell.death.expect("it died")
}

#[test]
fn each_death_is_named_and_its_run_is_known() {
    let cases = [
        ("null", DeathKind::Signal, "signal 11 (SIGSEGV): access to 0x0", Some(2)),
        ("abort", DeathKind::Signal, "signal 6 (SIGABRT)", Some(2)),
        ("double-free", DeathKind::Signal, "double free", Some(2)),
        ("overflow", DeathKind::StackOverflow, "stack overflow", Some(2)),
        ("overflow-own-thread", DeathKind::StackOverflow, "stack overflow", None),
        ("exit", DeathKind::Exit, "exit code 3: the process called `exit`", Some(2)),
        ("kill", DeathKind::Signal, "signal 9 (SIGKILL)", None),
        ("stop", DeathKind::Signal, "signal 19 (SIGSTOP)", None),
        ("nonsense", DeathKind::Protocol, "protocol error", None),
    ];
    for (how, kind, words, run) in cases {
        let death = death(how);
        assert!(death.kind == kind && death.cause.contains(words) && death.run == run, "{how}: {death:?}");
        assert!(death.kind.blames_the_plugin());
    }
}

#[test]
fn what_a_runner_may_not_say_ends_it_by_name() {
    let cases = [
        ("calls", "more than 1024 calls that wait for their answers"),
        ("loaded", "the answer of `load` a second time"),
        ("quiescent", "the end of all runs a second time"),
        ("other-run", "a refusal of run 4711, which it was not asked for"),
        ("hang-up", "it closed its connection and went on"),
    ];
    for (how, words) in cases {
        let death = death(how);
        assert_eq!((death.kind, death.cause), (DeathKind::Protocol, format!("protocol error: {words}")), "{how}");
    }
}

#[test]
fn a_process_that_writes_on_for_ever_holds_up_no_end() {
    let began = Instant::now();
    let death = death("flood-on");
    // What the socket held is read in a fraction of a second; to read on until nothing came took 6 s, and could take for ever.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(death.kind == DeathKind::Signal && death.cause.contains("signal 9"), "{death:?}");
}

#[test]
fn a_run_that_does_not_listen_is_killed() {
    let mut life = active();
    life.run(1, "fx.die", &json!("loop"));
    life.started(1);
    life.order(Order::Cancel { run: 1 });
    life.order(Order::Kill(Killing { kind: DeathKind::Deadline, why: "run 1 took too long".into(), run: Some(1) }));
    let death = life.gone().death.expect("it was killed");
    assert_eq!(death, Death { kind: DeathKind::Deadline, cause: "run 1 took too long".into(), run: Some(1) });
}

#[test]
fn nothing_of_a_runner_outlives_it() {
    for how in ["unload", "kill", "null", "hang-up", "nonsense"] {
        let mut life = active();
        life.run(1, "fx.children", &none());
        let children: Vec<i32> = serde_json::from_value(output(&life.done(1))).expect("numbers");
        let pid = life.usage.as_ref().expect("a runner").figures().expect("it lives").pid;
        assert!(children.len() == 2 && children.iter().chain([&pid]).all(|pid| lives(*pid)), "{children:?}");
        match how {
            "unload" => {
                life.order(Order::Drain);
                life.order(Order::Unload);
            }
            "kill" => life.order(Order::Kill(Killing { kind: DeathKind::Killed, why: "wanted".into(), run: None })),
            _ => life.run(2, "fx.die", &json!(how)),
        }
        let farewell = life.gone();
        assert_eq!(farewell.death.is_none(), how == "unload", "{farewell:?}");
        assert!(!children.iter().chain([&pid]).any(|pid| lives(*pid)), "{how}: something is left of {children:?} and {pid}");
    }
}

#[test]
fn output_comes_as_lines_and_the_environment_is_made_from_nothing() {
    let mut life = active();
    let pid = life.usage.as_ref().expect("a runner").figures().expect("it lives").pid;
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("read");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("PATH=") && !environment.contains("CARGO"), "{environment:?}");
    let open: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("read")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(open.len() <= 6, "standard streams, the socket twice, the library's file: {open:?}");
    life.run(1, "fx.print", &none());
    life.done(1);
    for (stream, text) in [("stdout", "said on the output"), ("stderr", "said on the error stream")] {
        life.next(text, |r| if let Report::Log(line) = r { (line.target == stream && line.message == text).then_some(()) } else { None });
    }
    assert_eq!(life.end().death, None);
}

#[test]
fn a_hundred_runs_in_flight_come_back_and_in_few_frames() {
    let life = active();
    let began = Instant::now();
    let runs = 2_000_u64;
    life.order(Order::Run((1..=runs).map(|run| crate::bench::order(run, "fx.ok", &none())).collect()));
    let mut ended = 0;
    while ended < runs {
        let stamped = life.reports.recv_timeout(PATIENCE).expect("ends");
        if let Report::Done(list) = stamped.report {
            assert!(list.iter().all(|e| e.reply.end == JobEnd::Succeeded));
            ended += list.len() as u64;
        }
    }
    println!("{runs} runs in {} us: {:.1} us each", began.elapsed().as_micros(), began.elapsed().as_secs_f64() * 1e6 / 2e3);
    assert_eq!(life.end().death, None);
}

#[test]
fn reload_cycles_in_runners_leave_nothing() {
    let cycles: u64 = std::env::var("SEXTON_SOAK_CYCLES").map_or(200, |n| n.parse().expect("a number"));
    let mut before = None;
    for cycle in 0..cycles + 20 {
        let mut life = active();
        life.run(1, "fx.soak", &none());
        assert_eq!(life.done(1).reply.end, JobEnd::Succeeded);
        assert_eq!(life.end().death, None);
        if cycle == 20 {
            before = Some(open_here());
        }
    }
    let before = before.expect("warmed up");
    let end = Instant::now() + PATIENCE;
    // The one before may still have been on its way out when the first count was made, as the last may be now.
    let returned = |now: &(usize, usize, Option<String>)| now.0 <= before.0 && now.1 <= before.1 && now.2 == before.2;
    while !returned(&open_here()) && Instant::now() < end {
        std::thread::yield_now();
    }
    let now = open_here();
    assert!(returned(&now), "descriptors, threads and children of the host's process: {now:?} instead of {before:?}");
}

fn open_here() -> (usize, usize, Option<String>) {
    let count = |path: &str| std::fs::read_dir(path).expect(path).count();
    (count("/proc/self/fd"), count("/proc/self/task"), std::fs::read_to_string("/proc/thread-self/children").ok())
}

fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_program_that_is_no_runner_is_a_rejection() {
    let spawner = sexton_loader::runner::Spawner::of(std::path::Path::new("/bin/true")).expect("a program");
    let (sender, reports) = std::sync::mpsc::channel();
    let start = sexton_loader::runner::Start {
        plugin: "p".into(),
        generation: 1,
        image: "/nowhere.so".into(),
        threads: 1,
        confinement: sexton_loader::confine::Confinement::default(),
        group: None,
    };
    let opened = sexton_loader::runner::open(&spawner, start, sender);
    let farewell = loop {
        let stamped = reports.recv_timeout(PATIENCE).expect("an end");
        if let Report::Gone(farewell) = stamped.report {
            break farewell;
        }
    };
    assert_eq!(farewell.death.expect("not asked for").kind, DeathKind::Exit);
    assert!(opened.usage.figures().is_none());
}
