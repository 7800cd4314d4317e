//! `GET /statistics`: how many runs of each type there were, how long they took and how late they began; pruned ones included.
//!
//! Not the sums (the store's). What must hold: times are milliseconds, and absent where no run was started.

use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::Asked;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::stats::{ByOutcome, Histogram};
use sexton_store::rows::TypeStats;

/// What is shown of a length of time, in milliseconds. Quantiles are off by a thirty-second at most, `max` and `mean` by nothing.
#[derive(Debug, Serialize)]
pub struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
    mean: f64,
}

/// The statistics of a type.
#[derive(Debug, Serialize)]
pub struct StatsView {
    event_type: String,
    /// The beginning of the first hour that is in it.
    from: DateTime<Utc>,
    runs: u64,
    #[serde(flatten)]
    by: ByOutcome,
    /// From start to end.
    duration_ms: Option<Spread>,
    /// From due to start.
    lateness_ms: Option<Spread>,
    last_success: Option<DateTime<Utc>>,
    /// How many attempts failed since.
    failed_in_a_row: u64,
}

fn spread(of: &Histogram) -> Option<Spread> {
    let ms = |micros: u64| std::time::Duration::from_micros(micros).as_secs_f64() * 1e3;
    Some(Spread { p50: ms(of.quantile(500)?), p99: ms(of.quantile(990)?), max: ms(of.max()?), mean: ms(of.mean()?) })
}

/// As it is shown.
#[must_use]
pub fn view(of: TypeStats) -> StatsView {
    StatsView {
        event_type: of.event_type,
        from: of.from,
        runs: of.tally.by.runs(),
        by: of.tally.by,
        duration_ms: spread(&of.tally.duration),
        lateness_ms: spread(&of.tally.lateness),
        last_success: of.tally.last_success.and_then(DateTime::from_timestamp_micros),
        failed_in_a_row: of.tally.failed_in_a_row,
    }
}

/// `GET /statistics`.
pub async fn list(State(rooms): State<Shared>, mut asked: Asked) -> Answer<Items<StatsView>> {
    let (event_type, since) = (asked.take("type"), asked.instant("since")?);
    asked.done()?;
    let items = blocking(move || -> Result<_, No> {
        let found = rooms.store.statistics(event_type.as_deref(), since)?;
        Ok(found.into_iter().map(view).collect())
    });
    ok(Items::all(items.await?))
}
