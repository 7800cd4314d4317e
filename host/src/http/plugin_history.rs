//! `GET /plugins/{name}/history`: what happened to the builds of a plugin, from the audit and from the store's generations.
//!
//! It judges nothing. What must hold: what the audit says comes as it is; a generation that it does not mention is not left out.

use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::Asked;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sexton_core::{Blame, Refusal};
use sexton_store::rows::{AuditFilter, AuditLine, GenerationRow, Page};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What all verbs on plugins begin with.
const VERBS: &str = "plugin.";

/// Verbs by which a generation comes to serve.
const SERVES: [&str; 3] = ["load", "reload", "rollback"];

/// Something that happened. What is not known, or makes no sense for it, is null.
#[derive(Debug, Serialize)]
pub struct Happened {
    /// Of the line of the audit: the page after it is before this.
    id: Option<i64>,
    at: DateTime<Utc>,
    /// Who did it.
    actor: Option<String>,
    /// `load reload rollback unload reject crash quarantine retire decision place log_level`; `opened` for a generation that never served, `publish` for one of which no more is known.
    what: String,
    /// The code of a rejection, the cause of a crash, the verdict of a decision.
    why: Option<String>,
    generation: Option<i64>,
    placement: Option<String>,
    digest_from: Option<String>,
    digest_to: Option<String>,
    types_added: Vec<String>,
    types_removed: Vec<String>,
    types_changed: Vec<String>,
    events_checked: Option<u64>,
    events_paused: Option<u64>,
    drained_ms: Option<u64>,
    /// What became of its memory.
    residue: Option<String>,
}

/// `GET /plugins/{name}/history`.
pub async fn show(State(rooms): State<Shared>, Path(name): Path<String>, mut asked: Asked) -> Answer<Items<Happened>> {
    let page = asked.page()?;
    asked.done()?;
    let items = blocking(move || -> Result<_, No> {
        let filter = AuditFilter { subject: Some(name.clone()), verb_prefix: Some(VERBS.to_owned()), ..AuditFilter::default() };
        let lines = rooms.store.audit_lines(&filter, &page)?;
        let generations = rooms.store.generations(&name, usize::from(u16::MAX))?;
        if lines.is_empty() && generations.is_empty() && page.before.is_none() {
            let refusal = Refusal::new("INP013", Blame::Input, format!("nothing ever happened to a plugin `{name}`"));
            return Err(No(refusal.remedy("`sexton plugin list` shows those that are there")));
        }
        let more = lines.len() == page.limit;
        let next = more.then(|| lines.last().map(|(id, _)| id.to_string())).flatten();
        // What lies between two pages belongs to the later one.
        let until = match page.before {
            Some(before) => rooms.store.audit_lines(&filter, &Page { before: Some(before + 1), limit: 1 })?.pop().map(|(_, line)| line.at),
            None => None,
        };
        Ok(Items { items: merged(lines, &generations, more, until), next })
    });
    ok(items.await?)
}

/// A page of lines, newest first, with the generations of its span that no line mentions. `more`: the page ends where it ends because it is full;
/// `until`: where the page before this one ended.
fn merged(lines: Vec<(i64, AuditLine)>, generations: &[GenerationRow], more: bool, until: Option<DateTime<Utc>>) -> Vec<Happened> {
    let of_line = |(id, line)| from_line(id, line, generations);
    let mut all: Vec<Happened> = lines.into_iter().map(of_line).collect();
    let last = all.last().map(|h| h.at);
    // The store's own line about a generation that the supervisor tells more about.
    let told_better: BTreeSet<i64> = all.iter().filter(|h| SERVES.contains(&h.what.as_str())).filter_map(|h| h.generation).collect();
    all.retain(|h| h.what != "publish" || h.generation.is_none_or(|g| !told_better.contains(&g)));
    let mentioned: BTreeSet<i64> = all.iter().filter_map(|h| h.generation).collect();
    let refused: BTreeSet<String> = all.iter().filter(|h| h.what == "reject").filter_map(|h| h.digest_to.clone()).collect();
    let in_page = |at: DateTime<Utc>| (!more || last.is_some_and(|l| at >= l)) && until.is_none_or(|u| at < u);
    // One that was rejected is told by that line.
    let told = |g: &GenerationRow| mentioned.contains(&g.number) || (g.published_at.is_none() && refused.contains(&g.digest));
    let untold = generations.iter().filter(|g| in_page(g.published_at.unwrap_or(g.created_at)) && !told(g));
    all.extend(untold.map(from_generation));
    all.sort_by_key(|h| Reverse((h.at, h.id)));
    all
}

fn from_line(id: i64, line: AuditLine, generations: &[GenerationRow]) -> Happened {
    let AuditLine { at, actor, verb, mut detail, .. } = line;
    let what = verb.strip_prefix(VERBS).unwrap_or(&verb).to_owned();
    let generation = detail["generation"].as_i64();
    let row = generations.iter().find(|g| Some(g.number) == generation);
    let (from, to, digest) = (take(&mut detail, "digest_from"), take(&mut detail, "digest_to"), take(&mut detail, "digest"));
    // A line with one digest means what went, but for what was refused.
    let came = matches!(what.as_str(), "reject" | "decision");
    let (from, to) = if came { (from, to.or(digest)) } else { (from.or(digest), to) };
    let why = ["code", "cause", "verdict", "reason", "level"].iter().find_map(|key| take(&mut detail, key));
    Happened {
        id: Some(id),
        at,
        actor: Some(actor.0),
        why,
        generation,
        placement: take(&mut detail, "placement").or_else(|| row.and_then(|g| g.placement.clone())),
        digest_from: from,
        digest_to: to,
        types_added: list(&detail, "types_added"),
        types_removed: list(&detail, "types_removed"),
        types_changed: list(&detail, "types_changed"),
        events_checked: detail["events_checked"].as_u64(),
        events_paused: detail["events_paused"].as_u64(),
        drained_ms: detail["drained_ms"].as_u64(),
        residue: take(&mut detail, "residue"),
        what,
    }
}

fn from_generation(row: &GenerationRow) -> Happened {
    Happened {
        id: None,
        at: row.published_at.unwrap_or(row.created_at),
        actor: None,
        what: if row.published_at.is_some() { "load" } else { "opened" }.to_owned(),
        why: None,
        generation: Some(row.number),
        placement: row.placement.clone(),
        digest_from: None,
        digest_to: Some(row.digest.clone()),
        types_added: Vec::new(),
        types_removed: Vec::new(),
        types_changed: Vec::new(),
        events_checked: None,
        events_paused: None,
        drained_ms: None,
        residue: None,
    }
}

fn take(detail: &mut Value, key: &str) -> Option<String> {
    match detail.get_mut(key).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn list(detail: &Value, key: &str) -> Vec<String> {
    detail[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sexton_store::rows::Actor;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("an instant")
    }

    fn line(second: i64, verb: &str, detail: Value) -> (i64, AuditLine) {
        let actor = Actor("cli:ada".to_owned());
        (second, AuditLine { at: at(second), actor, verb: verb.to_owned(), subject: "acme".to_owned(), detail })
    }

    fn generation(number: i64, digest: &str, published: Option<i64>) -> GenerationRow {
        GenerationRow {
            number,
            plugin: "acme".to_owned(),
            digest: digest.to_owned(),
            placement: Some("runner".to_owned()),
            created_at: at(number),
            published_at: published.map(at),
        }
    }

    #[test]
    fn lines_and_generations_are_told_once_in_their_order() {
        let lines = vec![
            line(40, "plugin.retire", json!({"generation": 1, "digest": "a", "drained_ms": 7, "residue": "retired"})),
            line(
                30,
                "plugin.reload",
                json!({"generation": 3, "digest_from": "a", "digest_to": "c", "types_changed": ["acme.x"], "events_paused": 2}),
            ),
            line(29, "plugin.publish", json!({"generation": 3})),
            line(20, "plugin.reject", json!({"digest": "b", "code": "PLG080", "message": "no"})),
        ];
        let generations = [generation(3, "c", Some(30)), generation(2, "b", None), generation(5, "z", None), generation(1, "a", Some(10))];
        let all = merged(lines, &generations, false, None);
        let told: Vec<_> = all.iter().map(|h| (h.what.as_str(), h.generation, h.digest_from.as_deref(), h.digest_to.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("retire", Some(1), Some("a"), None),
                ("reload", Some(3), Some("a"), Some("c")),
                ("reject", None, None, Some("b")),
                ("opened", Some(5), None, Some("z")),
            ],
            "generation 1 is told by its end, 2 by its rejection"
        );
        assert_eq!((all[0].drained_ms, all[1].events_paused, all[2].why.as_deref()), (Some(7), Some(2), Some("PLG080")));
        assert_eq!((all[1].placement.as_deref(), all[1].types_changed.as_slice()), (Some("runner"), &["acme.x".to_owned()][..]));
    }

    #[test]
    fn a_full_page_tells_no_generation_beyond_it() {
        let lines = || vec![line(40, "plugin.load", json!({"generation": 9})), line(30, "plugin.unload", json!({}))];
        let generations = [generation(50, "z", Some(50)), generation(35, "y", Some(35)), generation(20, "x", Some(20))];
        let numbers = |more, until: Option<i64>| {
            merged(lines(), &generations, more, until.map(at)).iter().filter_map(|h| h.generation).collect::<Vec<_>>()
        };
        assert_eq!(numbers(true, None), [50, 9, 35]);
        assert_eq!(numbers(true, Some(45)), [9, 35]);
        assert_eq!(numbers(false, Some(60)), [50, 9, 35, 20]);
    }
}
