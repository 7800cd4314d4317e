//! `sexton demo`: a host, real plugins and a dozen events at work before one's eyes, with a reload, a rejected build and a `kill -9`.
//!
//! Not a simulation: the host is this same binary as a process of its own, asked through its socket like any other. What must hold: exit code 0
//! only if every event ran and everything that was announced was seen; nothing is left behind.

mod acts;
mod cast;
mod stage;
mod stub;
mod watch;

use crate::cli::{Done, Failure};
use crate::output;
use clap::Args;
use sexton_core::{Blame, Refusal};
use stage::Stage;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use watch::Watch;

/// When the last cue has been given, this long for what still runs.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the host is asked what happened.
const LOOK: Duration = Duration::from_millis(100);

/// What to show.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the plugins are [default: beside this executable]
    #[arg(long, value_name = "DIR")]
    pub plugins_from: Option<PathBuf>,
    /// Keep the directory of the demo and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// Where the demo stands: the stage, the events, what was seen.
pub struct Play {
    stage: Stage,
    watch: Watch,
    cast: cast::Cast,
    began: Instant,
}

impl Demo {
    /// Shows it all.
    ///
    /// # Errors
    /// When something does not go as announced; code 130 after Ctrl-C.
    pub fn run(self) -> Done {
        let stage = Stage::set(self.plugins_from)?;
        say(&format!("A host of its own in {}", stage.root().display()));
        let mut play = Play::open(stage)?;
        let shown = play.show();
        if self.keep {
            say(&format!("kept: {}", play.stage.keep().display()));
        }
        shown
    }
}

impl Play {
    /// Starts the host and schedules the events.
    fn open(mut stage: Stage) -> Result<Self, Failure> {
        stage.start_host()?;
        let watch = Watch::default();
        acts::introduce(&stage)?;
        let began = Instant::now();
        let cast = cast::Cast::schedule(&stage)?;
        Ok(Self { stage, watch, cast, began })
    }

    /// Gives each cue at its time, and tells what runs in between.
    fn show(&mut self) -> Done {
        let mut cues = acts::CUES.iter().peekable();
        let mut last_cue = Instant::now();
        loop {
            if self.stage.interrupted() {
                say("\ninterrupted: the host is stopped and its directory removed");
                return Err(Failure::Told(130));
            }
            if let Some(cue) = cues.next_if(|cue| self.began.elapsed() >= Duration::from_secs(cue.at_s)) {
                (cue.act)(self)?;
                last_cue = Instant::now();
                continue;
            }
            self.look()?;
            if cues.peek().is_none() && self.cast.all_ran(&self.watch) {
                break;
            }
            if last_cue.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(LOOK);
        }
        self.stage.stop_host()?;
        acts::sum_up(self)
    }

    /// Tells what has happened since the last look.
    fn look(&mut self) -> Done {
        if !self.stage.has_host() {
            return Ok(());
        }
        for run in self.watch.news(&self.stage.client()?)? {
            output::line(&format!("{:>5.1}s  {}", self.began.elapsed().as_secs_f32(), self.cast.told(&run)))?;
        }
        Ok(())
    }
}

/// A sentence of the narrator, on standard output.
fn say(text: &str) {
    // Whoever reads may have gone away: the demo ends by itself.
    let _ = output::line(text);
}

/// Something did not go as announced; `said` is what the host said last.
fn amiss(what: impl Into<String>, said: Option<String>) -> Failure {
    let mut refusal = Refusal::new("HST007", Blame::Bug, what);
    refusal.found = said.map(|said| format!("the host said: {said}"));
    Failure::Failed(refusal.remedy("run it again with `--keep` and look at `host.log` in the directory; on a very busy machine, once more"))
}
