//! The next snapshot of the registry, made from the store's rows and from what serves.
//!
//! Not the swap. What must hold: every type that the store knows is in it, served or not; a type that did not change keeps its compiled schema.

use super::offer;
use crate::registry::{Coming, KnownType, ServedAction, Serving, Snapshot};
use jsonschema::Validator;
use serde_json::Value;
use sexton_core::TypeId;
use sexton_plugin_api::wire::ActionOffer;
use sexton_store::rows::TypeRow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What one generation serves.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// Where its orders go.
    pub serving: &'a Arc<Serving>,
    /// Its event types.
    pub types: &'a [String],
    /// Its actions.
    pub actions: &'a [ActionOffer],
}

/// Schemas that builds on their way in offer, by type.
pub type AllComing = HashMap<TypeId, Arc<Coming>>;

/// Builds the next snapshot; `before` lends its compiled schemas.
pub fn build<'a>(
    before: &Snapshot,
    rows: &BTreeMap<TypeId, TypeRow>,
    served: impl Iterator<Item = Served<'a>>,
    coming: &AllComing,
) -> Snapshot {
    let mut by_type: HashMap<&str, &Arc<Serving>> = HashMap::new();
    let mut next = Snapshot::default();
    for one in served {
        by_type.extend(one.types.iter().map(|t| (t.as_str(), one.serving)));
        for offer in one.actions {
            next.actions.insert(offer.uid.clone(), Arc::new(ServedAction { offer: offer.clone(), serving: Arc::clone(one.serving) }));
        }
    }
    for row in rows.values() {
        let serving = by_type.get(row.event_type.as_str()).copied();
        let known = known(before.by_id.get(&row.id), row, serving, coming.get(&row.id));
        next.types.insert(row.event_type.clone(), Arc::clone(&known));
        next.by_id.insert(row.id, known);
    }
    next
}

fn known(before: Option<&Arc<KnownType>>, row: &TypeRow, serving: Option<&Arc<Serving>>, coming: Option<&Arc<Coming>>) -> Arc<KnownType> {
    let same_schema = before.filter(|b| b.args_schema == row.args_schema);
    let unchanged = |b: &KnownType| {
        same(b.serving.as_ref(), serving) && same(b.coming.as_ref(), coming) && b.owner == row.owner && b.time_limit == row.time_limit
    };
    if let Some(before) = same_schema.filter(|b| unchanged(b)) {
        return Arc::clone(before);
    }
    Arc::new(KnownType {
        event_type: row.event_type.clone(),
        id: row.id,
        owner: row.owner.clone(),
        args_schema: row.args_schema.clone(),
        validator: same_schema.map_or_else(|| stored_validator(row), |b| b.validator.clone()),
        time_limit: row.time_limit,
        coming: coming.cloned(),
        serving: serving.cloned(),
    })
}

fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// A stored schema compiled when it was published. Should a later build of the host not understand it, arguments are judged by the job alone.
fn stored_validator(row: &TypeRow) -> Validator {
    offer::validator(&row.args_schema).unwrap_or_else(|why| {
        tracing::warn!(
            event_type = row.event_type,
            why,
            "the stored schema of an event type does not compile; its arguments are not checked"
        );
        offer::validator(&Value::Bool(true)).expect("`true` is a schema")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Placement;
    use chrono::DateTime;
    use serde_json::json;

    fn row(id: i64, event_type: &str, schema: Value) -> TypeRow {
        TypeRow {
            id: TypeId(id),
            event_type: event_type.to_owned(),
            owner: Some("acme".to_owned()),
            args_schema: schema,
            schema_digest: String::new(),
            retry: None,
            time_limit: sexton_core::TimeLimit::default(),
            first_seen_at: DateTime::UNIX_EPOCH,
        }
    }

    fn rows(all: &[TypeRow]) -> BTreeMap<TypeId, TypeRow> {
        all.iter().map(|r| (r.id, r.clone())).collect()
    }

    fn serving(generation: i64) -> Arc<Serving> {
        let orders = std::sync::mpsc::channel().0;
        let placement = Placement::InProcess;
        Arc::new(Serving {
            plugin: "acme".to_owned(),
            generation,
            digest: String::new(),
            placement,
            orders,
            run_time: None,
            output_max: 1,
            in_flight_max: 1,
            succeeded: false.into(),
        })
    }

    #[test]
    fn every_known_type_is_there_served_or_not() {
        let one = serving(1);
        let known = rows(&[row(1, "acme.a", json!({"type": "object"})), row(2, "acme.b", json!(true))]);
        let actions = [ActionOffer { uid: "acme.action".to_owned(), bulk: true, accepts_complement: false }];
        let served = Served { serving: &one, types: &["acme.a".to_owned()], actions: &actions };
        let next = build(&Snapshot::default(), &known, [served].into_iter(), &AllComing::new());
        assert_eq!(next.served(), [TypeId(1)]);
        assert!(next.types["acme.b"].serving.is_none() && next.by_id[&TypeId(2)].validator.is_valid(&json!(1)));
        assert!(!next.types["acme.a"].validator.is_valid(&json!(1)));
        assert_eq!(next.actions["acme.action"].serving.generation, 1);
    }

    #[test]
    fn what_did_not_change_is_kept_and_what_did_is_not() {
        let (one, two) = (serving(1), serving(2));
        let known = rows(&[row(1, "acme.a", json!(true)), row(2, "acme.b", json!(true))]);
        let types = ["acme.a".to_owned()];
        let by = |serving| [Served { serving, types: &types, actions: &[] }].into_iter();
        let none = AllComing::new();
        let first = build(&Snapshot::default(), &known, by(&one), &none);
        let changed = rows(&[row(1, "acme.a", json!(false)), row(2, "acme.b", json!(true))]);
        let second = build(&first, &changed, by(&two), &none);
        assert!(Arc::ptr_eq(&first.types["acme.b"], &second.types["acme.b"]));
        assert!(!second.types["acme.a"].validator.is_valid(&json!(1)), "the new schema is in force");
        assert_eq!(second.types["acme.a"].serving.as_ref().expect("served").generation, 2);
    }

    #[test]
    fn a_schema_on_its_way_in_is_told_and_forgotten() {
        let one = serving(1);
        let known = rows(&[row(1, "acme.a", json!(true)), row(2, "acme.b", json!(true))]);
        let types = ["acme.a".to_owned()];
        let by = || [Served { serving: &one, types: &types, actions: &[] }].into_iter();
        let validator = offer::validator(&json!(false)).expect("a schema");
        let coming = Arc::new(Coming { plugin: "acme".to_owned(), args_schema: json!(false), validator });
        let first = build(&Snapshot::default(), &known, by(), &AllComing::from([(TypeId(1), coming)]));
        assert!(first.types["acme.a"].coming.is_some() && first.by_id[&TypeId(2)].coming.is_none());
        let second = build(&first, &known, by(), &AllComing::new());
        assert!(second.types["acme.a"].coming.is_none(), "not kept from the one before");
        assert!(Arc::ptr_eq(&first.types["acme.b"], &second.types["acme.b"]));
    }

    #[test]
    fn a_stored_schema_that_no_longer_compiles_lets_pass() {
        let next = build(&Snapshot::default(), &rows(&[row(1, "acme.a", json!({"type": "???"}))]), std::iter::empty(), &AllComing::new());
        assert!(next.types["acme.a"].validator.is_valid(&json!({"any": "thing"})));
    }
}
