//! Why a runner ended: from how the process ended, what it said last, and what the host had done to it.
//!
//! Not what follows from it. What must hold: an end that was asked for and came as it should is no death; every other has a cause in words.

use super::last_words::LastWords;
use super::warden;
use crate::seam::{Death, DeathKind, Killing};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

const QUOTED_MAX: usize = 200;

/// What is known of an end.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What the host did.
    pub killing: Option<Killing>,
    /// What of its word was not the protocol.
    pub nonsense: Option<String>,
    /// It had closed its connection and did not end: the host had it ended.
    pub went_on: bool,
    /// It said `Gone`.
    pub farewell: bool,
    /// What it said dying.
    pub words: Option<LastWords>,
    /// The last line of its standard error.
    pub last_line: Option<String>,
    /// The line that says that memory ran out.
    pub no_memory: Option<String>,
}

/// The death, if it was one.
pub(super) fn death(status: ExitStatus, findings: &Findings) -> Option<Death> {
    if let Some(Killing { kind, why, run }) = findings.killing.clone() {
        return Some(Death { kind, cause: why, run });
    }
    let run = findings.words.map(|w| w.run).filter(|run| *run != 0);
    if let Some(nonsense) = &findings.nonsense {
        return Some(Death { kind: DeathKind::Protocol, cause: format!("protocol error: {nonsense}"), run: None });
    }
    if findings.farewell && status.success() {
        return None;
    }
    // Whoever had died before keeps its own cause, though what it left took the warden so long.
    if findings.went_on && !findings.farewell && status.signal() == Some(libc::SIGKILL) {
        return Some(Death {
            kind: DeathKind::Protocol,
            cause: "protocol error: it closed its connection and went on".to_owned(),
            run: None,
        });
    }
    let (kind, cause) = match status.signal() {
        Some(signal) => of_signal(signal, findings),
        None if status.code() == Some(warden::STOPPED) && findings.words.is_none() => {
            (DeathKind::Signal, "signal 19 (SIGSTOP): it was stopped, so that none of its threads could go on".to_owned())
        }
        None => of_exit(status.code().unwrap_or_default(), findings),
    };
    Some(Death { kind, cause, run })
}

fn of_signal(signal: i32, findings: &Findings) -> (DeathKind, String) {
    let named = format!("signal {signal} ({})", name(signal));
    let words = findings.words.filter(|w| w.signal == signal);
    let line = findings.last_line.as_deref().unwrap_or_default();
    match signal {
        libc::SIGXCPU => (DeathKind::CpuLimit, format!("{named}: its processor time is used up")),
        libc::SIGABRT if findings.no_memory.is_some() => {
            let said = findings.no_memory.as_deref().unwrap_or_default();
            (DeathKind::MemoryLimit, format!("memory limit: {}; {named}", quoted(said)))
        }
        libc::SIGABRT if !line.is_empty() => (DeathKind::Signal, format!("{named}: abort; its last line was: {}", quoted(line))),
        libc::SIGABRT => (DeathKind::Signal, format!("{named}: abort")),
        libc::SIGKILL => {
            (DeathKind::Signal, format!("{named}: killed from outside: by the kernel for want of memory, or by somebody on this machine"))
        }
        _ => match words {
            Some(w) if w.stack => (DeathKind::StackOverflow, format!("stack overflow: {named} at the end of a stack")),
            Some(w) if w.code > 0 && matches!(signal, libc::SIGSEGV | libc::SIGBUS) => {
                (DeathKind::Signal, format!("{named}: access to {:#x}", w.address))
            }
            _ => (DeathKind::Signal, named),
        },
    }
}

fn of_exit(code: i32, findings: &Findings) -> (DeathKind, String) {
    let line = findings.last_line.as_deref().map_or_else(String::new, |l| format!("; its last line was: {}", quoted(l)));
    let how = if findings.words.is_some_and(|w| w.signal == 0) { "called `exit`" } else { "ended by itself" };
    (DeathKind::Exit, format!("exit code {code}: the process {how} before it was told to{line}"))
}

fn quoted(line: &str) -> String {
    let cut: String = line.chars().take(QUOTED_MAX).collect();
    crate::shown::one_line(&cut)
}

/// As people know it.
pub(crate) fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGSYS => "SIGSYS",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGINT => "SIGINT",
        libc::SIGHUP => "SIGHUP",
        _ => "of another kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(raw: i32, findings: &Findings) -> Option<(DeathKind, String)> {
        death(ExitStatus::from_raw(raw), findings).map(|d| (d.kind, d.cause))
    }

    #[test]
    fn each_end_has_its_cause() {
        let words = |signal, code, address, stack| Some(LastWords { signal, code, address, stack, run: 5 });
        let line = |text: &str| Some(text.to_owned());
        let cases = [
            (
                11,
                Findings { words: words(11, 1, 0, false), ..Findings::default() },
                DeathKind::Signal,
                "signal 11 (SIGSEGV): access to 0x0",
            ),
            (
                11,
                Findings { words: words(11, 2, 4096, true), ..Findings::default() },
                DeathKind::StackOverflow,
                "stack overflow: signal 11",
            ),
            (11, Findings::default(), DeathKind::Signal, "signal 11 (SIGSEGV)"),
            (6, Findings { last_line: line("free(): double free"), ..Findings::default() }, DeathKind::Signal, "free(): double free"),
            (
                6,
                Findings { no_memory: line("memory allocation of 9 bytes failed"), ..Findings::default() },
                DeathKind::MemoryLimit,
                "memory limit",
            ),
            (9, Findings::default(), DeathKind::Signal, "signal 9 (SIGKILL)"),
            (
                3 << 8,
                Findings { words: words(0, 0, 0, false), ..Findings::default() },
                DeathKind::Exit,
                "exit code 3: the process called `exit`",
            ),
            (0, Findings::default(), DeathKind::Exit, "exit code 0: the process ended by itself"),
            (9, Findings { went_on: true, ..Findings::default() }, DeathKind::Protocol, "protocol error: it closed"),
            (11, Findings { went_on: true, ..Findings::default() }, DeathKind::Signal, "signal 11 (SIGSEGV)"),
            (0, Findings { nonsense: line("a frame"), farewell: true, ..Findings::default() }, DeathKind::Protocol, "protocol error"),
        ];
        for (raw, findings, kind, cause) in cases {
            let found = ended(raw, &findings).expect("a death");
            assert!(found.0 == kind && found.1.starts_with(cause) || found.1.contains(cause), "{found:?}, expected {cause}");
        }
        assert_eq!(ended(0, &Findings { farewell: true, ..Findings::default() }), None);
    }

    #[test]
    fn what_the_host_did_comes_first_and_the_culprit_is_named() {
        let killing = Killing { kind: DeathKind::Deadline, why: "too long".to_owned(), run: Some(3) };
        let found = death(ExitStatus::from_raw(9), &Findings { killing: Some(killing), ..Findings::default() }).expect("a death");
        assert_eq!(found, Death { kind: DeathKind::Deadline, cause: "too long".to_owned(), run: Some(3) });
        let words = Some(LastWords { signal: 11, code: 1, run: 5, ..LastWords::default() });
        assert_eq!(death(ExitStatus::from_raw(11), &Findings { words, ..Findings::default() }).expect("a death").run, Some(5));
    }
}
