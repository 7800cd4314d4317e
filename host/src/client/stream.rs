//! The client's side of the event stream: its lines, read as they come.
//!
//! Not a second connection when the first is lost: who reads is told. What must hold: a stream that the host ended is told apart from one that
//! broke, and from one that says nothing any more.

use crate::client::{Body, Client, Trouble, refused};
use http_body_util::BodyExt;
use serde_json::Value;
use sexton_core::{Blame, Refusal};
use std::time::Duration;

/// A host says that it is alive several times within this.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of one line, at most: nothing that is told is as long.
const LINE_MAX: usize = 1 << 20;

/// What a stream says, line by line.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// Takes bytes; `data` gets what stands behind each `data:`.
    fn feed<E>(&mut self, bytes: &[u8], mut data: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            if self.0.len() + piece.len() <= LINE_MAX {
                self.0.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.0);
                let line = String::from_utf8_lossy(&line);
                if let Some(text) = line.trim_end().strip_prefix("data:") {
                    data(text.trim_start())?;
                }
            }
        }
        Ok(())
    }
}

/// Why listening ended, if not by the host's own word.
#[derive(Debug)]
pub enum Cut<E> {
    /// The host cannot be listened to, or not any more.
    Trouble(Trouble),
    /// Whoever heard it did not want to hear more.
    Own(E),
}

impl Client {
    /// Listens at `path` until the host says that it ends; `hear` gets each thing that it says.
    ///
    /// # Errors
    /// What the host refuses, a connection that broke, or what `hear` says.
    pub fn listen<E>(&self, path: &str, hear: impl FnMut(Value) -> Result<(), E>) -> Result<(), Cut<E>> {
        self.runtime.block_on(self.listening(path, hear))
    }

    async fn listening<E>(&self, path: &str, mut hear: impl FnMut(Value) -> Result<(), E>) -> Result<(), Cut<E>> {
        let answer = self.ask("GET", path, Body::Empty).await.map_err(Cut::Trouble)?;
        let (status, mut body) = (answer.status().as_u16(), answer.into_body());
        if status != 200 {
            let bytes = body.collect().await.map_err(|e| Cut::Trouble(self.lost(&e.to_string())))?.to_bytes();
            return Err(Cut::Trouble(Trouble::Refused(refused("GET", path, status, &bytes))));
        }
        let (mut lines, mut ended) = (Lines::default(), false);
        loop {
            let frame = match tokio::time::timeout(SILENCE, body.frame()).await {
                Err(_) => return Err(Cut::Trouble(self.lost(&format!("it has said nothing for {} seconds", SILENCE.as_secs())))),
                Ok(Some(Err(e))) => return Err(Cut::Trouble(self.lost(&e.to_string()))),
                Ok(None) if ended => return Ok(()),
                Ok(None) => return Err(Cut::Trouble(self.lost("the stream was cut off"))),
                Ok(Some(Ok(frame))) => frame,
            };
            let Some(bytes) = frame.data_ref() else { continue };
            let heard = lines.feed(bytes, |text| match serde_json::from_str::<Value>(text) {
                Ok(value) if value["what"] == "end" => {
                    ended = true;
                    Ok(())
                }
                Ok(value) => hear(value).map_err(Cut::Own),
                Err(e) => Err(Cut::Trouble(Trouble::Unreadable(
                    Refusal::new("HST007", Blame::Bug, format!("a line of the stream cannot be read: {e}")).expected("JSON"),
                ))),
            });
            heard?;
        }
    }

    fn lost(&self, why: &str) -> Trouble {
        let said = format!("the host at {} is not heard any more: {why}", self.socket().display());
        Trouble::NoHost(Refusal::new("HST004", Blame::World, said).remedy("look at its log, start it again, and listen again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_comments_passed_over() {
        let text = ": hello\n\nid: 1\nevent: x\ndata: {\"a\":\"\u{e9}\"}\n\ndata:2\r\n\n";
        for size in [1, 2, 7, 1_000] {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                let kept = lines.feed(piece, |text| {
                    found.push(text.to_owned());
                    Ok::<_, ()>(())
                });
                kept.expect("taken");
            }
            assert_eq!(found, ["{\"a\":\"\u{e9}\"}", "2"], "{size}");
        }
    }
}
