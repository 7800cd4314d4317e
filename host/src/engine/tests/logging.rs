//! What runs log: kept with the run, taken along by its settlement, and nobody else's.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use crate::clock;
use sexton_core::{OccurrenceId, Outcome};
use sexton_loader::seam::{Ended, LogLine, Report};
use sexton_plugin_api::wire::{HostCall, JobEnd, RunReply};

fn line(run: u64, message: &str) -> Report {
    let (target, spans) = ("t".to_owned(), "outer{n=1}:inner".to_owned());
    Report::Log(LogLine { at: clock::now(), run, level: 3, target, message: message.to_owned(), spans })
}

/// What the engine has of a run under way.
fn said(rig: &Rig, occurrence: OccurrenceId) -> Vec<String> {
    rig.engine.run_log(occurrence, None).map_or_else(Vec::new, |going| going.kept.after(0).into_iter().map(|l| l.message).collect())
}

#[test]
fn a_run_is_heard_while_it_goes_on_and_the_store_has_it_all_afterwards() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    rig.schedule(event("a.a", once(in_ms(0))));
    generation.until("it has started", |seen| seen.ran.len() == 1);
    let (run, occurrence) = (generation.ran()[0].run, rig.engine.in_flight()[0].occurrence);
    generation.report(line(run, "one"));
    generation.report(line(0, "outside of any run"));
    generation.report(line(run + 1, "no such run"));
    generation.report(line(run, "two"));
    until("both lines are there", || said(&rig, occurrence) == ["one", "two"]);
    assert!(rig.engine.run_log(occurrence, Some(1)).is_some() && rig.engine.run_log(occurrence, Some(2)).is_none());
    assert_eq!(rig.store.run_log(occurrence, None).unwrap(), None, "not before it is settled");
    generation.release();
    until("it is settled", || rig.engine.run_log(occurrence, None).is_none());
    let log = rig.store.run_log(occurrence, Some(1)).unwrap().expect("stored with the run");
    assert_eq!(log.lines.iter().map(|l| l.message.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!((log.dropped, log.lines[0].level, log.lines[0].spans.as_str()), (0, 3, "outer{n=1}:inner"));
}

#[test]
fn a_generation_cannot_speak_in_the_run_of_another() {
    let rig = Rig::new();
    let (honest, other) = (Generation::new(&rig, 1, 8, |_| Does::Holds), Generation::succeeding(&rig, 2));
    rig.serve(&[("a.a", Some(&honest.serving)), ("b.b", Some(&other.serving))]);
    rig.schedule(event("a.a", once(in_ms(0))));
    honest.until("it has started", |seen| seen.ran.len() == 1);
    let (run, occurrence) = (honest.ran()[0].run, rig.engine.in_flight()[0].occurrence);
    other.report(line(run, "forged"));
    // The router takes reports in their order: this one comes after the forged one.
    honest.report(line(run, "true"));
    until("the line is there", || said(&rig, occurrence) == ["true"]);
}

#[test]
fn a_generation_cannot_start_end_or_give_back_the_run_of_another() {
    let rig = Rig::new();
    let (honest, other) = (Generation::new(&rig, 1, 8, |_| Does::Holds), Generation::succeeding(&rig, 2));
    rig.serve(&[("a.a", Some(&honest.serving)), ("b.b", Some(&other.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    honest.until("it has started", |seen| seen.ran.len() == 1);
    let run = honest.ran()[0].run;
    let reply = RunReply { run, end: JobEnd::Succeeded, output: None, resources: vec![] };
    other.report(Report::Done(vec![Ended { reply, started_at: clock::now(), finished_at: clock::now() }]));
    other.report(Report::Refused(vec![run]));
    other.report(Report::Call { call: 1, run, request: HostCall::Progress { done: 1, total: None, note: "forged".into() } });
    // The router takes reports in their order: the answer comes after the forged ones.
    other.until("it is refused", |seen| matches!(&seen.answers[..], [Err(refusal)] if refusal.message.starts_with("INP012")));
    assert!(rig.outcomes(id).is_empty() && rig.engine.in_flight()[0].progress.is_none());
    honest.release();
    until("its own end counts", || rig.outcomes(id) == [Outcome::Succeeded]);
    assert_eq!(honest.ran().len(), 1, "it was not started again");
}

#[test]
fn a_run_that_is_cut_short_keeps_what_it_said_and_one_that_said_nothing_has_no_log() {
    let rig = Rig::new();
    let (deaf, quiet) = (Generation::new(&rig, 1, 8, |_| Does::Deaf), Generation::succeeding(&rig, 2));
    rig.serve(&[("a.a", Some(&deaf.serving)), ("b.b", Some(&quiet.serving))]);
    let (cut, silent) = (rig.schedule(event("a.a", once(in_ms(0)))), rig.schedule(event("b.b", once(in_ms(0)))));
    deaf.until("it has started", |seen| seen.ran.len() == 1);
    deaf.report(line(deaf.ran()[0].run, "last words"));
    rig.serve(&[("a.a", None), ("b.b", Some(&quiet.serving))]);
    deaf.go();
    until("both are settled", || rig.outcomes(cut) == [Outcome::Interrupted] && rig.outcomes(silent) == [Outcome::Succeeded]);
    let log = |event| rig.store.run_log(OccurrenceId { event, n: 1 }, None).unwrap();
    assert_eq!(log(cut).expect("kept").lines[0].message, "last words");
    assert_eq!(log(silent), None);
}

#[test]
fn what_was_given_back_unstarted_leaves_no_log_behind() {
    let rig = Rig::new();
    let mut first = true;
    let refusing = Generation::new(&rig, 1, 8, move |_| if std::mem::take(&mut first) { Does::Refuses } else { Does::Holds });
    let next = Generation::new(&rig, 2, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&refusing.serving))]);
    rig.schedule(event("a.a", once(in_ms(0))));
    refusing.until("it was refused", |seen| seen.ran.len() == 1);
    rig.serve(&[("a.a", Some(&next.serving))]);
    next.until("the next has it", |seen| seen.ran.len() == 1);
    let occurrence = rig.engine.in_flight()[0].occurrence;
    refusing.report(line(refusing.ran()[0].run, "stale"));
    next.report(line(next.ran()[0].run, "fresh"));
    until("only the run that started is heard", || said(&rig, occurrence) == ["fresh"]);
    next.release();
    until("nothing is left of either", || rig.engine.run_log(occurrence, None).is_none());
}

#[test]
fn a_generation_that_serves_nothing_is_answered_named_and_levelled() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 7, 8, |_| Does::Ends(JobEnd::Succeeded));
    rig.engine.opening(7, "p7");
    rig.engine.introduce(&generation.serving);
    // Neither a type nor an action: no snapshot names it.
    generation.report(Report::Call { call: 1, run: 0, request: HostCall::StateGet { key: "k".into() } });
    generation.until("it was answered", |seen| matches!(&seen.answers[..], [Ok(_)]));
    generation.report(Report::Call { call: 2, run: 0, request: HostCall::Progress { done: 1, total: None, note: String::new() } });
    generation.until("it was answered again", |seen| seen.answers.len() == 2);
    let Report::Log(words) = line(0, "hello") else { panic!("a line") };
    assert_eq!(rig.engine.logged(7, &words).0.as_deref(), Some("p7"));
    assert!(rig.engine.set_log_level(7, 4) && !rig.engine.set_log_level(8, 4));
    generation.go();
    until("it is forgotten", || !rig.engine.set_log_level(7, 4) && rig.engine.logged(7, &words).0.is_none());
}
