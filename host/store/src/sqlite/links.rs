//! Links between events: which may be made, writing and reading them.
//!
//! Not what an end sets off (`chains`). What must hold: no event follows itself by any way, the longest way and the widest fan are bounded, and
//! nothing is linked to an event that is not there or can set nothing off any more.

use super::codec::{is_open, outcome_of, state_of, state_word};
use super::failure::damaged;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::LinkRow;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::decide::chain::{DEPTH_MAX, FOLLOWERS_MAX, Followed, Follower, Over};
use sexton_core::schedule::Rule;
use sexton_core::schedule::follows::{Link, On};
use sexton_core::{Blame, EventId, EventState, Refusal, Schedule};
use std::collections::HashMap;

type Result<T> = std::result::Result<T, StoreError>;

/// Events that are looked at to see that a chain is none too long.
const WALK_MAX: usize = 10_000;

/// A link that may be made.
pub(super) struct Made {
    link: Link,
    satisfied: bool,
}

/// Looks whether a new event may follow these. Writes nothing. `replaced`: what is to be cancelled for it.
pub(super) fn check_new(tx: &Tx<'_>, event: i64, schedule: &Schedule, replaced: &[EventId], now: DateTime<Utc>) -> Result<Vec<Made>> {
    let Rule::Follows { links } = &schedule.rule else { return Ok(Vec::new()) };
    let hears = Follower { links: &[], terms: &schedule.terms, given: 0, rows_left: 0 }.hears(now);
    let mut made = Vec::with_capacity(links.len());
    for link in links {
        if replaced.contains(&link.event) {
            return Err(not_to_be_followed(link, "is the one that it replaces").into());
        }
        let satisfied = match state(tx, link)? {
            state if is_open(state) => false,
            state => match last_end(tx, link.event, state)? {
                Some(over) if link.on.counts(over) && hears => true,
                Some(over) => return Err(over_already(link, state, &format!("its last occurrence {}", over.word())).into()),
                None => return Err(over_already(link, state, "no run of it is kept").into()),
            },
        };
        made.push(Made { link: *link, satisfied });
    }
    check_shape(tx, event, links)?;
    Ok(made)
}

/// Writes what was checked.
pub(super) fn write(tx: &Tx<'_>, follower: i64, made: &[Made]) -> Result<()> {
    let mut insert = tx.conn.prepare_cached("INSERT INTO links (follower, upstream, on_, satisfied, open) VALUES (?1, ?2, ?3, ?4, 1)")?;
    let mut follow = tx.conn.prepare_cached("UPDATE events SET followed = 1 WHERE id = ?1 AND followed = 0")?;
    for Made { link, satisfied } in made {
        insert.execute((follower, link.event.0, number(link.on), satisfied))?;
        follow.execute([link.event.0])?;
    }
    Ok(())
}

/// For an edit: an event follows what its new schedule says, from now on. An edit never fires, so that what has ended is refused.
pub(super) fn relink(tx: &Tx<'_>, event: i64, schedule: &Schedule) -> Result<()> {
    forget(tx, event)?;
    let Rule::Follows { links } = &schedule.rule else { return Ok(()) };
    let mut made = Vec::with_capacity(links.len());
    for link in links {
        let state = state(tx, link)?;
        if !is_open(state) {
            return Err(over_already(link, state, "an edit sets nothing off").into());
        }
        made.push(Made { link: *link, satisfied: false });
    }
    check_shape(tx, event, links)?;
    write(tx, event, &made)
}

/// No way back to itself, and neither too long nor too wide.
fn check_shape(tx: &Tx<'_>, event: i64, links: &[Link]) -> Result<()> {
    let most = i64::try_from(FOLLOWERS_MAX).unwrap_or(i64::MAX);
    for link in links {
        let followers: i64 = tx
            .conn
            .prepare_cached("SELECT count(*) FROM links INDEXED BY links_of_upstream WHERE upstream = ?1 AND open = 1")?
            .query_row([link.event.0], |row| row.get(0))?;
        if followers >= most {
            return Err(too_large(&format!("more than {FOLLOWERS_MAX} open events would follow event {}", link.event))
                .expected(format!("at most {FOLLOWERS_MAX}"))
                .remedy("let one event follow it, whose job schedules the others")
                .into());
        }
    }
    let mut up = Walk::of(tx, event, "SELECT upstream FROM links WHERE follower = ?1 AND open = 1");
    let mut above = 0;
    for link in links {
        above = above.max(up.depth(link.event.0)?);
    }
    let mut down = Walk::of(tx, event, "SELECT follower FROM links INDEXED BY links_of_upstream WHERE upstream = ?1 AND open = 1");
    let mut below = 0;
    for follower in down.next(event)? {
        below = below.max(down.depth(follower)?);
    }
    if above + 1 + below > DEPTH_MAX {
        return Err(too_deep(above + 1 + below).into());
    }
    Ok(())
}

/// A walk from event to event, in one direction.
struct Walk<'a, 't> {
    tx: &'a Tx<'t>,
    from: i64,
    sql: &'static str,
    path: Vec<i64>,
    depths: HashMap<i64, usize>,
}

impl<'a, 't> Walk<'a, 't> {
    fn of(tx: &'a Tx<'t>, from: i64, sql: &'static str) -> Self {
        Self { tx, from, sql, path: Vec::new(), depths: HashMap::new() }
    }

    fn next(&self, event: i64) -> Result<Vec<i64>> {
        let mut select = self.tx.conn.prepare_cached(self.sql)?;
        let rows = select.query_map([event], |row| row.get(0))?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// Events on the longest way from this one on, itself included.
    fn depth(&mut self, event: i64) -> Result<usize> {
        if event == self.from {
            return Err(self.cycle().into());
        }
        if let Some(depth) = self.depths.get(&event) {
            return Ok(*depth);
        }
        if self.path.len() >= DEPTH_MAX {
            return Err(too_deep(self.path.len() + 1).into());
        }
        if self.depths.len() >= WALK_MAX {
            return Err(too_large("the chain has too many events").expected(format!("at most {WALK_MAX}")).into());
        }
        self.path.push(event);
        let mut deepest = 0;
        for next in self.next(event)? {
            deepest = deepest.max(self.depth(next)?);
        }
        self.path.pop();
        self.depths.insert(event, deepest + 1);
        Ok(deepest + 1)
    }

    fn cycle(&self) -> Refusal {
        let way = std::iter::once(self.from).chain(self.path.iter().copied()).chain([self.from]);
        let way: Vec<String> = way.map(|id| EventId(id).to_string()).collect();
        Refusal::new("INP038", Blame::Input, format!("event {} would follow itself", EventId(self.from)))
            .expected("events that wait for others, and not in the end for themselves")
            .found(way.join(" follows "))
            .remedy("leave one of these links out; what is to go round has a schedule of its own, such as `--after-each`")
    }
}

fn too_large(what: &str) -> Refusal {
    Refusal::new("INP039", Blame::Input, what)
}

fn too_deep(found: usize) -> Refusal {
    too_large("the chain is too long").expected(format!("at most {DEPTH_MAX} events one after another")).found(if found > DEPTH_MAX {
        format!("more than {DEPTH_MAX}")
    } else {
        found.to_string()
    })
}

fn state(tx: &Tx<'_>, link: &Link) -> Result<EventState> {
    let found: Option<i64> =
        tx.conn.prepare_cached("SELECT state FROM events WHERE id = ?1")?.query_row([link.event.0], |row| row.get(0)).optional()?;
    found.map_or_else(|| Err(not_to_be_followed(link, "is not there").into()), state_of)
}

fn last_end(tx: &Tx<'_>, event: EventId, state: EventState) -> Result<Option<Over>> {
    let outcome: Option<i64> = tx
        .conn
        .prepare_cached("SELECT outcome FROM runs INDEXED BY runs_of_event WHERE event = ?1 AND outcome <> 5 ORDER BY id DESC LIMIT 1")?
        .query_row([event.0], |row| row.get(0))
        .optional()?;
    Ok(outcome.map(outcome_of).transpose()?.and_then(|outcome| Over::last(outcome, state)))
}

fn not_to_be_followed(link: &Link, why: &str) -> Refusal {
    Refusal::new("INP037", Blame::Input, format!("event {} cannot be followed: it {why}", link.event))
        .expected("an event that is stored, and is open or ended with the outcome that counts")
        .remedy("`sexton event list` shows what is stored")
}

fn over_already(link: &Link, state: EventState, found: &str) -> Refusal {
    not_to_be_followed(link, &format!("has ended ({})", state_word(state)))
        .expected(format!("an event that is open, or whose last end counts as `{}`", link.on.word()))
        .found(found)
}

fn number(on: On) -> i64 {
    match on {
        On::Success => 0,
        On::Failure => 1,
        On::Any => 2,
    }
}

fn on_of(number: i64) -> Result<On> {
    Ok(match number {
        0 => On::Success,
        1 => On::Failure,
        2 => On::Any,
        _ => return Err(damaged(&format!("{number} is no end that counts"))),
    })
}

/// The open events that follow one, and which end of it counts for each.
pub(super) fn followers(tx: &Tx<'_>, upstream: i64) -> Result<Vec<(i64, On)>> {
    let mut select = tx.conn.prepare_cached(FOLLOWERS)?;
    let rows: Vec<(i64, i64)> =
        select.query_map([upstream], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<std::result::Result<_, _>>()?;
    rows.into_iter().map(|(follower, on)| Ok((follower, on_of(on)?))).collect()
}

/// The text of [`followers`].
pub(super) const FOLLOWERS: &str =
    "SELECT follower, on_ FROM links INDEXED BY links_of_upstream WHERE upstream = ?1 AND open = 1 ORDER BY follower";

/// What an event follows, as it stands.
pub(super) fn of(conn: &Connection, follower: i64) -> Result<Vec<Followed>> {
    let mut select = conn.prepare_cached(
        "SELECT l.upstream, l.on_, l.satisfied, e.state FROM links l LEFT JOIN events e ON e.id = l.upstream WHERE l.follower = ?1
         ORDER BY l.upstream",
    )?;
    let mut rows = select.query([follower])?;
    let mut links = Vec::new();
    while let Some(row) = rows.next()? {
        let state: Option<i64> = row.get(3)?;
        links.push(Followed {
            event: EventId(row.get(0)?),
            on: on_of(row.get(1)?)?,
            satisfied: row.get(2)?,
            state: state.map(state_of).transpose()?,
        });
    }
    Ok(links)
}

/// The same, for whoever looks.
pub(super) fn shown(conn: &Connection, follower: EventId) -> Result<Vec<LinkRow>> {
    let row = |Followed { event, on, satisfied, state }| LinkRow { event, on, satisfied, state };
    Ok(of(conn, follower.0)?.into_iter().map(row).collect())
}

/// An event that has ended waits for nothing; what it followed can still be read.
pub(super) fn close(tx: &Tx<'_>, follower: i64) -> Result<()> {
    tx.conn.prepare_cached("UPDATE links SET open = 0 WHERE follower = ?1 AND open = 1")?.execute([follower])?;
    Ok(())
}

/// For an event that is pruned, or follows something else from now on.
pub(super) fn forget(tx: &Tx<'_>, follower: i64) -> Result<()> {
    tx.conn.prepare_cached("DELETE FROM links WHERE follower = ?1")?.execute([follower])?;
    Ok(())
}
