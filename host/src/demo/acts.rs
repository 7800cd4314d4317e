//! The acts: what is done to the host while events run, and what must come of it.
//!
//! Not the events. What must hold: each act says first what it does, then what was seen; an act that is not seen fails the demo.

use super::stage::Stage;
use super::{Play, amiss, say};
use crate::cli::{Done, Failure};
use crate::output::table::{draw, text};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the host may take to notice a file.
const NOTICE: Duration = Duration::from_secs(15);

/// An act and its time.
pub struct Cue {
    /// Seconds after the events were scheduled.
    pub at_s: u64,
    /// What is done.
    pub act: fn(&mut Play) -> Done,
}

/// In the order of their times.
pub static CUES: &[Cue] = &[
    Cue { at_s: 7, act: run_an_action },
    Cue { at_s: 9, act: replace_a_plugin },
    Cue { at_s: 12, act: break_a_plugin },
    Cue { at_s: 18, act: kill_the_host },
    Cue { at_s: 21, act: bring_it_back },
];

/// Says who is there.
pub fn introduce(stage: &Stage) -> Done {
    let client = stage.client()?;
    let plugins = client.get("/api/v1/plugins")?;
    let rows = plugins["items"].as_array().cloned().unwrap_or_default();
    let active = rows.iter().filter(|plugin| plugin["state"] == "active").count();
    say(&format!("Plugins dropped into {} and loaded:\n", stage.plugin_dir().display()));
    say(&draw(super::watch::PLUGIN_COLUMNS, &rows, "none"));
    if active < super::stage::PLUGINS.len() {
        return Err(amiss(format!("{active} plugins are active, {} were dropped in", super::stage::PLUGINS.len()), None));
    }
    Ok(())
}

fn act(title: &str) {
    say(&format!("\n--- {title}"));
}

fn plugin(play: &Play, name: &str) -> Result<Value, Failure> {
    Ok(play.stage.client()?.get(&format!("/api/v1/plugins/{name}"))?)
}

/// Asks until the plugin is as wanted, telling runs meanwhile.
fn until(play: &mut Play, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value, Failure> {
    let deadline = Instant::now() + NOTICE;
    loop {
        let found = plugin(play, name)?;
        if wanted(&found) {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(amiss(format!("{what}: not seen within {} s", NOTICE.as_secs()), None));
        }
        play.look()?;
        std::thread::sleep(super::LOOK);
    }
}

/// The original's example: an action schedules a start in twelve hours for each match. One of them is run now.
fn run_an_action(play: &mut Play) -> Done {
    act("An action of a plugin schedules a start in twelve hours for each of two lamps");
    let client = play.stage.client()?;
    let body = json!({
        "bot": {"id": "demo", "name": "demo"},
        "matches": [{"id": "cellar", "kind": "lamp"}, {"id": "attic", "kind": "lamp"}],
    });
    let answer = client.post("/api/v1/actions/acme.action.start_resource_example/run", &body)?;
    let ids: Vec<String> = answer["scheduled"].as_array().into_iter().flatten().filter_map(|id| Some(id.as_str()?.to_owned())).collect();
    if ids.len() != 2 {
        return Err(amiss(format!("the action scheduled {} events, not 2", ids.len()), None));
    }
    say(&format!("    it scheduled {} for later; both are run now as well, their own time stays", ids.join(" and ")));
    for (id, title) in ids.into_iter().zip(["Light the cellar, now", "Light the attic, now"]) {
        client.post(&format!("/api/v1/events/{id}/run-now"), &json!({}))?;
        play.cast.add(id, title);
    }
    Ok(())
}

/// A new build: the same code with a few bytes behind it, so another digest.
fn replace_a_plugin(play: &mut Play) -> Done {
    act("A new build of the plugin `shell` takes the place of the old one (mv), while its events run");
    let before = plugin(play, "shell")?;
    let mut bytes = play.stage.build("shell")?;
    bytes.extend_from_slice(b"demo: a second build");
    let began = Instant::now();
    play.stage.put("shell", &bytes)?;
    let after = until(play, "shell", "the new build serves", |p| p["digest"] != before["digest"] && p["state"] == "active")?;
    say(&format!(
        "    generation {} serves after {:.1} s, digest {}; generation {} ends its runs and goes",
        text(&after, "generation"),
        began.elapsed().as_secs_f32(),
        &text(&after, "digest").get(..12).unwrap_or_default(),
        text(&before, "generation")
    ));
    Ok(())
}

/// Half a file, as a broken copy leaves it.
fn break_a_plugin(play: &mut Play) -> Done {
    act("A broken build of `shell` is dropped in: the first half of the file");
    let before = plugin(play, "shell")?;
    let bytes = play.stage.build("shell")?;
    play.stage.put("shell", &bytes[..bytes.len() / 2])?;
    let after = until(play, "shell", "the broken build is rejected", |p| p["rejection"].is_object())?;
    say(&format!("    rejected, {}: {}", text(&after, "rejection.code"), text(&after, "rejection.message")));
    if after["generation"] != before["generation"] || after["state"] != "active" {
        return Err(amiss("the build before it did not go on serving", None));
    }
    say(&format!("    generation {} goes on serving", text(&after, "generation")));
    play.stage.put("shell", &bytes)?;
    until(play, "shell", "the good build serves again", |p| p["rejection"].is_null() && p["digest"] != before["digest"])?;
    say("    the good build is put back");
    Ok(())
}

fn kill_the_host(play: &mut Play) -> Done {
    play.look()?;
    act("kill -9 of the host, in the middle of a run; another event falls due while nobody is there");
    play.stage.kill_host()
}

fn bring_it_back(play: &mut Play) -> Done {
    let took = play.stage.start_host()?;
    act(&format!("The host is started again and serves after {:.1} s: nothing is lost", took.as_secs_f32()));
    Ok(())
}

/// What was seen, and whether it was all that was announced.
pub fn sum_up(play: &Play) -> Done {
    let watch = &play.watch;
    say("\nWhat was seen");
    let mut short = Vec::new();
    for role in play.cast.roles() {
        let (ran, others) = (role.ran(watch), watch.outcomes(&role.id).iter().filter(|o| *o != "succeeded").cloned().collect::<Vec<_>>());
        let others = if others.is_empty() { String::new() } else { format!(", after {}", others.join(", ")) };
        say(&format!("  {:38} {ran} succeeded{others}", role.title));
        if ran < role.wanted {
            short.push(format!("`{}` ran {ran} times, at least {} were announced", role.title, role.wanted));
        }
    }
    for lamp in ["hall", "stairs", "tower", "cellar", "attic"] {
        let wanted = if matches!(lamp, "cellar" | "attic") { "on" } else { "off" };
        let found = std::fs::read_to_string(play.stage.lamps().join(lamp)).unwrap_or_default();
        if found.trim() != wanted {
            short.push(format!("the lamp `{lamp}` should be {wanted}"));
        }
    }
    if play.stage.web().asked_moody() < 3 {
        short.push("the busy server was not asked again".to_owned());
    }
    if !short.is_empty() {
        return Err(amiss(short.join("; "), None));
    }
    say(&format!(
        "\nRuns that succeeded: {}; that failed and were tried again: {}; that the kill interrupted and that ran again: {}. No event was lost.",
        watch.count("succeeded"),
        watch.count("failed"),
        watch.count("interrupted")
    ));
    say("\nWhere to go next");
    say("  sexton serve                      a host of your own");
    say("  sexton event schedule --help      schedule something on it");
    say("  README.md                         the ten-minute tour, and how to write a plugin");
    Ok(())
}
