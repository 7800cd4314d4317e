//! `#[scheduled_event]` in the wrong shapes.
use sexton_plugin_api::prelude::*;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

#[derive(Deserialize, JsonSchema)]
struct Job {}

#[scheduled_event("acme.job")]
impl ScheduledEventJob for Job {}

#[scheduled_event(EVENTS, "Acme Job")]
impl ScheduledEventJob for Job {}

#[scheduled_event(EVENTS, "sexton.job")]
impl ScheduledEventJob for Job {}

#[scheduled_event(EVENTS, "acme.job", attempts = 0)]
impl ScheduledEventJob for Job {}

#[scheduled_event(EVENTS, "acme.job", first_delay = "soon")]
impl ScheduledEventJob for Job {}

#[scheduled_event(EVENTS, "acme.job", tries = 3)]
impl ScheduledEventJob for Job {}

#[scheduled_event(EVENTS, "acme.job")]
struct Other {}

#[scheduled_event(EVENTS, "acme.job")]
impl Job {}

#[scheduled_event(EVENTS, "acme.job")]
impl<T> ScheduledEventJob for Vec<T> {}

#[scheduled_event(EVENTS, "acme.job")]
impl Drop for Job {}
