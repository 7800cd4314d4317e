//! What authors do with resources and bots: make them, look into them.
//!
//! Not their layout (`wire`). What must hold: looking never fails, an absent property is `None`.

use crate::wire::{Bot, Resource};
use serde_json::Value;

impl Resource {
    /// A resource without properties.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { id: id.into(), kind: kind.into(), ..Self::default() }
    }

    /// Adds a property.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// A property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.properties.get(name)
    }

    /// A property that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.property(name).and_then(Value::as_str)
    }
}

impl Bot {
    /// A bot with this id and name.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into() }
    }
}
