//! When a file has stopped changing: two equal looks some time apart, or a rename into place.
//!
//! Not a reader: looks and times are arguments. What must hold: a file that is being written is never taken as settled between two
//! writes that are less than the settle time apart.

use std::time::{Duration, Instant};

/// Two equal looks this far apart settle a file.
pub const SETTLE: Duration = Duration::from_millis(150);
/// A file whose content is older than this when it first shows up under another inode was renamed into place.
const OLD_NS: i128 = 1_000_000_000;

/// What `stat` says of the file that a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The device and inode.
    pub inode: (u64, u64),
    /// Size in bytes.
    pub size: u64,
    /// Last change of content, nanoseconds since the Unix epoch.
    pub mtime_ns: i128,
    /// Last change of content or attributes, nanoseconds since the Unix epoch.
    pub ctime_ns: i128,
}

/// A plugin's file, its settings file and its signature at one instant. `None`: not there, or a symlink that leads nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// The library.
    pub code: Option<Look>,
    /// `<stem>.toml`.
    pub settings: Option<Look>,
    /// `<file>.minisig`.
    pub signature: Option<Look>,
}

/// What was seen last, since when, and whether it may be believed.
#[derive(Clone, Copy, Debug)]
pub struct Settling {
    /// As seen last.
    pub seen: Fingerprint,
    /// When it was first seen so.
    pub since: Instant,
    /// It has stopped changing.
    pub settled: bool,
}

impl Settling {
    /// The first look at a file. `wall_ns` is the wall clock in nanoseconds since the Unix epoch.
    pub fn first(seen: Fingerprint, at: Instant, wall_ns: i128) -> Self {
        let settled = Fingerprint::default().gives_way_to(&seen, wall_ns);
        Self { seen, since: at, settled }
    }

    /// A further look.
    pub fn look(&mut self, seen: Fingerprint, at: Instant, wall_ns: i128) {
        if seen == self.seen {
            self.settled |= at.saturating_duration_since(self.since) >= SETTLE;
            return;
        }
        // Only a file that had settled before can be settled by one look: else the part that did not change now may still be on its way.
        let settled = self.settled && self.seen.gives_way_to(&seen, wall_ns);
        *self = Self { seen, since: at, settled };
    }
}

impl Fingerprint {
    /// Whether each part is as it was, or was renamed into place.
    fn gives_way_to(&self, now: &Self, wall_ns: i128) -> bool {
        let parts = [(self.code, now.code), (self.settings, now.settings), (self.signature, now.signature)];
        parts.into_iter().all(|(before, now)| in_place(before, now, wall_ns))
    }
}

fn in_place(before: Option<Look>, now: Option<Look>, wall_ns: i128) -> bool {
    match (before, now) {
        (None, None) => true,
        (Some(before), Some(now)) if before == now => true,
        (before, Some(now)) => before.is_none_or(|b| b.inode != now.inode) && wall_ns - now.mtime_ns >= OLD_NS,
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: i128 = 1_800_000_000_000_000_000;

    fn look(inode: u64, size: u64, age_ms: i128) -> Look {
        Look { inode: (1, inode), size, mtime_ns: WALL - age_ms * 1_000_000, ctime_ns: WALL }
    }

    fn code(look: Look) -> Fingerprint {
        Fingerprint { code: Some(look), ..Fingerprint::default() }
    }

    /// Looks at `(milliseconds, fingerprint)` in turn; whether each left the file settled.
    fn verdicts(looks: &[(u64, Fingerprint)]) -> Vec<bool> {
        let start = Instant::now();
        let wall = |ms: u64| WALL + i128::from(ms) * 1_000_000;
        let mut state: Option<Settling> = None;
        let mut verdicts = Vec::new();
        for (ms, seen) in looks {
            let at = start + Duration::from_millis(*ms);
            match &mut state {
                None => state = Some(Settling::first(*seen, at, wall(*ms))),
                Some(s) => s.look(*seen, at, wall(*ms)),
            }
            verdicts.push(state.expect("just set").settled);
        }
        verdicts
    }

    #[test]
    fn a_fresh_file_needs_two_equal_looks_apart() {
        let fresh = code(look(7, 10, 0));
        assert_eq!(verdicts(&[(0, fresh), (50, fresh), (149, fresh), (150, fresh)]), [false, false, false, true]);
    }

    #[test]
    fn growing_starts_anew() {
        let (a, b) = (code(look(7, 10, 0)), code(look(7, 20, -100)));
        assert_eq!(verdicts(&[(0, a), (100, b), (200, b), (250, b)]), [false, false, false, true]);
    }

    #[test]
    fn a_rename_into_place_is_believed_at_once() {
        let (old, renamed) = (code(look(7, 10, 60_000)), code(look(8, 12, 5_000)));
        assert_eq!(verdicts(&[(0, old), (1000, renamed)]), [true, true]);
    }

    #[test]
    fn a_rename_of_something_just_written_waits() {
        let (old, renamed) = (code(look(7, 10, 60_000)), code(look(8, 12, 0)));
        assert_eq!(verdicts(&[(0, old), (500, renamed), (650, renamed)]), [true, false, true]);
    }

    #[test]
    fn written_in_place_waits_even_with_an_old_time() {
        let (before, after) = (code(look(7, 10, 60_000)), code(look(7, 12, 50_000)));
        assert_eq!(verdicts(&[(0, before), (10, after), (160, after)]), [true, false, true]);
    }

    #[test]
    fn a_part_on_its_way_is_not_hidden_by_the_other() {
        let growing = look(7, 10, 0);
        let (a, b) = (code(growing), Fingerprint { settings: Some(look(9, 1, 9_000)), ..code(growing) });
        assert_eq!(verdicts(&[(0, a), (10, b), (160, b)]), [false, false, true]);
    }

    #[test]
    fn a_part_that_goes_away_waits() {
        let with = Fingerprint { settings: Some(look(9, 1, 9_000)), ..code(look(7, 10, 9_000)) };
        let without = Fingerprint { settings: None, ..with };
        assert_eq!(verdicts(&[(0, with), (10, without), (160, without)]), [true, false, true]);
    }

    #[test]
    fn a_signature_is_a_part_like_the_others() {
        let unsigned = code(look(7, 10, 9_000));
        let signed = |age_ms| Fingerprint { signature: Some(look(9, 1, age_ms)), ..unsigned };
        assert_eq!(verdicts(&[(0, unsigned), (10, signed(0)), (160, signed(0))]), [true, false, true]);
        assert_eq!(verdicts(&[(0, unsigned), (10, signed(9_000))]), [true, true], "renamed into place");
    }
}
