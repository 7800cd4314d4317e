//! How much a runner may say at a time, by what it says. The far side keeps to it; the near side looks again, since it believes nothing.
//!
//! Not how many things it says: that is the near side's ledger. What must hold: whatever the bytes are, reading one report takes at most 64 MiB of the host's
//! memory: a frame of at most 17 MiB, and 47 MiB for what is made of it. JSON is weighed before it is read (`weight`).

use super::frame::{FRAME_MAX, Said};
use super::weight::{weigh, weigh_ended, weigh_if_heavy};
use super::{ToHost, ToRunner};
use std::io;

/// Greatest call of a plugin to its host, in bytes of JSON.
pub(crate) const CALL_MAX: usize = 16 << 20;
/// Events of one call, as the host has it: more are refused before they cost the host anything.
pub(crate) const EVENTS_MAX: usize = 10_000;
/// Greatest answer of a run, in bytes of JSON.
pub(crate) const REPLY_MAX: usize = 16 << 20;
/// Greatest answer of `load`, in bytes of JSON, the schemas included.
pub(crate) const BATCH_MAX: usize = 16 << 20;
/// Event types of a batch, and actions, and standing events: what the settings can allow at most.
pub(crate) const OFFERS_MAX: usize = 4_096;
/// Greatest answer of `migrate_args`, in bytes of JSON.
pub(crate) const MIGRATED_MAX: usize = 1 << 20;
/// Greatest sentence of a plugin about its failure, in bytes: it is shown to people.
pub(crate) const SENTENCE_MAX: usize = 8 << 10;
/// Greatest message of a log record, in bytes.
pub(crate) const MESSAGE_MAX: usize = 16 << 10;
/// Greatest name in a log record or a failure, in bytes.
pub(crate) const NAME_MAX: usize = 512;
/// Memory that one piece of JSON may take once it is read, in bytes.
pub(crate) const READ_MAX: usize = 47 << 20;
/// Calls that wait for their answers at a time.
pub(crate) const OPEN_CALLS_MAX: usize = 1_024;
/// Memory that they may take together, in bytes.
pub(crate) const OPEN_CALLS_BYTES_MAX: usize = 47 << 20;

/// Numbers, an instant, and what postcard and JSON put around a text.
const AROUND: usize = 128;

/// One kind of report.
struct Kind {
    name: &'static str,
    /// Bytes of its frame.
    most: usize,
}

const fn kind(name: &'static str, most: usize) -> Kind {
    Kind { name, most: most + AROUND }
}

/// A sentence is cut by bytes, with the mark that says so.
const FAILURE_MAX: usize = SENTENCE_MAX + 2 * NAME_MAX;
const CONFINED: Kind = kind("what confines it", 512 << 10);
/// In the order of the variants of `Report`.
const KINDS: [Kind; 10] = [
    kind("an answer of `load`", BATCH_MAX),
    kind("the start of a run", 0),
    kind("the end of a run", REPLY_MAX + AROUND),
    kind("a refusal of runs", 1 << 20),
    kind("the end of an action", FAILURE_MAX),
    kind("migrated arguments", MIGRATED_MAX),
    kind("a call", CALL_MAX),
    kind("a log record", MESSAGE_MAX + 2 * NAME_MAX),
    kind("the end of all runs", 0),
    // JSON in a frame: a byte may be written as six.
    kind("a farewell", 6 * (FAILURE_MAX + SENTENCE_MAX)),
];
/// Places in [`KINDS`].
const LOADED: u8 = 0;
const DONE: u8 = 2;
const CALL: u8 = 6;

fn of_head(head: [u8; 2]) -> io::Result<&'static Kind> {
    match head {
        [0, _] => Ok(&CONFINED),
        [1, report] => KINDS.get(usize::from(report)).ok_or_else(|| breach(format!("a report of kind {report}, which there is not"))),
        [other, _] => Err(breach(format!("a message of kind {other}, which there is not"))),
    }
}

impl Said for ToHost {
    fn limit(head: [u8; 2]) -> io::Result<(&'static str, usize)> {
        of_head(head).map(|kind| (kind.name, kind.most))
    }

    fn weigh(body: &[u8]) -> io::Result<usize> {
        let (head, rest) = body.split_first_chunk::<2>().ok_or_else(|| breach("a frame with nothing in it".to_owned()))?;
        let text = match *head {
            [1, LOADED | DONE] => postcard::take_from_bytes::<&str>(rest).ok().map(|(text, _)| text),
            [1, CALL] => postcard::take_from_bytes::<(u64, u64, &str)>(rest).ok().map(|((_, _, text), _)| text),
            _ => None,
        };
        // What is not understood here is not understood afterwards.
        let Some(text) = text else { return Ok(0) };
        let weight = match *head {
            [1, DONE] => weigh_ended(text),
            [1, CALL] => weigh(text),
            _ => weigh_if_heavy(text),
        };
        weight.map_err(|why| breach(format!("{}: {why}", of_head(*head).map_or("a report", |kind| kind.name))))
    }
}

impl Said for ToRunner {
    fn limit(_: [u8; 2]) -> io::Result<(&'static str, usize)> {
        Ok(("a frame", FRAME_MAX))
    }

    /// The host is believed.
    fn weigh(_: &[u8]) -> io::Result<usize> {
        Ok(0)
    }
}

fn breach(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::frame::encode;
    use crate::seam::{Farewell, LogLine, Memory, Report};
    use sexton_plugin_api::wire::HostCall;

    /// One of each: a new variant does not compile until it has its place here and in [`KINDS`].
    fn name(report: &Report) -> &'static str {
        match report {
            Report::Loaded(_) => "an answer of `load`",
            Report::Started { .. } => "the start of a run",
            Report::Done(_) => "the end of a run",
            Report::Refused(_) => "a refusal of runs",
            Report::Acted { .. } => "the end of an action",
            Report::Migrated { .. } => "migrated arguments",
            Report::Call { .. } => "a call",
            Report::Log(_) => "a log record",
            Report::Quiescent => "the end of all runs",
            Report::Gone(_) => "a farewell",
        }
    }

    #[test]
    fn each_kind_is_known_by_its_first_two_bytes() {
        let at = chrono::Utc::now();
        let request = HostCall::StateGet { key: "k".to_owned() };
        let [target, message, spans] = [NAME_MAX, MESSAGE_MAX, NAME_MAX].map(|most| format!("{}…", "x".repeat(most)));
        let log = LogLine { at, run: u64::MAX, level: 5, target, message, spans };
        let reports = [
            Report::Loaded(Ok(sexton_plugin_api::wire::Batch::default())),
            Report::Started { run: u64::MAX, at },
            Report::Done(vec![]),
            Report::Refused(vec![]),
            Report::Acted { run: 1, result: Ok(()) },
            Report::Migrated { question: 1, result: Ok(String::new()) },
            Report::Call { call: u64::MAX, run: u64::MAX, request },
            Report::Log(log),
            Report::Quiescent,
            Report::Gone(Farewell { memory: Memory::None, unload: None, death: None }),
        ];
        for report in reports {
            let wanted = name(&report);
            let bytes = encode(&ToHost::Report(report)).expect("written");
            let (found, most) = ToHost::limit([bytes[4], bytes[5]]).expect("known");
            assert_eq!(found, wanted);
            assert!(bytes.len() - 4 <= most, "{wanted}: {} bytes", bytes.len());
            ToHost::weigh(&bytes[4..]).expect("light");
        }
        for head in [[2, 0], [1, 10], [0x81, 0], [1, 0x80]] {
            assert!(ToHost::limit(head).is_err(), "{head:?}");
        }
    }
}
