//! What a plugin keeps: its state over reloads and restarts, and the hand-over of what it had in memory.
//!
//! Not the limits of the state (the store's). What must hold: what successive builds counted in memory adds up to the runs that succeeded, to the one; an
//! operator sees it, and removes it.

use serde_json::{Value, json};
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, in_millis, until};

const BATCHES: usize = 8;
const PER_BATCH: usize = 50;

fn kept(site: &Site) -> Value {
    site.sexton(&["plugin", "state", "fx-counter", "count", "--output", "json"]).json()["value"].clone()
}

#[test]
fn what_builds_counted_in_memory_adds_up() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_counter"]);
        let host = HostProcess::start(&site);
        site.until_serving("fx-counter", &Build::of("fx_counter"));
        for batch in 0..BATCHES {
            let wish = |n: usize| json!({"event_type": "fx.count", "schedule": {"once": in_millis(i64::try_from(n).expect("small") * 4)}});
            assert_eq!(site.schedule_all(&(0..PER_BATCH).map(wish).collect::<Vec<_>>()).len(), PER_BATCH);
            // Amid the runs.
            until("some have run", SOON, || (site.runs(&[]).len() > batch * PER_BATCH + PER_BATCH / 4).then_some(()));
            site.sexton(&["plugin", "reload", "fx-counter"]).fine();
        }
        let scheduled = BATCHES * PER_BATCH;
        until("all have run", SOON, || (site.runs(&["--outcome", "succeeded"]).len() == scheduled).then_some(()));
        site.sexton(&["plugin", "unload", "fx-counter"]).fine();
        until("the last build has handed over", SOON, || (kept(&site) == json!(scheduled)).then_some(()));
        println!("{}: {scheduled} counted in memory over {} builds, all of them kept", placement.name(), BATCHES + 1);

        let keys = site.sexton(&["plugin", "state", "fx-counter", "--output", "json"]).json();
        assert_eq!((&keys[0]["key"], keys.as_array().map(Vec::len)), (&json!("count"), Some(1)), "{keys}");
        drop(host);
        let _again = HostProcess::start(&site);
        assert_eq!(kept(&site), json!(scheduled), "kept over a restart");
        site.sexton(&["plugin", "state", "fx-counter", "count", "--remove"]).fine();
        site.sexton(&["plugin", "state", "fx-counter", "count"]).refused("INP013");
    }
}
