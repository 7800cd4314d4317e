//! Floating rules: those that give civil times and know no zone.
//!
//! Not the zone (`civil`). What must hold: `next` is the first match at or after its question, `count` agrees with walking it.

use super::cron::Pattern;
use super::grid::CivilGrid;
use super::rrule::Rules;
use super::steps::Steps;
use jiff::civil::DateTime as Civil;

/// The floating rules there are.
#[derive(Debug)]
pub(super) enum Floating {
    /// A cron expression.
    Cron(Pattern),
    /// An RFC 5545 recurrence.
    Rrule(Rules),
    /// Whole days, weeks, months or years from an anchor.
    Grid(CivilGrid),
}

impl Floating {
    /// The first match at or after `from`. `None`: there is none, or the budget is spent.
    pub(super) fn next(&self, from: Civil, steps: &mut Steps) -> Option<Civil> {
        match self {
            Self::Cron(pattern) => pattern.next(from, steps),
            Self::Rrule(rules) => rules.next(from, steps),
            Self::Grid(grid) => grid.next(from),
        }
    }

    /// Matches from `from`, before `to`.
    pub(super) fn count(&self, from: Civil, to: Civil) -> i64 {
        if to <= from {
            return 0;
        }
        match self {
            Self::Cron(pattern) => pattern.count(from, to),
            Self::Rrule(rules) => rules.count(from, to),
            Self::Grid(grid) => grid.count(from, to),
        }
    }
}
