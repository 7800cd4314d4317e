//! The way out: nothing new, what runs may end, then it is asked to, then it is interrupted; everything is settled or given back.
//!
//! Not a kill: threads of plugins are the supervisor's. What must hold: the store knows of every occurrence what it needs to run it again.

use crate::engine::almanac::Page;
use crate::engine::calls::{self, Ask};
use crate::engine::inbound;
use crate::engine::overruns::Watch;
use crate::engine::scheduler::Message;
use crate::engine::settler::Ending;
use crate::engine::shared::Shared;
use crate::engine::table::Phase;
use parking_lot::Mutex;
use sexton_core::ErrorCode;
use sexton_core::decide::Guilt;
use sexton_loader::seam::Order;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a last settlement, or a last giving back, may take with a store that answers slowly.
pub const LAST_WORDS: Duration = Duration::from_secs(10);

/// Threads to be joined at the end.
#[derive(Debug)]
pub struct Duties {
    /// Ends by a message.
    pub scheduler: JoinHandle<()>,
    /// Ends when the scheduler tells it to.
    pub claimer: JoinHandle<()>,
    /// Ends by a message.
    pub settler: JoinHandle<()>,
    /// Ends by a message.
    pub overruns: JoinHandle<()>,
    /// Ends when listeners do.
    pub progress: JoinHandle<()>,
    /// Ends by a message.
    pub almanac: JoinHandle<()>,
    /// End by a message each.
    pub calls: Vec<JoinHandle<()>>,
    /// What they did not get to.
    pub asked: Arc<Mutex<Receiver<Ask>>>,
}

/// Brings the engine to its end.
pub fn stop(shared: &Shared, duties: Duties, drain: Duration, grace: Duration, last_words: Duration) {
    let (reply, given_back) = mpsc::channel();
    // A scheduler that has stopped starts nothing new anyway.
    if shared.door.send(Message::Stop { reply }).is_ok() {
        let _ = given_back.recv_timeout(last_words);
    }
    let nothing_runs = |rows: &super::table::Rows| rows.under_way().next().is_none();
    if !shared.table.wait_until(Instant::now() + drain, nothing_runs) {
        ask_to_stop(shared);
        if !shared.table.wait_until(Instant::now() + grace, nothing_runs) {
            let (unstarted, left) = left_over(shared);
            if !unstarted.is_empty() {
                // Without a scheduler their slots stay filled, and the next start resolves them.
                let _ = shared.door.send(Message::Unstarted(unstarted));
            }
            tracing::warn!(runs = left.len(), "runs did not end in time: they are interrupted and run again at the next start");
            inbound::cut_short(shared, left, "the host stopped before it ended", Guilt::Innocent, ErrorCode::HostStopped);
        }
    }
    let settled = shared.table.wait_until(Instant::now() + last_words, |rows| rows.runs.is_empty());
    end(shared, duties, settled);
}

/// Asks every run to end because the host does. What somebody had cancelled before stays cancelled, and what has taken too long has failed.
pub fn ask_to_stop(shared: &Shared) {
    for (number, running) in shared.table.rows().runs.iter_mut().filter(|(_, r)| r.phase != Phase::Ended) {
        if !running.cancelling && !running.overrun {
            running.cancelling = true;
            running.stopped = true;
        }
        // A generation that is gone reports so by itself.
        let _ = running.serving.orders.send(Order::Cancel { run: *number });
    }
}

/// What has not ended: first what no thread has entered, then what one has.
fn left_over(shared: &Shared) -> (Vec<u64>, Vec<u64>) {
    let rows = shared.table.rows();
    let of = |phase| rows.under_way().filter(move |(_, running)| running.phase == phase).map(|(number, _)| number).collect();
    (of(Phase::Handed), of(Phase::Entered))
}

fn end(shared: &Shared, duties: Duties, settled: bool) {
    if !settled {
        shared.give_up.store(true, Ordering::SeqCst);
    }
    // A duty that does not hear this has ended already.
    let _ = shared.endings.send(Ending::End);
    let _ = shared.door.send(Message::End);
    let _ = shared.begun.send(Watch::End);
    let _ = shared.pages.send(Page::End);
    shared.observers.end();
    for _ in 0..calls::THREADS {
        let _ = shared.calls.send(Ask::End);
    }
    duties.settler.thread().unpark();
    let all = [duties.scheduler, duties.claimer, duties.settler, duties.overruns, duties.progress, duties.almanac]
        .into_iter()
        .chain(duties.calls);
    for duty in all {
        // A panic was said when it happened.
        let _ = duty.join();
    }
    calls::refuse_rest(&duties.asked);
    shared.flight.release();
}
