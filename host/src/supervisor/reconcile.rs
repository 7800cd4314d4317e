//! What is to be done about a file: the pure half of reconciling the directory and the decisions with what is loaded.
//!
//! It acts on nothing. What must hold: an equal digest is never loaded again because a file event came, and a decision holds exactly as long
//! as the directory shows its digest.

use super::settle::SETTLE;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a path stands in the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Listed; whether it has stopped changing.
    Listed {
        /// It has stopped changing.
        settled: bool,
    },
    /// Not listed, and for how long.
    AbsentFor(Duration),
}

/// What is to be done about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStep {
    /// Nothing, for now.
    Nothing,
    /// Inspect it.
    Take,
    /// Its file is gone.
    Gone,
}

/// First question, of the path alone. `handled`: what is seen was dealt with already. `busy`: its plugin is opening or being unloaded, or has
/// as many draining generations as it may.
pub fn file_step(presence: Presence, handled: bool, busy: bool) -> FileStep {
    match presence {
        _ if busy => FileStep::Nothing,
        Presence::AbsentFor(time) if time >= SETTLE => FileStep::Gone,
        Presence::Listed { settled: true } if !handled => FileStep::Take,
        Presence::Listed { .. } | Presence::AbsentFor(_) => FileStep::Nothing,
    }
}

/// Who wants the file looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The directory changed, or the host starts.
    Noticed,
    /// `plugin load` or `plugin release`.
    Load,
    /// `plugin reload`.
    Reload,
    /// The host itself, after a crash.
    Restart,
    /// `plugin rollback`.
    Rollback,
    /// The host itself, after a new build has died too often.
    SentBack,
}

impl Cause {
    /// What is opened is an earlier build, not what the directory shows.
    pub fn goes_back(self) -> bool {
        matches!(self, Self::Rollback | Self::SentBack)
    }
}

/// What is known once a file was inspected.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Who asks.
    pub cause: Cause,
    /// Digest of the file.
    pub digest: &'a str,
    /// Digest of the code that serves under its name.
    pub serving: Option<&'a str>,
    /// Its settings are those that the serving code was loaded with.
    pub same_settings: bool,
    /// The digest against which a decision was made.
    pub decided: Option<&'a str>,
    /// The digest that the decision wants to serve instead, if it is a rollback.
    pub instead: Option<&'a str>,
    /// Another file that is listed and holds the name.
    pub holder: Option<&'a Path>,
}

/// What is to be done about an inspected file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It serves already.
    Leave,
    /// A decision keeps it out.
    Stay,
    /// A decision wants an earlier build to serve in its place.
    Instead(String),
    /// Another file has its name.
    Duplicate(PathBuf),
    /// Load it.
    Load {
        /// A decision against another digest, or one that the verb ends, is to be forgotten first.
        ends_decision: bool,
    },
}

/// Second question, of the inspected file.
pub fn weigh(case: &Case<'_>) -> Step {
    if let Some(holder) = case.holder {
        return Step::Duplicate(holder.to_owned());
    }
    let in_force = case.decided == Some(case.digest);
    if in_force && case.cause != Cause::Load {
        let serves = |instead: &&str| case.serving == Some(*instead) && case.same_settings && case.cause != Cause::Reload;
        return case.instead.filter(|i| !serves(i)).map_or(Step::Stay, |i| Step::Instead(i.to_owned()));
    }
    let serves = case.serving == Some(case.digest) && case.same_settings;
    if serves && case.decided.is_none() && case.cause != Cause::Reload {
        return Step::Leave;
    }
    Step::Load { ends_decision: case.decided.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_once_it_settled_and_given_up_once_it_stayed_away() {
        let (settled, moving) = (Presence::Listed { settled: true }, Presence::Listed { settled: false });
        let (briefly, long) = (Presence::AbsentFor(Duration::from_millis(100)), Presence::AbsentFor(SETTLE));
        for (presence, handled, busy, wanted) in [
            (moving, false, false, FileStep::Nothing),
            (moving, true, false, FileStep::Nothing),
            (settled, false, false, FileStep::Take),
            (settled, true, false, FileStep::Nothing),
            (settled, false, true, FileStep::Nothing),
            (briefly, true, false, FileStep::Nothing),
            (long, true, false, FileStep::Gone),
            (long, false, false, FileStep::Gone),
            (long, true, true, FileStep::Nothing),
        ] {
            assert_eq!(file_step(presence, handled, busy), wanted, "{presence:?} handled {handled} busy {busy}");
        }
    }

    #[test]
    fn an_inspected_file_meets_what_serves_and_what_was_decided() {
        use Cause::{Load, Noticed, Reload};
        let load = Step::Load { ends_decision: false };
        let load_and_forget = Step::Load { ends_decision: true };
        // cause, serving, same settings, decided against, wanted; the file's digest is always "new".
        let table = [
            (Noticed, None, true, None, load.clone()),
            (Noticed, Some("old"), true, None, load.clone()),
            (Noticed, Some("new"), true, None, Step::Leave),
            (Noticed, Some("new"), false, None, load.clone()),
            (Noticed, None, true, Some("new"), Step::Stay),
            (Noticed, None, true, Some("old"), load_and_forget.clone()),
            (Noticed, Some("old"), true, Some("new"), Step::Stay),
            (Load, None, true, None, load.clone()),
            (Load, Some("new"), true, None, Step::Leave),
            (Load, None, true, Some("new"), load_and_forget.clone()),
            (Load, None, true, Some("old"), load_and_forget.clone()),
            (Reload, Some("new"), true, None, load.clone()),
            (Reload, Some("old"), true, None, load),
            (Reload, None, true, Some("new"), Step::Stay),
            (Reload, Some("old"), true, Some("old"), load_and_forget),
        ];
        for (cause, serving, same_settings, decided, wanted) in table {
            let case = Case { cause, digest: "new", serving, same_settings, decided, instead: None, holder: None };
            assert_eq!(weigh(&case), wanted, "{case:?}");
        }
    }

    #[test]
    fn a_rollback_holds_while_the_directory_shows_what_it_was_decided_against() {
        use Cause::{Load, Noticed, Reload};
        let (instead, load) = (Step::Instead("kept".to_owned()), Step::Load { ends_decision: true });
        // cause, serving, same settings, decided against, wanted; the file's digest is always "new".
        for (cause, serving, same_settings, decided, wanted) in [
            (Noticed, None, true, "new", instead.clone()),
            (Noticed, Some("kept"), true, "new", Step::Stay),
            (Noticed, Some("kept"), false, "new", instead.clone()),
            (Reload, Some("kept"), true, "new", instead),
            (Noticed, Some("kept"), true, "old", load.clone()),
            (Load, Some("kept"), true, "new", load),
        ] {
            let case = Case { cause, digest: "new", serving, same_settings, decided: Some(decided), instead: Some("kept"), holder: None };
            assert_eq!(weigh(&case), wanted, "{case:?}");
        }
    }

    #[test]
    fn a_second_file_of_a_name_is_never_loaded() {
        for cause in [Cause::Noticed, Cause::Load, Cause::Reload] {
            let holder = Path::new("p/first.so");
            let case = Case {
                cause,
                digest: "new",
                serving: Some("new"),
                same_settings: true,
                decided: Some("new"),
                instead: None,
                holder: Some(holder),
            };
            assert_eq!(weigh(&case), Step::Duplicate(holder.to_owned()));
        }
    }
}
