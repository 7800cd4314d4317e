//! An unload, by hand or by deleting the file, leaves events alone: they wait, unresolved, and run when somebody serves their type again.
//!
//! Not about what `unload` does inside a plugin. What must hold: over a restart too; an operator's unload lasts until another digest ends it.

use serde_json::{Value, json};
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, Way, Witness, in_millis, until};

const EVENTS: usize = 100;

struct Waiting {
    site: Site,
    host: Option<HostProcess>,
    witness: Witness,
    build: Build,
}

/// A host with a hundred events that are due in two seconds.
fn with_future_events(placement: Placement) -> Waiting {
    let site = Site::with(placement, &["fx_witness"]);
    let host = Some(HostProcess::start(&site));
    let witness = site.witness("lines");
    let wish = |n: usize| json!({"event_type": "fx.witness", "schedule": {"once": in_millis(2_000 + i64::try_from(n).expect("small"))}, "args": {"witness": witness.path()}});
    let wishes: Vec<Value> = (0..EVENTS).map(wish).collect();
    assert_eq!(site.schedule_all(&wishes).len(), EVENTS);
    Waiting { site, host, witness, build: Build::of("fx_witness") }
}

impl Waiting {
    fn list(&self, flags: &[&str]) -> Vec<Value> {
        self.site.sexton(&[&["event", "list", "--type", "fx.witness", "--output", "ndjson"], flags].concat()).fine().ndjson()
    }

    /// All are stored, scheduled and unresolved, and none runs although all are due.
    fn all_wait_past_their_time(&self) {
        assert_eq!(self.list(&["--unresolved", "--state", "scheduled"]).len(), EVENTS);
        let due = |event: &Value| {
            event["next_run_at"].as_str().and_then(|t| t.parse::<chrono::DateTime<chrono::Utc>>().ok()).expect("an instant")
        };
        let last = self.list(&[]).iter().map(due).max().expect("there are events") + chrono::Duration::milliseconds(300);
        until("all events are due", SOON, || (chrono::Utc::now() > last).then_some(()));
        assert_eq!(self.list(&["--unresolved", "--state", "scheduled"]).len(), EVENTS);
        assert!(self.witness.is_empty(), "an event ran with nobody to run it");
    }

    fn all_run_once(&self) {
        until("all events have run", SOON, || (self.list(&["--state", "completed"]).len() == EVENTS).then_some(()));
        assert!(self.witness.times().values().all(|&n| n == 1));
        assert_eq!((self.witness.len(), self.site.runs(&[]).len()), (EVENTS, EVENTS));
        assert_eq!(self.list(&["--unresolved"]).len(), 0);
    }

    fn restart(&mut self) {
        assert!(self.host.take().expect("the host runs").stop().success());
        self.host = Some(HostProcess::start(&self.site));
    }
}

#[test]
fn an_unload_by_hand_survives_a_restart_and_a_load_ends_it() {
    for placement in Placement::ALL {
        let mut waiting = with_future_events(placement);
        waiting.site.sexton(&["plugin", "unload", "fx-witness"]).fine();
        let plugin = waiting.site.until_plugin("fx-witness", "unloaded");
        assert_eq!(plugin["unresolved_events"], EVENTS, "{plugin}");
        waiting.all_wait_past_their_time();
        waiting.restart();
        waiting.site.until_plugin("fx-witness", "unloaded");
        waiting.all_wait_past_their_time();
        waiting.site.sexton(&["plugin", "load", "fx-witness"]).fine();
        waiting.all_run_once();
    }
}

#[test]
fn a_new_digest_ends_an_unload() {
    for placement in Placement::ALL {
        let waiting = with_future_events(placement);
        waiting.site.sexton(&["plugin", "unload", "fx-witness"]).fine();
        waiting.site.until_plugin("fx-witness", "unloaded");
        // The same digest again is no reason.
        waiting.site.plugins.put("fx_witness", &waiting.build, Way::Move);
        waiting.all_wait_past_their_time();
        let newer = waiting.build.answering("newer");
        waiting.site.plugins.put("fx_witness", &newer, Way::Move);
        waiting.site.until_serving("fx-witness", &newer);
        waiting.all_run_once();
        assert!(waiting.witness.lines().iter().all(|line| line.answer == "newer"));
    }
}

#[test]
fn deleting_the_file_is_an_unload_too() {
    for placement in Placement::ALL {
        let mut waiting = with_future_events(placement);
        waiting.site.plugins.delete("fx_witness");
        until("its types are not served", SOON, || (waiting.list(&["--unresolved"]).len() == EVENTS).then_some(()));
        waiting.all_wait_past_their_time();
        waiting.restart();
        waiting.all_wait_past_their_time();
        waiting.site.plugins.put("fx_witness", &waiting.build, Way::Copy);
        waiting.all_run_once();
    }
}

#[test]
fn a_known_type_that_nobody_serves_is_accepted_and_says_so() {
    for placement in Placement::ALL {
        let waiting = with_future_events(placement);
        waiting.site.sexton(&["plugin", "unload", "fx-witness"]).fine();
        let args = json!({"witness": waiting.witness.path()}).to_string();
        let said = waiting.site.sexton(&["event", "schedule", "fx.witness", "--args", &args, "--in", "0s", "--output", "json"]).fine();
        assert_eq!(said.json()["unresolved"], true, "{said}");
        waiting.site.sexton(&["event", "schedule", "fx.witness", "--args", "{}", "--in", "0s"]).refused("INP002");
    }
}

#[test]
fn unload_waits_for_runs_under_way_and_says_who_holds() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_trouble"]);
        let mut host = HostProcess::start(&site);
        let gate = site.path().join("gate");
        let id = site
            .schedule(&json!({"event_type": "fx.trouble", "schedule": {"once": in_millis(0)}, "args": {"how": "stubborn", "until": gate}}));
        until("the run has begun", SOON, || (site.event(&id)["running"] == true).then_some(()));
        let said = site.sexton(&["plugin", "unload", "fx-trouble", "--wait", "1s"]).refused("PLG035");
        assert!(said.stderr.contains(&id), "it does not name the run: {said}");
        assert_eq!(site.runs(&["--event", &id]).len(), 0, "the run was ended by a refused unload");
        assert!(host.alive());
        std::fs::write(&gate, "open").expect("the site can be written");
        assert_eq!(site.run_of(&id)["outcome"], "succeeded");
        site.sexton(&["plugin", "unload", "fx-trouble"]).fine();
        assert!(host.alive());
    }
}

#[test]
fn sigterm_lets_runs_end_and_exits_zero() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let host = HostProcess::start(&site);
        let witness = site.witness("lines");
        let id = site.schedule(&json!({"event_type": "fx.witness", "schedule": {"once": in_millis(0)}, "args": {"witness": witness.path(), "takes_ms": 2_000}}));
        until("the run has begun", SOON, || (site.event(&id)["running"] == true).then_some(()));
        assert!(host.stop().success());
        assert_eq!(witness.len(), 1, "the run was cut off");
        let _host = HostProcess::start(&site);
        let runs = site.runs(&["--event", &id]);
        assert_eq!((runs.len(), &runs[0]["outcome"], &runs[0]["attempt"]), (1, &json!("succeeded"), &json!(1)), "{runs:?}");
    }
}

#[test]
fn abandoning_amid_due_events_loses_none_and_doubles_none() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let mut host = HostProcess::start(&site);
        let (witness, build) = (site.witness("lines"), Build::of("fx_witness"));
        for round in 1..=5 {
            let wish = |n: usize| {
                let at = in_millis(400 + i64::try_from(n).expect("small"));
                json!({"event_type": "fx.witness", "schedule": {"once": at}, "args": {"witness": witness.path(), "takes_ms": n % 5}})
            };
            let before = witness.len();
            assert_eq!(site.schedule_all(&(0..500).map(wish).collect::<Vec<Value>>()).len(), 500);
            until("some have run", SOON, || (witness.len() > before + 50).then_some(()));
            site.sexton(&["plugin", "unload", "fx-witness", "--abandon"]).fine();
            site.sexton(&["plugin", "load", "fx-witness"]).fine();
            site.until_serving("fx-witness", &build);
            let runs = until("every event has ended", SOON, || Some(site.runs(&[])).filter(|runs| runs.len() >= 500 * round));
            assert!(runs.iter().all(|run| run["outcome"] == "succeeded"), "an unload ended a run");
            assert!(witness.times().values().all(|&n| n == 1), "an occurrence ran twice");
            assert_eq!((witness.len(), runs.len()), (500 * round, 500 * round));
        }
        assert!(host.alive());
    }
}
