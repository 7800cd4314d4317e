//! Bulk actions: what a bot calls with its matches, and how the tables call it.
//!
//! Not the bot engine. What must hold: an action that is not bulk is called once a match, and one match's failure does not keep the
//! others from their turn.

use crate::error::{ActionResult, PluginError};
use crate::panics::guarded;
use crate::wire::{ActOrder, Bot, Resource};
use serde_json::Value;

/// The code of an action without its signature. Made by `#[action]`.
#[derive(Clone, Copy)]
pub struct ActionCode {
    shape: Shape,
}

#[derive(Clone, Copy)]
enum Shape {
    Each(fn(&Bot, &Value, &Resource) -> ActionResult),
    Bulk(fn(&Bot, &Value, &[Resource]) -> ActionResult),
    BulkWithComplement(fn(&Bot, &Value, &[Resource], &[Resource]) -> ActionResult),
}

impl ActionCode {
    /// Called once a match.
    #[must_use]
    pub const fn each(code: fn(&Bot, &Value, &Resource) -> ActionResult) -> Self {
        Self { shape: Shape::Each(code) }
    }

    /// Called once with all matches.
    #[must_use]
    pub const fn bulk(code: fn(&Bot, &Value, &[Resource]) -> ActionResult) -> Self {
        Self { shape: Shape::Bulk(code) }
    }

    /// Called once with all matches and all that did not match.
    #[must_use]
    pub const fn bulk_with_complement(code: fn(&Bot, &Value, &[Resource], &[Resource]) -> ActionResult) -> Self {
        Self { shape: Shape::BulkWithComplement(code) }
    }

    pub(crate) fn call(self, order: &ActOrder) -> ActionResult {
        match self.shape {
            Shape::Each(code) => each(order, code),
            Shape::Bulk(code) => code(&order.bot, &order.settings, &order.matches),
            Shape::BulkWithComplement(code) => code(&order.bot, &order.settings, &order.matches, &order.non_matches),
        }
    }
}

fn each(order: &ActOrder, code: fn(&Bot, &Value, &Resource) -> ActionResult) -> ActionResult {
    let failures: Vec<String> = order
        .matches
        .iter()
        .filter_map(|resource| {
            let why = match guarded(|| code(&order.bot, &order.settings, resource)) {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("panicked: {}", panic.message),
            };
            Some(format!("{}: {why}", resource.id))
        })
        .collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(PluginError::new(format!("{} of {} matches failed: {}", failures.len(), order.matches.len(), failures.join("; "))))
}
