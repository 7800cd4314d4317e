//! Frames between host and runner: four bytes of length, then that many bytes of postcard.
//!
//! Not the meaning of what is said. What must hold: no length is believed beyond [`FRAME_MAX`], and no bytes, whatever they are, do more than
//! give an error: the other side runs foreign code.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read};

/// Greatest frame, in bytes. What a runner says is bounded more closely, by what it is.
pub const FRAME_MAX: usize = 64 << 20;
const HEAD: usize = 4;
/// What is taken from the socket at once.
const CHUNK: usize = 64 << 10;

/// What is said in frames.
pub trait Said: DeserializeOwned {
    /// Of a frame whose first two bytes are these: what it is, for people, and how long it may be.
    ///
    /// # Errors
    /// Nothing begins so.
    fn limit(head: [u8; 2]) -> io::Result<(&'static str, usize)>;

    /// The memory that a whole frame takes once it is read, in bytes, as far as that matters.
    ///
    /// # Errors
    /// Too much, or nothing that could be weighed.
    fn weigh(body: &[u8]) -> io::Result<usize>;
}

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
    pub fn take<T: Said>(&mut self) -> io::Result<Option<T>> {
        Ok(self.take_weighed()?.map(|(message, _)| message))
    }

    /// The same, with the memory that it takes as [`Said::weigh`] has it.
    ///
    /// # Errors
    /// As [`Inbox::take`].
    pub fn take_weighed<T: Said>(&mut self) -> io::Result<Option<(T, usize)>> {
        let waiting = &self.bytes[self.from..];
        let Some((head, body)) = waiting.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if !(1..=FRAME_MAX).contains(&length) {
            return Err(invalid(format!("a frame claims {length} bytes, 1 to {FRAME_MAX} are taken")));
        }
        let head = match *body {
            [only, ..] if length == 1 => [only, 0],
            [first, second, ..] => [first, second],
            _ => return Ok(None),
        };
        let (name, most) = T::limit(head)?;
        if length > most {
            return Err(invalid(format!("{name} claims {length} bytes, at most {most} are taken")));
        }
        let Some(body) = body.get(..length) else {
            self.make_room(HEAD + length);
            return Ok(None);
        };
        let weight = T::weigh(body)?;
        let (message, rest) = postcard::take_from_bytes::<T>(body).map_err(|e| invalid(format!("{name} is not understood: {e}")))?;
        if !rest.is_empty() {
            return Err(invalid(format!("{name} has {} bytes too many", rest.len())));
        }
        self.from += HEAD + length;
        if self.from == self.bytes.len() && self.bytes.capacity() > 4 * CHUNK {
            // One large answer must not keep its memory for ever.
            *self = Self::default();
        }
        Ok(Some((message, weight)))
    }

    /// For the rest of a frame and what is read along with it; no more, as doubling would take.
    fn make_room(&mut self, frame: usize) {
        if frame > CHUNK {
            self.bytes.drain(..self.from);
            self.from = 0;
            self.bytes.reserve_exact((frame + CHUNK).saturating_sub(self.bytes.len()));
        }
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{ToHost, ToRunner};
    use crate::seam::{Order, Report};

    fn all(bytes: &[u8], pieces: usize) -> io::Result<Vec<Report>> {
        let (mut inbox, mut found) = (Inbox::default(), Vec::new());
        for mut piece in bytes.chunks(pieces.max(1)) {
            while inbox.fill(&mut piece)? {
                while let Some(message) = inbox.take()? {
                    let ToHost::Report(report) = message else { panic!("a report") };
                    found.push(report);
                }
            }
        }
        Ok(found)
    }

    fn said() -> Vec<u8> {
        let at = chrono::Utc::now();
        let reports = [Report::Started { run: 7, at }, Report::Refused(vec![1, 2]), Report::Quiescent];
        reports.into_iter().flat_map(|report| encode(&ToHost::Report(report)).expect("written")).collect()
    }

    #[test]
    fn frames_come_out_whole_however_they_come_in() {
        for pieces in [1, 3, 7, 1000] {
            let found = all(&said(), pieces).expect("understood");
            let [Report::Started { run: 7, .. }, Report::Refused(refused), Report::Quiescent] = &found[..] else {
                panic!("pieces of {pieces}: {found:?}")
            };
            assert_eq!(refused, &[1, 2]);
        }
    }

    #[test]
    fn json_of_the_boundary_survives() {
        let order: sexton_plugin_api::wire::RunOrder = serde_json::from_value(serde_json::json!({
            "run": 3, "occurrence": "a.1", "event_type": "a.b", "args": {"deep": [1, {"x": null}]}, "attempt": 1,
            "scheduled_for": "2026-01-02T03:04:05Z", "resources": [{"id": "r", "kind": "vm", "size": 4}],
        }))
        .expect("an order");
        let mut bytes = encode(&ToRunner::Orders(vec![Order::Run(vec![order])])).expect("written");
        bytes.extend(encode(&ToRunner::HangUp).expect("written"));
        let mut inbox = Inbox::default();
        assert!(inbox.fill(&mut &bytes[..]).expect("read"));
        let back: ToRunner = inbox.take().expect("understood").expect("whole");
        let ToRunner::Orders(orders) = &back else { panic!("orders") };
        let [Order::Run(runs)] = &orders[..] else { panic!("one order") };
        assert_eq!(runs[0].args.get(), r#"{"deep":[1,{"x":null}]}"#);
        assert_eq!(runs[0].resources[0].properties["size"], 4);
        assert!(matches!(inbox.take().expect("understood"), Some(ToRunner::HangUp)), "one byte is a frame");
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
            let (mut inbox, mut stream) = (Inbox::default(), &bytes[..]);
            while let Ok(true) = inbox.fill(&mut stream) {}
            while let Ok(Some(_)) = inbox.take::<ToHost>() {}
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_kept() {
        let error = all(&u32::MAX.to_le_bytes(), 4).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(all(&[0; 8], 8).expect_err("nothing in it").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn each_kind_has_a_length_of_its_own_and_the_breach_is_named() {
        for (kind, name, most) in [(1, "the start of a run", 128), (7, "a log record", 17_536), (6, "a call", (16 << 20) + 128)] {
            let claimed = |length: u32| [&length.to_le_bytes()[..], &[1, kind]].concat();
            assert!(all(&claimed(most), 8).expect("as long as it may be").is_empty());
            let error = all(&claimed(most + 1), 8).expect_err("one byte too many").to_string();
            assert_eq!(error, format!("{name} claims {} bytes, at most {most} are taken", most + 1));
        }
    }

    #[test]
    fn a_large_frame_takes_its_own_length_and_no_more() {
        let report = Report::Migrated { question: 1, result: Ok("x".repeat(1 << 20)) };
        let bytes = encode(&ToHost::Report(report)).expect("written");
        let (mut inbox, mut most) = (Inbox::default(), 0);
        // The second begins in what was read with the first.
        let mut stream = &[&bytes[..], &bytes[..]].concat()[..];
        let mut found = 0;
        while inbox.fill(&mut stream).expect("read") {
            while inbox.take::<ToHost>().expect("understood").is_some() {
                found += 1;
            }
            most = most.max(inbox.bytes.capacity());
        }
        assert!(found == 2 && most <= bytes.len() + 2 * CHUNK, "{found} frames, {most} bytes for {}", bytes.len());
    }
}
