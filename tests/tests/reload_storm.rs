//! Many reloads: of a plugin that uses what ordinary plugins use, in each placement; by two operators at once; and back to an earlier build.
//!
//! Not reload under load (`hot_reload`), nor the plugin that panics in each cycle (`reload_cycles`). What must hold: the host returns to what it was, no process
//! is left, and every request is answered.

use serde_json::{Value, json};
use sexton_tests::{Build, Held, HostProcess, Placement, SOON, Site, Way, children, count, in_millis, runner_is_there, until};
use std::time::{Duration, Instant};

const WARM_UP: usize = 50;

#[test]
fn cycles_of_an_ordinary_plugin_alone() {
    for placement in Placement::ALL {
        cycles(placement, count(1_100, 10_000));
    }
}

fn cycles(placement: Placement, cycles: usize) {
    let site = Site::with(placement, &["fx_cycles"]);
    let mut host = HostProcess::start_with(&site, |command| {
        // The costly way to panic.
        command.env("RUST_BACKTRACE", "1");
    });
    site.until_serving("fx-cycles", &Build::of("fx_cycles"));
    let mut warm = None;
    let mut times = Vec::with_capacity(cycles);
    for cycle in 0..cycles {
        let id = site.schedule(&json!({"event_type": "fx.cycle", "schedule": {"once": in_millis(0)}}));
        let run = site.run_of(&id);
        assert_eq!(
            (&run["outcome"], &run["output"]["tokio"], &run["output"]["caught"]),
            (&json!("succeeded"), &json!(42), &json!(true)),
            "{run}"
        );
        assert_eq!(run["placement"], placement.name(), "{run}");
        let began = Instant::now();
        let said = site.sexton(&["plugin", "reload", "fx-cycles", "--output", "json"]).fine();
        times.push(began.elapsed());
        assert_eq!(said.json()["state"], "active", "{said}");
        if cycle + 1 == WARM_UP {
            warm = Some(at_rest(&site, &host, placement));
        }
    }
    assert!(host.alive());
    let warm = warm.expect("more cycles than the warm-up");
    at_rest(&site, &host, placement);
    Held::until_returned(&host, &warm);
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
    println!("{}: {cycles} reloads, p50 {} ms, p99 {} ms, max {} ms", placement.name(), at(50), at(99), at(100));
    let zombies = children(host.pid()).iter().filter(|child| !child.lives()).count();
    assert_eq!(zombies, 0, "children that nobody waited for");
    let copies = std::fs::read_dir(site.state().join("generations")).map_or(0, Iterator::count);
    assert!(copies < 64, "{copies} private copies are kept");
    assert!(host.stop().success());
}

/// What is held once every generation but the serving one is gone.
fn at_rest(site: &Site, host: &HostProcess, placement: Placement) -> Held {
    let images = if placement == Placement::InProcess { 1 } else { 0 };
    until("retired generations are gone", SOON, || {
        let now = Held::at_rest(host);
        let mapped = now.images.iter().filter(|file| file.contains("/generations/")).count();
        let idle = site.plugin("fx-cycles").is_some_and(|plugin| plugin["in_flight"] == 0);
        // Of runners, the one that serves.
        let processes = now.children.len() == usize::from(placement == Placement::Runner);
        (mapped == images && processes && idle).then_some(now)
    })
}

#[test]
fn two_operators_who_reload_at_once_are_both_answered() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let host = HostProcess::start(&site);
        site.until_serving("fx-witness", &Build::of("fx_witness"));
        let rounds = 10;
        let mut generations: Vec<u64> = Vec::new();
        for _ in 0..rounds {
            let reload = || site.sexton(&["plugin", "reload", "fx-witness", "--output", "json"]);
            let answers = std::thread::scope(|scope| {
                let other = scope.spawn(reload);
                [reload(), other.join().expect("it only asks")]
            });
            for said in answers {
                // Served in turn, or told that another is at it: never a hang, never half of one.
                match said.code {
                    Some(0) => generations.push(said.json()["generation"].as_u64().expect("a generation is a number")),
                    Some(4) => assert!(said.stderr.contains("PLG"), "{said}"),
                    _ => panic!("{said}"),
                }
            }
        }
        generations.sort_unstable();
        let all = generations.len();
        generations.dedup();
        assert_eq!(generations.len(), all, "two requests were answered with one generation");
        assert!(all >= rounds, "{all} of {} requests were served", 2 * rounds);
        println!("{}: {all} of {} reloads by two operators at once were served, the others told so", placement.name(), 2 * rounds);
        let now = site.plugin("fx-witness").expect("it serves");
        assert_eq!((&now["state"], now["generation"].as_u64()), (&json!("active"), generations.last().copied()), "{now}");
        assert!(host.stop().success());
    }
}

#[test]
fn a_storm_of_changes_ends_with_the_last_content_alone() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let host = HostProcess::start(&site);
        let good = Build::of("fx_witness");
        site.until_serving("fx-witness", &good);
        let first = site.plugin("fx-witness").expect("it serves")["generation"].as_u64().expect("a number");
        let changes = count(100, 1_000);
        let began = Instant::now();
        for n in 0..changes {
            site.plugins.put("fx_witness", &good.answering(&format!("storm-{n}")), Way::ALL[n % 3]);
        }
        let last = good.answering("last");
        site.plugins.put("fx_witness", &last, Way::Copy);
        let wrote = began.elapsed();
        let plugin = site.until_serving("fx-witness", &last);
        let generations = plugin["generation"].as_u64().expect("a number") - first;
        println!("{}: {changes} changes in {} ms made {generations} generations", placement.name(), wrote.as_millis());
        assert!(generations <= changes as u64, "more generations than changes");
        let draining = |plugin: &Value| plugin["draining"].as_array().is_some_and(|list| !list.is_empty());
        until("the others are gone", SOON, || site.plugin("fx-witness").filter(|plugin| !draining(plugin)));
        assert!(host.stop().success());
    }
}

#[test]
fn a_build_that_was_rolled_back_to_serves_after_a_restart() {
    if !runner_is_there() {
        return;
    }
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let host = HostProcess::start(&site);
        let (old, new) = (Build::of("fx_witness"), Build::of("fx_witness").answering("new"));
        site.until_serving("fx-witness", &old);
        site.plugins.put("fx_witness", &new, Way::Move);
        site.until_serving("fx-witness", &new);
        let began = Instant::now();
        site.sexton(&["plugin", "rollback", "fx-witness"]).fine();
        site.until_serving("fx-witness", &old);
        println!("{}: rolled back in {} ms", placement.name(), began.elapsed().as_millis());
        assert!(host.stop().success());

        let host = HostProcess::start(&site);
        site.until_serving("fx-witness", &old);
        // The directory shows what was rolled back from, and stays as it is: only a change ends the decision.
        let id = site.schedule(
            &json!({"event_type": "fx.witness", "schedule": {"once": in_millis(0)}, "args": {"witness": site.witness("back").path()}}),
        );
        assert_eq!(site.run_of(&id)["digest"], old.digest.as_str());
        let newest = old.answering("newest");
        site.plugins.put("fx_witness", &newest, Way::Move);
        site.until_serving("fx-witness", &newest);
        assert!(host.startup < Duration::from_secs(30));
        assert!(host.stop().success());
    }
}
