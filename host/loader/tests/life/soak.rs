//! Many generations one after the other: nothing stays.
//!
//! `SEXTON_SOAK_CYCLES` sets how many (default 1,100: past the point where a process without key reclamation aborts).

use crate::bench::{Ground, Life, fixture, mappings_of, next_generation, none};
use sexton_loader::seam::{Memory, Order};
use sexton_plugin_api::wire::JobEnd;

/// Set in the process that is counted.
const CHILD: &str = "SEXTON_SOAK_CHILD";
const WARM_UP: u64 = 100;
const RSS_GROWTH_MAX_KB: u64 = 16 << 10;

struct Census {
    threads: usize,
    fds: usize,
    maps: usize,
    rss_kb: u64,
}

fn census() -> Census {
    let count = |path: &str| std::fs::read_dir(path).expect(path).count();
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).and_then(|l| l.trim().split(' ').next()).expect("VmRSS");
    Census {
        threads: count("/proc/self/task"),
        fds: count("/proc/self/fd"),
        maps: std::fs::read_to_string("/proc/self/maps").expect("maps").lines().count(),
        rss_kb: rss.parse().expect("a number"),
    }
}

/// A copy of its own for each; inspected anew now and then, since the digest of a debug build takes longer than all the rest.
fn reloaded(ground: &Ground, cycle: u64) -> Life {
    if cycle.is_multiple_of(50) {
        return Life::active(ground, none());
    }
    let generation = next_generation();
    let image = ground.generations().join(format!("fx-jobs.{generation}.so"));
    std::fs::copy(fixture("fx_jobs"), &image).expect("copied");
    let mut life = Life::of_copy(image, generation, 4);
    life.load(none()).expect("loads");
    life.order(Order::Activate);
    life
}

#[test]
fn reload_cycles_leave_nothing() {
    let cycles: u64 = std::env::var("SEXTON_SOAK_CYCLES").map_or(1100, |n| n.parse().expect("a number"));
    if std::env::var_os(CHILD).is_none() {
        // A process of its own, since everything in it is counted; the variable is read at an image's first panic.
        let again = std::process::Command::new(std::env::current_exe().expect("a test binary"))
            .args(["--exact", "soak::reload_cycles_leave_nothing", "--nocapture"])
            .env("RUST_BACKTRACE", "1")
            .env(CHILD, "1")
            .status()
            .expect("started");
        assert!(again.success(), "{again}");
        return;
    }
    assert!(sexton_loader::keys_are_watched());
    let ground = Ground::new();
    let mut warm = None;
    for cycle in 0..cycles + WARM_UP {
        if cycle == WARM_UP {
            warm = Some(census());
        }
        let mut life = reloaded(&ground, cycle);
        for run in 1..=2 {
            life.run(run, "fx.soak", &none());
        }
        for run in 1..=2 {
            assert_eq!(life.done(run).reply.end, JobEnd::Succeeded);
        }
        let image = life.image.clone();
        let farewell = life.end();
        assert_eq!((farewell.memory, farewell.unload), (Memory::Unmapped, None), "cycle {cycle}");
        assert_eq!(mappings_of(&image), 0);
        std::fs::remove_file(image).expect("removed");
    }
    let warm = warm.expect("warmed up");
    // The last desk may still be on its way out.
    let end = std::time::Instant::now() + crate::bench::PATIENCE;
    while census().threads > warm.threads && std::time::Instant::now() < end {
        std::thread::yield_now();
    }
    let now = census();
    println!("after {cycles} cycles: RSS {} -> {} kB, maps {} -> {}", warm.rss_kb, now.rss_kb, warm.maps, now.maps);
    assert!(now.threads <= warm.threads, "threads {} -> {}", warm.threads, now.threads);
    assert_eq!(now.fds, warm.fds, "open files");
    assert!(now.maps <= warm.maps + 16, "maps {} -> {}", warm.maps, now.maps);
    assert!(now.rss_kb <= warm.rss_kb + RSS_GROWTH_MAX_KB, "RSS {} -> {} kB", warm.rss_kb, now.rss_kb);
}
