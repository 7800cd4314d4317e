//! A line at the bottom of a terminal that is drawn anew, with other lines scrolling above it; without a terminal, plain lines now and then.
//!
//! Not what stands in it (`bar`). What must hold: it goes to standard error, answers to standard output; without a terminal no control
//! character is written.

use crate::output::{self, bar};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io;
use std::time::{Duration, Instant};

/// Columns of a terminal that does not say how many it has.
const COLUMNS: u16 = 80;
/// Between two plain lines about the same thing.
const PLAIN_APART: Duration = Duration::from_secs(1);

/// The line, or what stands for it.
pub struct Screen {
    /// Nothing where nobody wants it.
    bar: Option<ProgressBar>,
    said: String,
    said_at: Option<Instant>,
}

impl Screen {
    /// On standard error. Nothing is shown if `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet).then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template is right");
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
        });
        Self { bar, said: String::new(), said_at: None }
    }

    /// Shows how far something is; `plain` is what a line of its own says of it.
    pub fn progress(&mut self, state: &bar::State<'_>, plain: &str) {
        self.show(|columns| bar::line(state, columns), plain);
    }

    /// Shows a sentence; it is said once as a line of its own, as long as `plain` is the same.
    pub fn say(&mut self, sentence: &str, plain: &str) {
        self.show(|columns| bar::fit(sentence, columns.saturating_sub(1)), plain);
    }

    fn show(&mut self, line: impl FnOnce(usize) -> String, plain: &str) {
        let Some(bar) = &self.bar else { return };
        if !bar.is_hidden() {
            bar.set_message(line(columns()));
            bar.tick();
            return;
        }
        let soon = self.said_at.is_some_and(|at| at.elapsed() < PLAIN_APART);
        if self.said != plain && !soon {
            output::note(plain);
            plain.clone_into(&mut self.said);
            self.said_at = Some(Instant::now());
        }
    }

    /// Something else begins: the next plain line need not wait.
    pub fn turn(&mut self) {
        self.said_at = None;
    }

    /// Writes an answer above the line.
    ///
    /// # Errors
    /// As [`output::line()`].
    pub fn line(&self, text: &str) -> io::Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::line(text)),
            None => output::line(text),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn columns() -> usize {
    let columns = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
    usize::from(if columns == 0 { COLUMNS } else { columns })
}
