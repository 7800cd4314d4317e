//! Stored arguments held to what a new build offers: those that do not fit a changed schema are put to the build, which may carry them over.
//!
//! It reads no store and sends nothing: pages and answers are arguments. What must hold: what is stored is never rewritten, and no more questions
//! are open at a time than the build can be asked.

use crate::engine::schema;
use crate::problem;
use crate::registry::{Coming, Snapshot};
use serde::Serialize;
use serde_json::value::RawValue;
use sexton_core::{EventId, TypeId};
use sexton_loader::seam::Order;
use sexton_plugin_api::wire::{Batch, EntryFailure};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};

/// Rows of one page.
pub const PAGE: usize = 500;
/// Questions that are open at a time.
const ASKED_MAX: usize = 64;
/// Refused events that are named.
const NAMED_MAX: usize = 20;

/// A type of which the new build offers another schema.
#[derive(Debug)]
pub struct Changed {
    /// The store's number.
    pub id: TypeId,
    /// Its name.
    pub event_type: String,
    /// What the build offers.
    pub coming: Arc<Coming>,
    /// Standing events of these keys are declared anew: what is stored of them is replaced.
    pub declared: BTreeSet<String>,
}

/// What a check of stored arguments found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// Events looked at.
    pub checked: u64,
    /// Those whose arguments the new build does not accept.
    #[serde(skip)]
    pub refused: Vec<EventId>,
    /// The first of them.
    pub named: Vec<RefusedArgs>,
}

/// Arguments that a build does not accept.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedArgs {
    /// Of which event.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// Why, for people.
    pub why: String,
}

/// Arguments that do not fit the schema as they are stored.
#[derive(Debug)]
struct Doubt {
    event: EventId,
    of: usize,
    args: Box<RawValue>,
}

/// One check, and how far it has come.
#[derive(Debug)]
pub struct Check {
    /// What the build offered.
    pub batch: Batch,
    /// What was found.
    pub findings: Findings,
    /// Everything is read and answered, and what follows was done.
    pub concluded: bool,
    before: Weak<Snapshot>,
    changed: Vec<Changed>,
    reading: usize,
    after: Option<EventId>,
    doubts: VecDeque<Doubt>,
    asked: BTreeMap<u64, (EventId, usize)>,
    questions: u64,
}

impl Check {
    /// A check of these types. `before` is the snapshot in force until now: while somebody holds it, events that only the old schemas judged may
    /// still come to be stored.
    pub fn new(batch: Batch, changed: Vec<Changed>, before: &Arc<Snapshot>) -> Self {
        Self {
            batch,
            findings: Findings::default(),
            concluded: false,
            before: Arc::downgrade(before),
            changed,
            reading: 0,
            after: None,
            doubts: VecDeque::new(),
            asked: BTreeMap::new(),
            questions: 0,
        }
    }

    /// The types under check.
    pub fn changed(&self) -> &[Changed] {
        &self.changed
    }

    /// Somebody may still store what was judged by the old schemas alone.
    pub fn waits_for_intake(&self) -> bool {
        self.before.strong_count() > 0
    }

    /// The page to read next, once nothing of the one before waits to be asked.
    pub fn next_page(&self) -> Option<(TypeId, Option<EventId>)> {
        let changed = self.changed.get(self.reading).filter(|_| self.doubts.is_empty())?;
        Some((changed.id, self.after))
    }

    /// Takes that page. `is_replaced` says whether an event is a standing one under one of these keys.
    pub fn take_page(&mut self, rows: Vec<(EventId, Box<RawValue>)>, is_replaced: impl Fn(EventId, &BTreeSet<String>) -> bool) {
        let Some(changed) = self.changed.get(self.reading) else { return };
        let is_last = rows.len() < PAGE;
        self.after = rows.last().map(|(id, _)| *id);
        for (event, args) in rows {
            self.findings.checked += 1;
            let fits = fault(changed, args.get()).is_none();
            if !fits && !is_replaced(event, &changed.declared) {
                self.doubts.push_back(Doubt { event, of: self.reading, args });
            }
        }
        if is_last {
            self.reading += 1;
            self.after = None;
        }
    }

    /// The next question for the build, if one may be asked.
    pub fn next_question(&mut self) -> Option<Order> {
        if self.asked.len() >= ASKED_MAX {
            return None;
        }
        let Doubt { event, of, args } = self.doubts.pop_front()?;
        self.questions += 1;
        self.asked.insert(self.questions, (event, of));
        let event_type = self.changed[of].event_type.clone();
        Some(Order::Migrate { question: self.questions, event_type, args: args.get().to_owned() })
    }

    /// The build answered. What it makes of the arguments is what a run would see: that has to fit.
    pub fn take_answer(&mut self, question: u64, answer: Result<String, EntryFailure>) {
        let Some((event, of)) = self.asked.remove(&question) else { return };
        let changed = &self.changed[of];
        let why = match answer {
            Ok(args) => fault(changed, &args),
            Err(failure) => Some(problem::entry_failure(&failure)),
        };
        let Some(why) = why else { return };
        self.findings.refused.push(event);
        if self.findings.named.len() < NAMED_MAX {
            self.findings.named.push(RefusedArgs { event, event_type: changed.event_type.clone(), why });
        }
    }

    /// Nothing is left to be read, asked or answered.
    pub fn is_done(&self) -> bool {
        self.reading >= self.changed.len() && self.doubts.is_empty() && self.asked.is_empty()
    }

    /// A type about which the build was asked and has not answered.
    pub fn asked_of(&self) -> Option<&str> {
        self.asked.values().next().map(|(_, of)| self.changed[*of].event_type.as_str())
    }
}

/// Why arguments do not fit. An event stored without any carries null, which a job reads like `{}`.
fn fault(changed: &Changed, args: &str) -> Option<String> {
    let Coming { args_schema, validator, .. } = &*changed.coming;
    let judge = |args: &str| schema::check(&changed.event_type, args_schema, validator, args).err();
    let refusal = judge(args)?;
    let refusal = if args.trim() == "null" { judge("{}")? } else { refusal };
    let found = refusal.found.map_or_else(String::new, |found| format!(", found {found}"));
    Some(format!("{}{found}", refusal.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::offer;
    use serde_json::{Value, json};

    fn check(schema: Value) -> Check {
        let validator = offer::validator(&schema).expect("a schema");
        let coming = Arc::new(Coming { plugin: "acme".to_owned(), args_schema: schema, validator });
        let declared = BTreeSet::from(["always".to_owned()]);
        let changed = Changed { id: TypeId(7), event_type: "acme.a".to_owned(), coming, declared };
        Check::new(Batch::default(), vec![changed], &Arc::default())
    }

    fn rows(count: i64, args: &str) -> Vec<(EventId, Box<RawValue>)> {
        (1..=count).map(|n| (EventId(n), RawValue::from_string(args.to_owned()).expect("JSON"))).collect()
    }

    fn failure() -> EntryFailure {
        EntryFailure { kind: "error".to_owned(), message: "too old".to_owned(), place: None }
    }

    #[test]
    fn what_fits_is_not_asked_about_and_pages_go_on() {
        let mut check = check(json!({"type": "object", "required": ["name"]}));
        assert!(!check.waits_for_intake(), "nobody holds the snapshot");
        assert_eq!(check.next_page(), Some((TypeId(7), None)));
        check.take_page(rows(PAGE as i64, r#"{"name": 1}"#), |_, _| false);
        assert_eq!(check.next_page(), Some((TypeId(7), Some(EventId(PAGE as i64)))));
        assert!(check.next_question().is_none() && !check.is_done());
        check.take_page(rows(1, r#"{"name": 1}"#), |_, _| false);
        assert!(check.is_done() && check.findings.checked == PAGE as u64 + 1 && check.findings.refused.is_empty());
    }

    #[test]
    fn questions_are_bounded_and_hold_up_the_next_page() {
        let mut check = check(json!({"required": ["name"]}));
        check.take_page(rows(100, "{}"), |_, _| false);
        let mut asked = 0;
        while check.next_question().is_some() {
            asked += 1;
        }
        assert_eq!(asked, ASKED_MAX);
        assert!(check.next_page().is_none() && !check.is_done());
        check.take_answer(1, Ok(r#"{"name": "x"}"#.to_owned()));
        check.take_answer(2, Err(failure()));
        check.take_answer(2, Err(failure()));
        check.take_answer(3, Ok("{}".to_owned()));
        assert_eq!(check.findings.refused, [EventId(2), EventId(3)], "an answer is taken once");
        assert!(check.findings.named[0].why.contains("too old") && check.findings.named[1].why.contains("name"));
        assert!(check.next_question().is_some());
    }

    #[test]
    fn only_some_of_the_refused_are_named() {
        let mut check = check(json!(false));
        check.take_page(rows(50, "{}"), |_, _| false);
        while let Some(Order::Migrate { question, args, .. }) = check.next_question() {
            check.take_answer(question, Ok(args));
        }
        assert!(check.is_done());
        assert_eq!((check.findings.refused.len(), check.findings.named.len()), (50, NAMED_MAX));
    }

    #[test]
    fn null_is_read_as_no_arguments_and_what_is_declared_anew_is_passed_over() {
        let mut check = check(json!({"type": "object", "maxProperties": 0}));
        check.take_page(rows(1, "null"), |_, _| false);
        assert!(check.is_done() && check.findings.refused.is_empty());
        let mut check = self::check(json!(false));
        check.take_page(rows(1, "{}"), |event, keys| event == EventId(1) && keys.contains("always"));
        assert!(check.is_done() && check.findings.refused.is_empty());
    }
}
