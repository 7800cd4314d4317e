//! What went wrong with a run, as one word for programs beside the sentence for people.
//!
//! Not the codes of refusals (`INP012`): those are about requests. What must hold: a word once given keeps its meaning; new ones are only added.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a run failed or was interrupted: `error_code` in its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The job said that it failed.
    Error,
    /// The job said that it failed and that no further attempt can help; arguments that a build cannot read included.
    Permanent,
    /// It panicked.
    Panic,
    /// It took longer than it may, and was stopped or ended with its process.
    Timeout,
    /// It succeeded, but what it scheduled was refused.
    FollowUps,
    /// Its process got a signal.
    Signal,
    /// A thread of its process ran over the end of its stack.
    StackOverflow,
    /// Its process called `exit`.
    Exit,
    /// Its process reached its limit of memory.
    MemoryLimit,
    /// Its process reached its limit of processor time.
    CpuLimit,
    /// Its process said what is not the protocol.
    Protocol,
    /// Its process was ended because of another run in it.
    Neighbour,
    /// Its process was ended by somebody's word.
    Killed,
    /// Its generation ended first.
    Unloaded,
    /// The host stopped in good order.
    HostStopped,
    /// The host ended in no good order.
    HostEnded,
}

impl ErrorCode {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::Error,
        Self::Permanent,
        Self::Panic,
        Self::Timeout,
        Self::FollowUps,
        Self::Signal,
        Self::StackOverflow,
        Self::Exit,
        Self::MemoryLimit,
        Self::CpuLimit,
        Self::Protocol,
        Self::Neighbour,
        Self::Killed,
        Self::Unloaded,
        Self::HostStopped,
        Self::HostEnded,
    ];

    /// The word, as it is stored and as JSON has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Permanent => "permanent",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::FollowUps => "follow_ups",
            Self::Signal => "signal",
            Self::StackOverflow => "stack_overflow",
            Self::Exit => "exit",
            Self::MemoryLimit => "memory_limit",
            Self::CpuLimit => "cpu_limit",
            Self::Protocol => "protocol",
            Self::Neighbour => "neighbour",
            Self::Killed => "killed",
            Self::Unloaded => "unloaded",
            Self::HostStopped => "host_stopped",
            Self::HostEnded => "host_ended",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// It is no word of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCode;

impl FromStr for ErrorCode {
    type Err = NoCode;

    fn from_str(word: &str) -> Result<Self, NoCode> {
        Self::ALL.into_iter().find(|code| code.word() == word).ok_or(NoCode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_text_and_word_are_one() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), serde_json::json!(code.word()));
            assert_eq!((code.word().parse(), code.to_string()), (Ok(code), code.word().to_owned()));
        }
        assert_eq!("gone".parse::<ErrorCode>(), Err(NoCode));
    }
}
