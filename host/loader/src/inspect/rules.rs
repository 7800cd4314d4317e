//! What an inspection goes by: where the code is to run, whether signatures are asked for, who reads the copy.
//!
//! Not the judging. What must hold: the default asks for no signature and is for a runner, as a host is without configuration.

use crate::seam::Placement;
use std::path::PathBuf;
use std::str::FromStr;

/// What an inspection goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Where the code is to run: some hazards are refused in the host's own process only.
    pub placement: Placement,
    /// What is asked of signatures.
    pub signatures: Signatures,
    /// The private copy has mode 0444 instead of 0400, for a runner of another user. The directory stays closed.
    pub readable_by_others: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { placement: Placement::Runner, signatures: Signatures::default(), readable_by_others: false }
    }
}

/// What is asked of signatures, and whose are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// How much.
    pub policy: Policy,
    /// The directory of public keys, `*.pub`; read at each inspection, so that a key taken out of it is unknown from then on.
    pub keys: PathBuf,
}

/// How much is asked of signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They are not looked at.
    #[default]
    Off,
    /// What is unsigned, or signed by an unknown key, loads with a warning; a signature that does not fit is refused.
    Warn,
    /// Only what a known key has signed is taken.
    Enforce,
}

impl Policy {
    /// As configuration has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

impl FromStr for Policy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Off, Self::Warn, Self::Enforce].into_iter().find(|policy| policy.name() == text).ok_or(())
    }
}
