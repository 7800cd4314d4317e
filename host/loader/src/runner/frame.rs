//! Frames between host and runner: four bytes of length, then that many bytes of postcard.
//!
//! Not the meaning of what is said. What must hold: no length is believed beyond [`FRAME_MAX`], and no bytes, whatever they are, do more than
//! give an error: the other side runs foreign code.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read};

/// Greatest frame, in bytes: an answer of a job (16 MiB) in JSON text, and room for what comes in the same frame.
pub const FRAME_MAX: usize = 64 << 20;
const HEAD: usize = 4;
/// What is taken from the socket at once.
const CHUNK: usize = 64 << 10;

/// One frame, ready to be written.
///
/// # Errors
/// `InvalidData` if it is larger than [`FRAME_MAX`].
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes =
        postcard::to_extend(message, vec![0; HEAD]).map_err(|e| invalid(format!("what is to be said cannot be written: {e}")))?;
    let length = u32::try_from(bytes.len() - HEAD).ok().filter(|n| *n as usize <= FRAME_MAX);
    let length = length.ok_or_else(|| invalid(format!("a frame of {} bytes, at most {FRAME_MAX} are sent", bytes.len() - HEAD)))?;
    bytes[..HEAD].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Takes whole frames out of a stream that comes in pieces.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// How far it is read.
    from: usize,
}

impl Inbox {
    /// Reads once from the stream. False: it has ended.
    ///
    /// # Errors
    /// What the stream says, `WouldBlock` included.
    pub fn fill(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        if self.from > 0 && self.from == self.bytes.len() {
            self.bytes.clear();
            self.from = 0;
        } else if self.from >= CHUNK {
            self.bytes.drain(..self.from);
            self.from = 0;
        }
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK, 0);
        let read = loop {
            match stream.read(&mut self.bytes[before..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.bytes.truncate(before + read.as_ref().copied().unwrap_or_default());
        Ok(read? > 0)
    }

    /// The next whole frame, if it is there.
    ///
    /// # Errors
    /// `InvalidData`: what came is not the protocol, and nothing after it can be trusted.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let waiting = &self.bytes[self.from..];
        let Some((head, body)) = waiting.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > FRAME_MAX {
            return Err(invalid(format!("a frame claims {length} bytes, at most {FRAME_MAX} are taken")));
        }
        let Some(body) = body.get(..length) else { return Ok(None) };
        let (message, rest) = postcard::take_from_bytes::<T>(body).map_err(|e| invalid(format!("a frame is not understood: {e}")))?;
        if !rest.is_empty() {
            return Err(invalid(format!("a frame has {} bytes too many", rest.len())));
        }
        self.from += HEAD + length;
        if self.from == self.bytes.len() && self.bytes.capacity() > 4 * CHUNK {
            // One large answer must not keep its memory for ever.
            *self = Self::default();
        }
        Ok(Some(message))
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::{Order, Report};

    fn all(bytes: &[u8], pieces: usize) -> io::Result<Vec<Vec<Report>>> {
        let (mut inbox, mut found) = (Inbox::default(), Vec::new());
        for mut piece in bytes.chunks(pieces.max(1)) {
            while inbox.fill(&mut piece)? {
                while let Some(message) = inbox.take()? {
                    found.push(message);
                }
            }
        }
        Ok(found)
    }

    fn said() -> Vec<u8> {
        let at = chrono::Utc::now();
        let mut bytes = encode(&vec![Report::Started { run: 7, at }, Report::Refused(vec![1, 2])]).expect("written");
        bytes.extend(encode(&vec![Report::Quiescent]).expect("written"));
        bytes
    }

    #[test]
    fn frames_come_out_whole_however_they_come_in() {
        for pieces in [1, 3, 7, 1000] {
            let found = all(&said(), pieces).expect("understood");
            assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1], "pieces of {pieces}");
            assert!(matches!(found[0][..], [Report::Started { run: 7, .. }, Report::Refused(ref r)] if r == &[1, 2]));
        }
    }

    #[test]
    fn json_of_the_boundary_survives() {
        let order: sexton_plugin_api::wire::RunOrder = serde_json::from_value(serde_json::json!({
            "run": 3, "occurrence": "a.1", "event_type": "a.b", "args": {"deep": [1, {"x": null}]}, "attempt": 1,
            "scheduled_for": "2026-01-02T03:04:05Z", "resources": [{"id": "r", "kind": "vm", "size": 4}],
        }))
        .expect("an order");
        let bytes = encode(&vec![Order::Run(vec![order])]).expect("written");
        let mut inbox = Inbox::default();
        assert!(inbox.fill(&mut &bytes[..]).expect("read"));
        let back: Vec<Order> = inbox.take().expect("understood").expect("whole");
        let [Order::Run(runs)] = &back[..] else { panic!("one order") };
        assert_eq!(runs[0].args.get(), r#"{"deep":[1,{"x":null}]}"#);
        assert_eq!(runs[0].resources[0].properties["size"], 4);
    }

    #[test]
    fn damage_is_an_error_and_nothing_more() {
        let good = said();
        let mut state = 0x5eed_u64;
        for round in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=round % 3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(state >> 33).expect("31 bits") % bytes.len();
                bytes[at] ^= 1 << (state & 7);
            }
            let _whatever = all(&bytes, 16);
        }
    }

    #[test]
    fn more_reports_than_a_frame_may_hold_are_refused() {
        use crate::runner::{REPORTS_MAX, ToHost};
        let read = |count: usize| {
            let bytes = encode(&ToHost::Reports(vec![Report::Quiescent; count])).expect("written");
            let mut inbox = Inbox::default();
            assert!(inbox.fill(&mut &bytes[..]).expect("read"));
            inbox.take::<ToHost>()
        };
        assert!(read(REPORTS_MAX).expect("as many as may be").is_some());
        assert_eq!(read(REPORTS_MAX + 1).expect_err("one too many").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_kept() {
        let error = all(&u32::MAX.to_le_bytes(), 4).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
