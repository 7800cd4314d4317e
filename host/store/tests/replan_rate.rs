//! How fast the events of a zone are planned again after its rules changed, in a store on a file.
//!
//! Not what becomes of them (the conformance suite). What must hold: every event of the zone is looked at once and moved to where the rules of now put
//! it, a bounded page at a time.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sexton_core::calendar::Calendars;
use sexton_core::ids::EventIds;
use sexton_core::schedule::zone::ZoneRules;
use sexton_core::{NewEvent, Schedule};
use sexton_store::Store;
use sexton_store::rows::{Actor, EventFilter, Intention, Offer, Page};
use sexton_store::sqlite::Sqlite;
use std::time::{Duration, Instant};

const EVENTS: usize = 20_000;
/// As the host asks for them.
const PAGE: usize = 500;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("an instant")
}

fn daily(n: usize, tz: &str) -> Schedule {
    Schedule::cron(format!("{} {} * * *", n % 60, n / 60 % 24), tz)
}

#[test]
fn events_of_a_zone_are_planned_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Sqlite::open(&dir.path().join("rate.db")).expect("a store");
    let (lease, by) = (store.attach("tower", now()).expect("a lease"), Actor("test".to_owned()));
    let offer = Offer {
        event_type: "acme.ring".to_owned(),
        args_schema: json!({ "type": "object" }),
        retry: None,
        time_limit: sexton_core::TimeLimit::default(),
    };
    let generation = store.new_generation("bells", "d1", now()).expect("a generation");
    let types = store.publish(&lease, "bells", generation, &[offer], &[], &by, now()).expect("a type");
    let (calendars, mut ids) = (Calendars::default(), EventIds::new(u8::try_from(lease.host).expect("a small number"), None));
    // Stored as if Paris had been where Kathmandu is.
    let intentions: Vec<Intention> = (0..EVENTS)
        .map(|n| {
            let elsewhere = daily(n, "Asia/Kathmandu");
            let first = elsewhere.plan(&calendars).and_then(|plan| plan.first(now())).expect("a schedule");
            let wish: NewEvent =
                serde_json::from_value(json!({"event_type": "acme.ring", "schedule": daily(n, "Europe/Paris")})).expect("an event");
            Intention { id: ids.next(now().timestamp_millis()), type_id: types[0].id, wish, first, standing_of: None }
        })
        .collect();
    for some in intentions.chunks(5_000) {
        store.schedule(&lease, some, &by, now()).expect("stored");
    }
    let rules = ZoneRules::of("Europe/Paris", now()).expect("a zone");
    store.note_zone(&lease, "Europe/Paris", &ZoneRules::of("Asia/Kathmandu", now()).expect("a zone")).expect("noted");
    let (began, mut looked, mut moved, mut longest) = (Instant::now(), 0, 0, Duration::ZERO);
    loop {
        let page_began = Instant::now();
        let page = store.replan_zone(&lease, "Europe/Paris", &rules, PAGE, now()).expect("a page");
        longest = longest.max(page_began.elapsed());
        looked += page.looked;
        moved += page.moved;
        if page.is_done {
            break;
        }
    }
    let took = began.elapsed();
    println!(
        "{looked} events looked at, {moved} moved, in {took:.2?}: {:.0} a second; the longest page of {PAGE} held the store {longest:.2?}",
        f64::from(u32::try_from(looked).expect("a small number")) / took.as_secs_f64()
    );
    assert_eq!((looked, moved), (EVENTS as i64, EVENTS as i64));
    let calendars = Calendars::default();
    for event in store.events(&EventFilter::default(), &Page { before: None, limit: EVENTS }).expect("events") {
        let plan = event.wish.schedule.plan(&calendars).expect("a schedule");
        let next = event.next_run_at.expect("a time");
        assert!(next > now() && next <= now() + TimeDelta::days(1));
        assert_eq!(plan.next_after(next - TimeDelta::seconds(1)).expect("in budget"), Some(next), "{}: a time of Paris", event.id);
    }
}
