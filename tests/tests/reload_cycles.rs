//! In-process reload cycles of a plugin that does everything which has kept a library mapped or killed a host: more cycles than there are pthread keys.
//!
//! Not reload under load. What must hold: no abort, nothing left mapped, and file descriptors, threads, maps and memory as after warm-up.

use serde_json::json;
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, count, in_millis, until};

/// What pools may grow by after the warm-up.
const POOLS: usize = 8;
const WARM_UP: usize = 50;
const MIB: u64 = 1024 * 1024;

/// What the process holds.
#[derive(Debug)]
struct Held {
    fds: usize,
    threads: usize,
    maps: usize,
    images: usize,
    resident: u64,
}

fn held(host: &HostProcess) -> Held {
    let maps = host.maps();
    let images: std::collections::BTreeSet<&str> =
        maps.iter().filter_map(|line| line.split_whitespace().nth(5)).filter(|path| path.contains("/generations/")).collect();
    Held { fds: host.entries("fd"), threads: host.entries("task"), maps: maps.len(), images: images.len(), resident: host.resident_bytes() }
}

#[test]
fn more_cycles_than_pthread_keys_alone() {
    let site = Site::with(Placement::InProcess, &["fx_tls"]);
    let mut host = HostProcess::start_with(&site, |command| {
        command.env("RUST_BACKTRACE", "1");
    });
    let build = Build::of("fx_tls");
    site.until_serving("fx-tls", &build);
    let cycles = count(1_100, 10_000);
    let mut warm = None;
    for cycle in 0..cycles {
        let id = site.schedule(&json!({"event_type": "fx.touch", "schedule": {"once": in_millis(0)}, "retry": {"attempts": 1}}));
        let run = site.run_of(&id);
        assert_eq!(run["outcome"], "failed", "{run}");
        assert!(run["error"].as_str().is_some_and(|error| error.contains("once a cycle")), "{run}");
        let said = site.sexton(&["plugin", "reload", "fx-tls", "--output", "json"]).fine();
        assert_eq!(said.json()["generation"].as_u64(), Some(cycle as u64 + 2), "{said}");
        if cycle + 1 == WARM_UP {
            warm = Some(at_rest(&site, &host));
        }
    }
    assert!(host.alive());
    let (warm, end) = (warm.expect("more cycles than the warm-up"), at_rest(&site, &host));
    println!("{cycles} cycles: {warm:?} after {WARM_UP}, {end:?} at the end");
    assert_eq!((end.images, warm.images), (1, 1), "generations are left mapped");
    // Readers of the store and threads for requests come as they are needed, up to a handful. What leaks does so in each of a thousand cycles.
    assert!(end.fds <= warm.fds + POOLS, "file descriptors: {warm:?}, then {end:?}");
    assert!(end.threads <= warm.threads + POOLS, "threads: {warm:?}, then {end:?}");
    assert!(end.maps <= warm.maps + 32, "maps: {warm:?}, then {end:?}");
    assert!(end.resident <= warm.resident + 16 * MIB, "memory: {warm:?}, then {end:?}");
    let copies = std::fs::read_dir(site.state().join("generations")).map_or(0, Iterator::count);
    assert!(copies < 64, "{copies} private copies are kept");
    assert!(host.stop().success());
}

/// What is held once every generation but the serving one is gone.
fn at_rest(site: &Site, host: &HostProcess) -> Held {
    until("retired generations are unmapped", SOON, || {
        let now = held(host);
        (now.images == 1 && site.plugin("fx-tls").is_some_and(|plugin| plugin["in_flight"] == 0)).then_some(now)
    })
}
