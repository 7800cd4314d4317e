//! The plugin `http`: one HTTP request at a time, with a verdict by status.
//!
//! Not a crawler and not a queue of messages. What must hold: every size and time has a limit; an answer that trying again cannot change is a permanent
//! failure; secrets come from the settings, not from stored arguments.

mod request;
mod status;

use request::{Answer, Request};
use sexton_plugin_api::prelude::*;
use status::Statuses;
use std::collections::BTreeMap;
use std::path::PathBuf;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

/// Sends one request and looks at the status of the answer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SendRequest {
    /// `http://…` or `https://…`.
    #[schemars(regex(pattern = "^https?://"))]
    url: String,
    /// The method.
    #[serde(default = "get")]
    #[schemars(regex(pattern = "^[A-Z]{1,20}$"))]
    method: String,
    /// Header fields. `{secret:NAME}` in a value is replaced by `[settings.secrets]` NAME.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body, as text.
    #[serde(default)]
    body: Option<String>,
    /// The body, as JSON; sets `Content-Type`. At most one of `body` and `json`.
    #[serde(default)]
    json: Option<Value>,
    /// Statuses that count as success: numbers and ranges, `[200, "300-399"]`.
    #[serde(default)]
    expect: Statuses,
    /// Seconds for everything from the connection to the last byte.
    #[serde(default = "thirty_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    timeout_s: u32,
    /// How many redirects are followed; 0: none, the redirect is the answer.
    #[serde(default = "five")]
    #[schemars(range(max = 20))]
    max_redirects: u32,
    /// Bytes kept of the answer's body. At most 1 MiB.
    #[serde(default = "sixty_four_kib")]
    #[schemars(range(max = 1_048_576))]
    max_body: u64,
}

fn get() -> String {
    "GET".to_owned()
}
fn thirty_seconds() -> u32 {
    30
}
fn five() -> u32 {
    5
}
fn sixty_four_kib() -> u64 {
    64 * 1024
}

/// The `[settings]` of `libhttp.toml`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// PEM file with the certificates to trust, in place of the compiled-in roots of the web.
    ca_file: Option<PathBuf>,
    /// Values for `{secret:NAME}` in header fields: they are neither stored with events nor shown.
    secrets: BTreeMap<String, String>,
}

#[scheduled_event(EVENTS, "http.request")]
impl ScheduledEventJob for SendRequest {
    fn run(&self, cx: &JobContext) -> JobResult {
        let settings: Settings = cx.settings()?;
        let request = self.request(&settings, cx)?;
        let answer = request::send(&request, settings.ca_file.as_deref(), || cx.is_cancelled())?;
        cx.output(&answer)?;
        self.judge(&answer)
    }
}

impl SendRequest {
    fn request(&self, settings: &Settings, cx: &JobContext) -> JobResult<Request> {
        let mut headers = BTreeMap::new();
        for (name, value) in &self.headers {
            headers.insert(name.to_ascii_lowercase(), reveal(value, &settings.secrets)?);
        }
        let body = match (&self.body, &self.json) {
            (Some(_), Some(_)) => return fail_permanently("`body` and `json` exclude each other"),
            (Some(text), None) => Some(text.clone()),
            (None, Some(value)) => {
                headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
                Some(value.to_string())
            }
            (None, None) => None,
        };
        if !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
            // The same for every attempt: the server can tell a second delivery from a second order.
            headers.entry("idempotency-key".to_owned()).or_insert_with(|| cx.idempotency_key().to_owned());
        }
        let timeout = std::time::Duration::from_secs(self.timeout_s.into());
        let (method, url) = (self.method.clone(), self.url.clone());
        Ok(Request { method, url, headers, body, timeout, max_redirects: self.max_redirects, max_body: self.max_body.min(1024 * 1024) })
    }

    fn judge(&self, answer: &Answer) -> JobResult {
        let status = answer.status;
        if self.expect.contain(status) {
            return Ok(());
        }
        let message = format!("{} {} answered {status}, expected {}", self.method, self.url, self.expect);
        // What the client did wrong stays wrong, but for "later", "too early" and "too often".
        let permanent = (400..500).contains(&status) && !matches!(status, 408 | 425 | 429);
        if permanent { fail_permanently(message) } else { fail(message) }
    }
}

/// The value with its secrets in place.
fn reveal(value: &str, secrets: &BTreeMap<String, String>) -> JobResult<String> {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("{secret:") {
        let Some((name, after)) = after.split_once('}') else { return fail_permanently("a header has `{secret:` without its `}`") };
        let Some(secret) = secrets.get(name) else { return fail_permanently(format!("[settings.secrets] has no `{name}`")) };
        text.push_str(before);
        text.push_str(secret);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

#[plugin]
fn load(host: &Host) -> Result<(), PluginError> {
    EVENTS.load(host)
}

#[plugin]
fn unload(host: &Host) -> Result<(), PluginError> {
    EVENTS.unload(host)
}

#[cfg(test)]
mod tests;
