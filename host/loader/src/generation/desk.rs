//! The desk: reads orders and puts them where they belong.
//!
//! It never runs plugin code and never waits for any, so that a cancel or an answer gets through whatever the plugin does. What must hold:
//! it ends only when the host has dropped its end of the queue.

use super::Shared;
use super::board::Question;
use crate::seam::Order;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

/// The thread.
pub(super) fn run(shared: &Arc<Shared>, inbox: &Receiver<Order>) {
    while let Ok(order) = inbox.recv() {
        match order {
            Order::Load(order) => {
                shared.logs.set_level(order.log_level);
                shared.take_load(order);
            }
            Order::Run(orders) => shared.take_runs(orders),
            Order::Act(order) => shared.take_question(Question::Act(order)),
            Order::Migrate { question, event_type, args } => shared.take_question(Question::Migrate { question, event_type, args }),
            Order::Answer { call, answer } => shared.calls.answer(call, answer),
            Order::Cancel { run } => shared.stops.stop(run),
            Order::Activate => shared.active.store(true, Ordering::Release),
            Order::LogLevel(level) => {
                shared.logs.set_level(level);
                shared.take_question(Question::LogLevel(level));
            }
            Order::Drain => shared.drain(),
            Order::Unload | Order::Kill(_) => shared.unload_now(),
        }
    }
    shared.end_when_quiet();
}
