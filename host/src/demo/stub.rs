//! A web server on loopback, so that the demo needs no network: says hello, takes what is posted, and is busy twice before it answers.
//!
//! Not a server for anything else. What must hold: it answers one request a connection and keeps nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A body longer than this is not read.
const BODY_MAX: u64 = 1 << 16;
/// How often `/moody` is busy first.
const BUSY: usize = 2;

/// The server; it ends with the process.
pub struct Stub {
    address: SocketAddr,
    moody: Arc<AtomicUsize>,
}

impl Stub {
    /// Starts it on a free port.
    pub fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stub = Self { address: listener.local_addr()?, moody: Arc::default() };
        let moody = Arc::clone(&stub.moody);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away harms nobody else.
                let _ = answer(&stream, &moody);
            }
        });
        Ok(stub)
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often `/moody` was asked.
    pub fn asked_moody(&self) -> usize {
        self.moody.load(Ordering::Relaxed)
    }
}

fn answer(stream: &TcpStream, moody: &AtomicUsize) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = String::new();
    reader.take(u64::min(length, BODY_MAX)).read_to_string(&mut body)?;
    let (status, text) = match first.split(' ').nth(1) {
        Some("/hello") => ("200 OK", "hello".to_owned()),
        Some("/tickets") => ("201 Created", format!("taken: {body}")),
        Some("/moody") if moody.fetch_add(1, Ordering::Relaxed) < BUSY => ("503 Service Unavailable", "busy".to_owned()),
        Some("/moody") => ("200 OK", "at last".to_owned()),
        _ => ("404 Not Found", "nothing here".to_owned()),
    };
    let mut out = stream;
    write!(out, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(stub: &Stub, request: &str) -> String {
        let mut stream = TcpStream::connect(stub.address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    #[test]
    fn it_answers_as_announced() {
        let stub = Stub::start().expect("a free port");
        assert!(ask(&stub, "GET /hello HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
        assert!(ask(&stub, "POST /tickets HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").ends_with("taken: {}"));
        let moody: Vec<_> = (0..3).map(|_| ask(&stub, "GET /moody HTTP/1.1\r\n\r\n")[9..12].to_owned()).collect();
        assert_eq!((moody.join(" "), stub.asked_moody()), ("503 503 200".to_owned(), 3));
    }
}
