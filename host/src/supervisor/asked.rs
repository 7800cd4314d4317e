//! What comes in at the supervisor's door: verbs with who waits for them, reports, and a word to stop.
//!
//! Not the answers' making. What must hold: whoever waits is in what he asked for, and is told once, whatever becomes of it.

use super::arrival::Arrived;
use super::diff::Diff;
use super::placing::Overwritten;
use super::reconcile::Cause;
use super::settle::Look;
use super::{PluginView, UnloadMode};
use crate::registry::Placement;
use sexton_core::Refusal;
use sexton_loader::seam::Stamped;
use sexton_store::rows::Actor;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// What a verb on a plugin answers.
pub type Answer = Result<PluginView, Refusal>;

/// What comes in at the supervisor's door.
pub enum Message {
    /// A verb on a plugin.
    Verb(Verb),
    /// `event-type release`.
    ReleaseType {
        /// Which type.
        event_type: String,
        /// Who asks.
        by: Actor,
        /// Where the former owner goes.
        reply: Sender<Result<Option<String>, Refusal>>,
    },
    /// Something said by a generation.
    Report(Stamped),
    /// What a file would change.
    Diff {
        /// Which file.
        path: PathBuf,
        /// Told when it is known.
        reply: Sender<Result<Diff, Refusal>>,
    },
    /// The directory may have changed.
    Dirty,
    /// Unload everything and end.
    Stop {
        /// How long it may take.
        grace: Duration,
        /// Told when it is done.
        reply: Sender<()>,
    },
}

/// A verb on a plugin, with who waits for it.
#[derive(Debug)]
pub struct Verb {
    /// What is wanted.
    pub what: What,
    /// Who asks, and who is told.
    pub asker: Asker,
    /// When it is refused if something is still in its way; set when it first is.
    pub expires: Option<Instant>,
    /// The copy that a `load PATH` made when it was asked for; it waits with the verb.
    pub arrived: Option<Arrived>,
}

/// The verbs on plugins.
#[derive(Clone, Debug)]
pub enum What {
    /// Load by name or path.
    Load(String),
    /// Serve an earlier build again.
    Rollback {
        /// Which plugin.
        name: String,
        /// Which build, by digest or generation; the one before if nobody says.
        to: Option<String>,
    },
    /// Where it runs from now on.
    Place {
        /// Which plugin.
        name: String,
        /// Where.
        placement: Placement,
    },
    /// Unload by name.
    Unload {
        /// Which.
        name: String,
        /// What of runs under way.
        mode: UnloadMode,
        /// How long to wait for them.
        wait: Duration,
    },
    /// A new generation by name.
    Reload(String),
    /// End the decision about a name.
    Release(String),
}

/// Who asks for something, and who is told how it went.
#[derive(Clone, Debug)]
pub struct Asker {
    /// For the audit.
    pub by: Actor,
    /// Why.
    pub cause: Cause,
    /// Nobody, if the watcher asks.
    pub reply: Option<Sender<Answer>>,
    /// The file that the verb put into an empty place: it goes again if it is refused.
    pub placed: Option<Look>,
    /// Stored events that the new build cannot read do not stand in its way: they are paused.
    pub force: bool,
    /// The settings file as it was before the verb wrote it: put back if that is refused.
    pub settings: Option<Box<Overwritten>>,
}

impl Asker {
    /// The directory itself.
    pub fn watcher() -> Self {
        Self { by: Actor("watcher".to_owned()), cause: Cause::Noticed, reply: None, placed: None, force: false, settings: None }
    }

    /// Tells. A caller that went away meanwhile is no trouble.
    pub fn answer(self, answer: Answer) {
        if let Some(reply) = self.reply {
            let _gone = reply.send(answer);
        }
    }
}
