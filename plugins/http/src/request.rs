//! One exchange over HTTP: what goes out, what comes back, within its limits.
//!
//! Not a verdict on the status. What must hold: the body read is bounded; a cancel is noticed between two pieces of it, and at the latest when the time is over.

use sexton_plugin_api::prelude::*;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};
use ureq::http;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Header fields of the answer that are kept, at most.
const HEADERS_MAX: usize = 40;
/// Bytes kept of one header field.
const HEADER_MAX: usize = 1000;

/// What goes out.
pub struct Request {
    /// The method.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Fields, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<String>,
    /// For everything.
    pub timeout: Duration,
    /// Followed at most; 0: the redirect is the answer.
    pub max_redirects: u32,
    /// Bytes kept of the answer's body.
    pub max_body: u64,
}

/// What comes back.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The last URL, after redirects.
    pub url: String,
    /// Fields.
    pub headers: BTreeMap<String, String>,
    /// The beginning of the body as text.
    pub body: String,
    /// Whether there was more.
    pub body_truncated: bool,
    /// Until the last byte that was read.
    pub elapsed_ms: u64,
}

/// Sends the request and reads the answer.
///
/// # Errors
/// Permanent if the request itself is malformed; else (no connection, timeout, TLS) retried; cancelled if the run was.
pub fn send(request: &Request, ca_file: Option<&Path>, cancelled: impl Fn() -> bool) -> JobResult<Answer> {
    let began = Instant::now();
    let agent = agent(request, ca_file)?;
    let mut builder = http::Request::builder().method(request.method.as_str()).uri(&request.url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let malformed = |e: http::Error| JobError::fail_permanently(format!("the request is malformed: {e}"));
    let sent = match &request.body {
        Some(body) => agent.run(builder.body(body.as_str()).map_err(malformed)?),
        None => agent.run(builder.body(()).map_err(malformed)?),
    };
    let mut response = sent.map_err(|e| in_words(&e, request))?;

    let headers = response.headers().iter().take(HEADERS_MAX);
    let headers = headers.map(|(name, value)| (name.to_string(), text_of(value.as_bytes(), HEADER_MAX))).collect();
    let status = response.status().as_u16();
    let url = ureq::ResponseExt::get_uri(&response).to_string();
    let (body, body_truncated) = read_body(response.body_mut().as_reader(), request, cancelled)?;
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Answer { status, url, headers, body, body_truncated, elapsed_ms })
}

fn agent(request: &Request, ca_file: Option<&Path>) -> JobResult<ureq::Agent> {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(request.timeout))
        .max_redirects(request.max_redirects)
        .max_redirects_will_error(request.max_redirects > 0)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_response_header_size(64 * 1024)
        .user_agent(concat!("sexton-plugin-http/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_file {
        config = config.tls_config(TlsConfig::builder().root_certs(trusted(path)?).build());
    }
    Ok(config.build().into())
}

/// The certificates of a PEM file.
fn trusted(path: &Path) -> JobResult<RootCerts> {
    let pem = std::fs::read(path).map_err(|e| JobError::fail(format!("`ca_file` {}: {e}", path.display())))?;
    let certificates: Vec<_> =
        parse_pem(&pem).filter_map(|item| if let Ok(PemItem::Certificate(one)) = item { Some(one) } else { None }).collect();
    if certificates.is_empty() {
        return fail(format!("`ca_file` {} holds no certificate", path.display()));
    }
    Ok(certificates.into())
}

fn read_body(mut body: impl Read, request: &Request, cancelled: impl Fn() -> bool) -> JobResult<(String, bool)> {
    let mut kept = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    loop {
        if cancelled() {
            return cancel("asked to stop while the answer was read");
        }
        let n =
            body.read(&mut piece).map_err(|e| JobError::fail(format!("{} {}: the answer broke off: {e}", request.method, request.url)))?;
        let room = usize::try_from(request.max_body).unwrap_or(usize::MAX) - kept.len();
        kept.extend_from_slice(&piece[..n.min(room)]);
        if n == 0 || n > room {
            return Ok((String::from_utf8_lossy(&kept).into_owned(), n > room));
        }
    }
}

fn text_of(bytes: &[u8], max: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned()
}

/// Malformed requests are permanent failures; what the world did may be better next time.
fn in_words(error: &ureq::Error, request: &Request) -> JobError {
    let message = format!("{} {}: {error}", request.method, request.url);
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::TooManyRedirects => JobError::fail_permanently(message),
        ureq::Error::Timeout(_) => {
            JobError::fail(format!("{} {}: no answer within {} s ({error})", request.method, request.url, request.timeout.as_secs()))
        }
        _ => JobError::fail(message),
    }
}
