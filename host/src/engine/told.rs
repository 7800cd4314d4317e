//! What listeners are told: one value for each thing that happens, with the names of the API.
//!
//! Not the telling (`observe`) and nothing durable. What must hold: each says enough to be filtered by, without a look at the store.

use crate::supervisor::PluginState;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sexton_core::{Bot, EventId, OccurrenceId, Outcome};

/// Bytes of an error's text that are told; the whole is with the run.
pub const ERROR_TOLD: usize = 1_024;

/// What sort of thing happened: the words of the filter `what`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An event was stored.
    Stored,
    /// A thread entered a job.
    Started,
    /// A run said how far it is.
    Progress,
    /// A run was settled.
    Ended,
    /// A plugin's state or generation is another one.
    Plugin,
}

/// Which run something is about.
#[derive(Clone, Debug, Serialize)]
pub struct OfRun {
    /// Which.
    pub occurrence: OccurrenceId,
    /// Which event.
    pub event_id: EventId,
    /// Of which type.
    pub event_type: String,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot: Option<Bot>,
    /// Which attempt.
    pub attempt: u32,
    /// Whose code.
    pub plugin: String,
    /// Which generation.
    pub generation: i64,
}

/// One thing that happened. Its names are the API's.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum HostEvent {
    /// An event was stored.
    Stored {
        /// Which.
        event_id: EventId,
        /// Of which type.
        event_type: String,
        /// On whose behalf.
        #[serde(skip_serializing_if = "Option::is_none")]
        bot: Option<Bot>,
        /// When it is due first.
        next_run_at: Option<DateTime<Utc>>,
    },
    /// A thread entered a job.
    Started {
        /// Which.
        #[serde(flatten)]
        run: OfRun,
        /// When.
        started_at: DateTime<Utc>,
    },
    /// A run said how far it is.
    Progress {
        /// Which.
        #[serde(flatten)]
        run: OfRun,
        /// `(done, total, note)`, the newest.
        progress: (u64, Option<u64>, String),
    },
    /// A run was settled.
    Ended {
        /// Which.
        #[serde(flatten)]
        run: OfRun,
        /// How.
        outcome: Outcome,
        /// What went wrong, if anything; cut.
        error: Option<String>,
        /// When plugin code was entered.
        started_at: Option<DateTime<Utc>>,
        /// When it ended.
        finished_at: DateTime<Utc>,
        /// When its event is due next.
        next_run_at: Option<DateTime<Utc>>,
    },
    /// A plugin's state or generation is another one.
    Plugin {
        /// Which.
        plugin: String,
        /// Where it stands now.
        state: PluginState,
        /// What serves, if anything does.
        generation: Option<i64>,
        /// Its version.
        version: Option<String>,
        /// The code that serves.
        digest: Option<String>,
        /// The code of the refusal of its newest build, if that was refused.
        rejection: Option<String>,
    },
}

impl What {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Started => "started",
            Self::Progress => "progress",
            Self::Ended => "ended",
            Self::Plugin => "plugin",
        }
    }
}

impl HostEvent {
    /// What sort of thing it is.
    #[must_use]
    pub fn what(&self) -> What {
        match self {
            Self::Stored { .. } => What::Stored,
            Self::Started { .. } => What::Started,
            Self::Progress { .. } => What::Progress,
            Self::Ended { .. } => What::Ended,
            Self::Plugin { .. } => What::Plugin,
        }
    }

    fn run(&self) -> Option<&OfRun> {
        match self {
            Self::Started { run, .. } | Self::Progress { run, .. } | Self::Ended { run, .. } => Some(run),
            Self::Stored { .. } | Self::Plugin { .. } => None,
        }
    }

    /// The event that it is about.
    #[must_use]
    pub fn event_id(&self) -> Option<EventId> {
        match self {
            Self::Stored { event_id, .. } => Some(*event_id),
            other => other.run().map(|run| run.event_id),
        }
    }

    /// The type of that event.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        match self {
            Self::Stored { event_type, .. } => Some(event_type),
            other => other.run().map(|run| run.event_type.as_str()),
        }
    }

    /// The bot on whose behalf.
    #[must_use]
    pub fn bot(&self) -> Option<&str> {
        let bot = match self {
            Self::Stored { bot, .. } => bot.as_ref(),
            other => other.run().and_then(|run| run.bot.as_ref()),
        };
        bot.map(|bot| bot.id.as_str())
    }

    /// Whose code it is about.
    #[must_use]
    pub fn plugin(&self) -> Option<&str> {
        match self {
            Self::Plugin { plugin, .. } => Some(plugin),
            other => other.run().map(|run| run.plugin.as_str()),
        }
    }
}

/// With its number and its time.
#[derive(Debug, Serialize)]
pub struct Told {
    /// Rises by one with each thing that this life of the host told.
    pub id: u64,
    /// When it was told.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub event: HostEvent,
}
