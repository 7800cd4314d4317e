//! From the errors of the rooms below to the one shape that people see.
//!
//! Not a source of errors of its own. What must hold: a refusal that a store passes on keeps its code; everything else gets one with a page.

use sexton_core::{Blame, Refusal};
use sexton_loader::rejection::Rejection;
use sexton_plugin_api::wire::EntryFailure;
use sexton_store::{ErrorKind, StoreError};

/// What a store said instead of an answer.
#[must_use]
pub fn from_store(error: &StoreError) -> Refusal {
    if let Some(refusal) = &error.refusal {
        return (**refusal).clone();
    }
    let (code, blame, remedy) = match error.kind {
        ErrorKind::Held => ("STO001", Blame::World, "stop the other host, or give this one another `--state` or `--store`"),
        ErrorKind::Full => ("STO002", Blame::World, "free space on the store's file system; what waits is settled by itself then"),
        ErrorKind::ReadOnly => ("STO003", Blame::World, "let the host's user write to the store's file and its directory"),
        ErrorKind::NewerSchema => ("STO004", Blame::World, "run the version that wrote this store, or a newer one"),
        ErrorKind::ChangedMigration => ("STO005", Blame::Bug, "run an unaltered build; report this if it is one"),
        ErrorKind::Corrupt => ("STO006", Blame::Store, "restore the file from a backup, or move it away to begin anew"),
        ErrorKind::Closed => ("STO007", Blame::Store, "the host is ending: ask again when it is back"),
        ErrorKind::Engine | ErrorKind::Refused => {
            ("STO008", Blame::Store, "see the host's log; the verb changed nothing and may be tried again")
        }
    };
    Refusal::new(code, blame, error.message.clone()).remedy(remedy)
}

/// Why a library was not taken.
#[must_use]
pub fn from_rejection(rejection: &Rejection) -> Refusal {
    let mut refusal = Refusal::new(&rejection.code, Blame::Plugin, rejection.message.clone());
    refusal.expected.clone_from(&rejection.expected);
    refusal.found.clone_from(&rejection.found);
    refusal.remedy.clone_from(&rejection.remedy);
    refusal
}

/// How an entry of a plugin failed, as one sentence.
#[must_use]
pub fn entry_failure(failure: &EntryFailure) -> String {
    match (failure.kind.as_str(), &failure.place) {
        ("panic", Some(place)) => format!("panicked at {place}: {}", failure.message),
        ("panic", None) => format!("panicked: {}", failure.message),
        _ => failure.message.clone(),
    }
}

/// A thread of the host ended that should not have.
#[must_use]
pub fn stopped_duty(name: &str) -> Refusal {
    Refusal::new("HST005", Blame::Bug, format!("the host's duty `{name}` has stopped"))
        .expected("every duty runs as long as the host")
        .remedy("restart the host: nothing stored is lost; and report the lines about it in the log")
}

/// The flight record is another host's, or cannot be had.
#[must_use]
pub fn flight_record(error: &std::io::Error) -> Refusal {
    if error.kind() == std::io::ErrorKind::WouldBlock {
        return Refusal::new("HST008", Blame::World, "another host uses this state directory")
            .expected("one host for one state directory")
            .remedy("stop the other host, or give this one its own with `--state DIR`");
    }
    Refusal::new("HST001", Blame::World, format!("the flight record cannot be opened: {error}"))
        .remedy("see that the state directory can be written and has space")
}

/// The host is on its way out and starts nothing more.
#[must_use]
pub fn stopping() -> Refusal {
    Refusal::new("HST006", Blame::World, "the host is stopping and starts nothing more").remedy("ask again when it is back")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code_and_a_remedy() {
        let kinds = [
            (ErrorKind::Held, "STO001"),
            (ErrorKind::Full, "STO002"),
            (ErrorKind::ReadOnly, "STO003"),
            (ErrorKind::NewerSchema, "STO004"),
            (ErrorKind::ChangedMigration, "STO005"),
            (ErrorKind::Corrupt, "STO006"),
            (ErrorKind::Closed, "STO007"),
            (ErrorKind::Engine, "STO008"),
        ];
        for (kind, code) in kinds {
            let refusal = from_store(&StoreError::new(kind, "so it is"));
            assert_eq!((refusal.code.as_str(), refusal.message.as_str()), (code, "so it is"));
            assert!(refusal.remedy.is_some(), "{code} says what to do");
        }
    }

    #[test]
    fn a_passed_on_refusal_keeps_its_code() {
        let inner = Refusal::new("INP008", Blame::Input, "the key is in use").remedy("take another");
        assert_eq!(from_store(&StoreError::from(inner.clone())), inner);
    }
}
