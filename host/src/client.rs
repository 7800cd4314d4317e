//! The client's side of the socket: one request, one answer.
//!
//! Not a pool and not for other hosts than one on this machine. What must hold: no host reached is `HST004`, and nothing else is.

pub mod stream;

use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use sexton_core::{Blame, Refusal};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Bytes of an unreadable answer that are shown.
const SHOWN: usize = 120;

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody answers there.
    NoHost(Refusal),
    /// The address cannot be used.
    Address(Refusal),
    /// The host said no.
    Refused(Refusal),
    /// It answered something that is not JSON.
    Unreadable(Refusal),
}

/// A host, by its socket.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
}

/// A body to send.
pub enum Body {
    /// None.
    Empty,
    /// JSON.
    Json(String),
    /// One JSON object a line.
    Ndjson(String),
}

impl Client {
    /// A client for `address`: a path, or `unix:PATH`.
    ///
    /// # Errors
    /// `Address` when it is neither.
    pub fn new(address: &str) -> Result<Self, Trouble> {
        let socket = socket_of(address).map_err(Trouble::Address)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Trouble::Address(Refusal::new("HST007", Blame::World, format!("no event loop: {e}"))))?;
        Ok(Self { socket, runtime })
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET path`.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub fn get(&self, path: &str) -> Result<serde_json::Value, Trouble> {
        self.call("GET", path, Body::Empty)
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub fn post(&self, path: &str, body: &serde_json::Value) -> Result<serde_json::Value, Trouble> {
        self.call("POST", path, Body::Json(body.to_string()))
    }

    /// Any request; the answer's JSON (null if it has none).
    ///
    /// # Errors
    /// See [`Trouble`].
    pub fn call(&self, method: &str, path: &str, body: Body) -> Result<serde_json::Value, Trouble> {
        let (status, bytes) = self.runtime.block_on(self.exchange(method, path, body))?;
        if (200..300).contains(&status) {
            return answered(method, path, &bytes).map_err(Trouble::Unreadable);
        }
        Err(Trouble::Refused(refused(method, path, status, &bytes)))
    }

    async fn exchange(&self, method: &str, path: &str, body: Body) -> Result<(u16, Bytes), Trouble> {
        let answer = self.ask(method, path, body).await?;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.map_err(|e| self.ended(&e))?.to_bytes();
        Ok((status, bytes))
    }

    /// The answer, its body not read.
    async fn ask(&self, method: &str, path: &str, body: Body) -> Result<Response<Incoming>, Trouble> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| Trouble::NoHost(self.nobody(&e)))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.ended(&e))?;
        tokio::spawn(async move {
            // Its error is the request's error too, which is where it is told.
            let _ = connection.await;
        });
        let (kind, text) = match body {
            Body::Empty => (None, String::new()),
            Body::Json(text) => (Some("application/json"), text),
            Body::Ndjson(text) => (Some("application/x-ndjson"), text),
        };
        let mut request = hyper::Request::builder().method(method).uri(path).header("host", "sexton");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let request = request
            .body(Full::new(Bytes::from(text)))
            .map_err(|e| Trouble::Address(Refusal::new("INP017", Blame::Input, format!("`{path}` cannot be asked for: {e}"))))?;
        sender.send_request(request).await.map_err(|e| self.ended(&e))
    }

    fn ended(&self, e: &dyn std::error::Error) -> Trouble {
        let why = format!("the host at {} ended before it had answered: {e}", self.socket.display());
        Trouble::NoHost(
            Refusal::new("HST004", Blame::World, why).remedy("look at its log, start it again, and ask what became of the request"),
        )
    }

    fn nobody(&self, why: &io::Error) -> Refusal {
        let socket = self.socket.display();
        let (found, remedy) = match why.kind() {
            io::ErrorKind::NotFound => ("no such socket".to_owned(), "start one with `sexton serve`, or name its socket with `--host`"),
            io::ErrorKind::ConnectionRefused => {
                ("a socket that nobody listens on".to_owned(), "the host is gone: start it again with `sexton serve`")
            }
            io::ErrorKind::PermissionDenied => {
                (why.to_string(), "the socket answers its own user and root only: run this command as the host's user")
            }
            _ => (why.to_string(), "name the socket of a running host with `--host`"),
        };
        Refusal::new("HST004", Blame::World, format!("no host reached at {socket}"))
            .expected("a running `sexton serve` that listens on this socket")
            .found(found)
            .remedy(remedy)
    }
}

/// The refusal in an answer that says no.
fn refused(method: &str, path: &str, status: u16, bytes: &[u8]) -> Refusal {
    serde_json::from_slice(bytes).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(bytes);
        Refusal::new("HST007", Blame::Bug, format!("the host answered {status} to {method} {path}")).found(said.trim().to_owned())
    })
}

/// The JSON of an answer that says yes. What cannot be read is never taken for "nothing".
fn answered(method: &str, path: &str, bytes: &[u8]) -> Result<serde_json::Value, Refusal> {
    if bytes.is_empty() {
        return Ok(serde_json::Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|e| {
        Refusal::new("HST007", Blame::Bug, format!("the host's answer to {method} {path} cannot be read: {e}"))
            .expected("JSON")
            .found(format!("{} bytes: {}", bytes.len(), String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)])))
            .remedy("see that the host is of the version of this command (`sexton status`), and report it if so")
    })
}

/// The path in an address.
fn socket_of(address: &str) -> Result<PathBuf, Refusal> {
    let refused = |why: &str| {
        Refusal::new("INP016", Blame::Input, format!("`{address}` is not the address of a host: {why}"))
            .expected("the path of a Unix socket, or `unix:PATH`")
            .remedy("say `--host PATH`, or leave it out for the default socket")
    };
    if address.is_empty() {
        return Err(refused("it is empty"));
    }
    if address.starts_with("http://") || address.starts_with("https://") {
        return Err(refused("hosts are reached by their Unix socket only; there is no TCP until access control exists"));
    }
    match address.strip_prefix("unix:") {
        Some("") => Err(refused("no path follows `unix:`")),
        Some(path) => Ok(PathBuf::from(path.strip_prefix("//").unwrap_or(path))),
        None => Ok(PathBuf::from(address)),
    }
}

/// A path with a query string; values are percent-encoded, absent ones left out.
#[must_use]
pub fn query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let filled: Vec<String> = pairs.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={}", encode(v)))).collect();
    if filled.is_empty() { path.to_owned() } else { format!("{path}?{}", filled.join("&")) }
}

/// Percent-encodes everything but letters, digits and `-._~`.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// The environment as the layers want it.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (address, path) in [("/run/s", "/run/s"), ("s.sock", "s.sock"), ("unix:/run/s", "/run/s"), ("unix:///run/s", "/run/s")] {
            assert_eq!(socket_of(address), Ok(PathBuf::from(path)));
        }
        for address in ["", "unix:", "http://h:1", "https://h"] {
            assert_eq!(socket_of(address).expect_err(address).code, "INP016");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_nothing() {
        assert_eq!(answered("GET", "/p", b""), Ok(serde_json::Value::Null));
        assert_eq!(answered("GET", "/p", b"[1]"), Ok(serde_json::json!([1])));
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for bytes in [b"<html>".as_slice(), b"{\"items\": [", deep.as_bytes()] {
            let refusal = answered("GET", "/p", bytes).expect_err("refused");
            assert!(refusal.code == "HST007" && refusal.message.contains("GET /p"), "{refusal}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(query("/p", &[("a", None)]), "/p");
        assert_eq!(query("/p", &[("a", Some("x y&z".into())), ("b", None), ("c", Some("é".into()))]), "/p?a=x%20y%26z&c=%C3%A9");
    }

    #[test]
    fn nobody_there_is_hst004() {
        let client = Client::new("/nonexistent/sexton.sock").expect("an address");
        assert!(matches!(client.get("/healthz"), Err(Trouble::NoHost(r)) if r.code == "HST004"));
    }
}
