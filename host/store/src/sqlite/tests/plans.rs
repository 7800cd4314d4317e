//! How the engine answers what grows with the store: by which index, and without sorting.
//!
//! Not how fast. What must hold: a question about one plugin, type, subject or run never reads the rows of the others.

use crate::rows::{AuditFilter, DeadFilter, DeadPage, Order};
use crate::sqlite::{Sqlite, audit, crashes, dead_letters, events, links, logs, plugins, prune, stats};
use sexton_core::{EventId, OccurrenceId};

/// The steps of a statement's plan, as the engine says them.
fn plan(store: &Sqlite, sql: &str) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    store
        .writer
        .call(0, move |tx| {
            let mut explain = tx.conn.prepare(&sql)?;
            // Parameters that are not bound are NULL; no plan of ours depends on them.
            let mut rows = explain.raw_query();
            let mut steps = Vec::new();
            while let Some(row) = rows.next()? {
                steps.push(row.get(3)?);
            }
            Ok(steps)
        })
        .unwrap()
}

#[test]
fn questions_of_one_thing_read_no_rows_of_others() {
    let store = Sqlite::in_memory().unwrap();
    let filter = |subject: bool, verb: bool| AuditFilter {
        subject: subject.then(|| "bells".to_owned()),
        verb_prefix: verb.then(|| "plugin.".to_owned()),
        ..AuditFilter::default()
    };
    for (sql, steps) in [
        (events::ARGS_OF.to_owned(), vec!["SEARCH events USING INDEX events_open (type=? AND rowid>?)"]),
        (logs::READ.to_owned(), vec!["SEARCH r USING INDEX runs_of_event (event=?)", "SEARCH l USING INTEGER PRIMARY KEY (rowid=?)"]),
        (crashes::LIST.to_owned(), vec!["SEARCH crashes USING INDEX crashes_of_plugin (plugin=? AND at>?)"]),
        (links::FOLLOWERS.to_owned(), vec!["SEARCH links USING INDEX links_of_upstream (upstream=?)"]),
        (plugins::GENERATIONS.to_owned(), vec!["SEARCH generations USING INDEX generations_of_plugin (plugin=?)"]),
        (prune::LOOK_AT_RUNS.to_owned(), vec!["SEARCH runs USING INTEGER PRIMARY KEY (rowid>?)"]),
        (stats::READ.to_owned(), vec!["SEARCH type_stats USING PRIMARY KEY (type=? AND hour>?)"]),
        (audit::select(&filter(true, false)), vec!["SEARCH audit USING INDEX audit_of_subject (subject=? AND rowid<?)"]),
        (audit::select(&filter(true, true)), vec!["SEARCH audit USING INDEX audit_of_subject (subject=? AND rowid<?)"]),
        (audit::select(&filter(false, false)), vec!["SEARCH audit USING INTEGER PRIMARY KEY (rowid<?)"]),
        (audit::select(&filter(false, true)), vec!["SEARCH audit USING INTEGER PRIMARY KEY (rowid<?)"]),
    ] {
        assert_eq!(plan(&store, &sql), steps, "{sql}");
    }
}

#[test]
fn the_index_of_open_events_takes_no_question_from_the_others() {
    let store = Sqlite::in_memory().unwrap();
    let by_key = "SELECT id, state FROM events WHERE type = ?1 AND key = ?2 AND key IS NOT NULL AND state < 2";
    assert_eq!(plan(&store, by_key), ["SEARCH events USING INDEX events_open_key (type=? AND key=?)"]);
}

#[test]
fn dead_letters_are_found_by_their_own_index_in_both_orders_without_sorting() {
    let store = Sqlite::in_memory().unwrap();
    let all = DeadFilter::default();
    let narrow =
        DeadFilter { event_type: Some("a.b".to_owned()), reason: Some("x".to_owned()), bot: Some("b".to_owned()), ..DeadFilter::default() };
    for filter in [all, narrow] {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            for past in [None, Some(OccurrenceId { event: EventId(1), n: 1 })] {
                let (sql, _) = dead_letters::select(&filter, &DeadPage { past, order, limit: 10 });
                let steps = plan(&store, &sql);
                let first = if past.is_some() { "SEARCH o USING COVERING INDEX" } else { "SCAN o USING COVERING INDEX" };
                assert!(steps[0].replace(" COVERING", "").starts_with(&first.replace(" COVERING", "")), "{steps:?}");
                assert!(steps[0].contains("occurrences_dead") && !steps.iter().any(|step| step.contains("SORT")), "{steps:?}");
            }
        }
    }
}

#[test]
fn the_next_of_a_lane_is_found_without_reading_it() {
    use crate::sqlite::lanes::taking;
    let store = Sqlite::in_memory().unwrap();
    for (gate, index) in [
        (None, "SEARCH occurrences USING COVERING INDEX occurrences_due (type=? AND lane=? AND due_at<?)"),
        (Some(1), "SEARCH occurrences USING COVERING INDEX occurrences_gated (type=? AND gate=? AND lane=? AND due_at<?)"),
    ] {
        let steps = plan(&store, &taking(gate));
        assert!(steps.iter().any(|step| step == index) && !steps.iter().any(|step| step.contains("B-TREE")), "{steps:?}");
    }
}
