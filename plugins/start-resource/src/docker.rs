//! The kind `docker`: the two calls of the Docker Engine API that start and stop a container, over its Unix socket.
//!
//! Not an HTTP library: one request a connection, answers of bounded size within a deadline. What must hold: an id from a resource never becomes
//! another path.

use sexton_plugin_api::prelude::*;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The greatest answer that is read, bytes.
const ANSWER_MAX: usize = 1024 * 1024;

/// What the Engine answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, decoded.
    pub body: String,
}

/// Starts or stops (`verb`) the container. One that is already in the wanted state is fine.
///
/// # Errors
/// Permanent if there is no such container or the id cannot be one; else retried.
pub fn turn(socket: &Path, verb: &str, container: &str, timeout: Duration) -> JobResult {
    let letters = container.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if container.is_empty() || container.len() > 255 || !letters || container.starts_with(['.', '-']) {
        return fail_permanently(format!("`{container}` is not the name or id of a container"));
    }
    let answer = call(socket, "POST", &format!("/containers/{container}/{verb}"), timeout)?;
    match answer.status {
        204 | 304 => Ok(()),
        404 => fail_permanently(format!("no container `{container}`: {}", words(&answer.body))),
        status => fail(format!("the Docker Engine answered {status} to {verb} `{container}`: {}", words(&answer.body))),
    }
}

/// Whether the container runs, as `GET /containers/{id}/json` says.
///
/// # Errors
/// If the Engine does not answer, or not with a state.
pub fn is_running(socket: &Path, container: &str, timeout: Duration) -> JobResult<bool> {
    let answer = call(socket, "GET", &format!("/containers/{container}/json"), timeout)?;
    let state: Value = sexton_plugin_api::serde_json::from_str(&answer.body)?;
    state["State"]["Running"]
        .as_bool()
        .ok_or_else(|| JobError::fail(format!("the Docker Engine answered {} without a state", answer.status)))
}

fn words(body: &str) -> String {
    let parsed: Option<Value> = sexton_plugin_api::serde_json::from_str(body).ok();
    let message = parsed.as_ref().and_then(|value| value["message"].as_str()).unwrap_or(body);
    message.chars().take(300).collect()
}

fn call(socket: &Path, method: &str, path: &str, timeout: Duration) -> JobResult<Answer> {
    let at = |e: std::io::Error| JobError::fail(format!("the Docker Engine at {}: {e}", socket.display()));
    let began = Instant::now();
    let mut stream = UnixStream::connect(socket).map_err(at)?;
    stream.set_write_timeout(Some(timeout.max(Duration::from_millis(1)))).map_err(at)?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(at)?;

    let mut received = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let left = timeout.saturating_sub(began.elapsed());
        if left.is_zero() {
            return fail(format!("the Docker Engine at {} did not answer within {} s", socket.display(), timeout.as_secs()));
        }
        stream.set_read_timeout(Some(left)).map_err(at)?;
        let ended = match stream.read(&mut chunk) {
            Ok(n) => {
                received.extend_from_slice(&chunk[..n]);
                n == 0
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => continue,
            Err(e) => return Err(at(e)),
        };
        if received.len() > ANSWER_MAX {
            return fail(format!("the Docker Engine at {} answered more than {ANSWER_MAX} bytes", socket.display()));
        }
        if let Some(answer) = parse(&received, ended).map_err(JobError::fail)? {
            return Ok(answer);
        }
    }
}

/// The answer, if it is complete; `ended`: nothing more comes.
fn parse(received: &[u8], ended: bool) -> Result<Option<Answer>, String> {
    let broken = || "the Docker Engine's answer is not HTTP, or was cut off".to_owned();
    let incomplete = || if ended { Err(broken()) } else { Ok(None) };
    let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return incomplete() };
    let head = std::str::from_utf8(&received[..at]).map_err(|_| broken())?;
    let body = &received[at + 4..];
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(broken)?;
    let field = |name: &str| {
        let pairs = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
    };
    let whole = if matches!(status, 204 | 304) {
        Vec::new()
    } else if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        match unchunk(body).ok_or_else(broken)? {
            Some(whole) => whole,
            None => return incomplete(),
        }
    } else if let Some(length) = field("content-length") {
        let length: usize = length.parse().map_err(|_| broken())?;
        match body.get(..length) {
            Some(whole) => whole.to_vec(),
            None => return incomplete(),
        }
    } else if ended {
        body.to_vec()
    } else {
        return Ok(None);
    };
    Ok(Some(Answer { status, body: String::from_utf8_lossy(&whole).into_owned() }))
}

/// The chunks put together: none = malformed, some none = not all there yet.
fn unchunk(mut body: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    loop {
        let Some(at) = body.windows(2).position(|two| two == b"\r\n") else { return Some(None) };
        let size = std::str::from_utf8(&body[..at]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|&size| size <= ANSWER_MAX)?;
        body = &body[at + 2..];
        if size == 0 {
            return Some(Some(whole));
        }
        let Some(chunk) = body.get(..size + 2) else { return Some(None) };
        if !chunk.ends_with(b"\r\n") {
            return None;
        }
        whole.extend_from_slice(&chunk[..size]);
        body = &body[size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u16, &str)>) {
        let expected = expected.map(|(status, body)| Answer { status, body: body.to_owned() });
        assert_eq!(parse(text.as_bytes(), false), Ok(expected), "{text}");
        // However it is cut, a prefix is never taken for another answer.
        for cut in 0..text.len() {
            let early = parse(&text.as_bytes()[..cut], false);
            assert!(matches!(early, Ok(None)) || early == parse(text.as_bytes(), false), "{early:?} after {cut} bytes");
        }
    }

    #[test]
    fn answers_are_read() {
        check("HTTP/1.1 204 No Content\r\nServer: Docker\r\n\r\n", Some((204, "")));
        check("HTTP/1.1 404 Not Found\r\ncontent-length: 11\r\n\r\n{\"a\":\"bcd\"}", Some((404, "{\"a\":\"bcd\"}")));
        check("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", Some((500, "abcde")));
        check("HTTP/1.1 200 OK\r\n\r\nno length", None);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nno length", true), Ok(Some(Answer { status: 200, body: "no length".to_owned() })));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"] {
            assert!(parse(text.as_bytes(), true).is_err(), "{text}");
        }
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false).is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true).is_err());
        assert!(parse(b"", true).is_err());
    }

    #[test]
    fn an_id_is_never_a_path() {
        for id in ["", "../info", "a/b", "a?b", "-a", "a b", "a\r\nX: y", ".a"] {
            let error = turn(Path::new("/nonexistent"), "start", id, Duration::from_secs(1)).err().map(|e| e.to_string());
            assert!(error.is_some_and(|text| text.contains("not the name or id")), "{id:?}");
        }
    }
}
