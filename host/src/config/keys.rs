//! The keys of the configuration, once: file, environment, flags, `config show` and the documentation all follow this table.
//!
//! Not their values. What must hold: `state` stands first, since other defaults lie under it; every key is in `docs/configuration.md`.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// In the file, and `--name` where there is a flag.
    pub name: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// The default as text; in angle brackets when it is worked out at start.
    pub default: &'static str,
    /// One line for people.
    pub about: &'static str,
}

const fn key(name: &'static str, env: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { name, env, default, about }
}

/// Every key there is.
pub const KEYS: &[Key] = &[
    key("state", "SEXTON_STATE", "<state home>/sexton", "the host's own directory, made with mode 0700"),
    key("plugins", "SEXTON_PLUGINS", "<state>/plugins", "the directory that plugins are dropped into"),
    key("store", "SEXTON_STORE", "sqlite:<state>/sexton.db", "where events are kept: sqlite:PATH or sqlite::memory:"),
    key("socket", "SEXTON_SOCKET", "<state>/sexton.sock", "the Unix socket, the only door"),
    key("name", "SEXTON_NAME", "<machine name>", "the host's name, as runs record it"),
    key("log", "SEXTON_LOG", "info", "log filter: a level, or levels per target"),
    key("log_format", "SEXTON_LOG_FORMAT", "text", "text or json, on stderr"),
    key("drain", "SEXTON_DRAIN", "30s", "at a stop: how long runs may go on before they are asked to stop"),
    key("grace", "SEXTON_GRACE", "5s", "at a stop: how long runs that were asked to stop may take"),
    key("unload_wait", "SEXTON_UNLOAD_WAIT", "30s", "plugin unload waits this long for runs, if the caller does not say"),
    key("unsettled_max", "SEXTON_UNSETTLED_MAX", "1024", "runs started and not yet settled, at most (slots of the flight record)"),
    key("body_max", "SEXTON_BODY_MAX", "67108864", "bytes of one request body, at most"),
    key("connections_max", "SEXTON_CONNECTIONS_MAX", "256", "open connections on the socket, at most; more wait"),
    key("signatures", "SEXTON_SIGNATURES", "off", "what is asked of the signatures of plugins: off, warn or enforce"),
    key("signature_keys", "SEXTON_SIGNATURE_KEYS", "<state>/keys", "the directory of public keys (*.pub) whose signatures count"),
    key("zoneinfo", "SEXTON_ZONEINFO", "/usr/share/zoneinfo", "the system's zone data; the newer of it and the built-in one is used"),
];

/// The key nearest to what somebody wrote, for `did you mean`.
#[must_use]
pub fn nearest(written: &str) -> Option<&'static str> {
    let best = KEYS.iter().min_by_key(|k| distance(written, k.name))?;
    (distance(written, best.name) <= best.name.len().div_ceil(3)).then_some(best.name)
}

/// Edits from one word to the other (insert, delete, replace).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Variables that look like ours and are not. `SEXTON_TEST_…` belongs to tests.
pub fn strangers(env: &std::collections::BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    let ours = |name: &str| matches!(name, "SEXTON_HOST" | "SEXTON_CONFIG") || KEYS.iter().any(|k| k.env == name);
    env.keys().map(String::as_str).filter(move |name| name.starts_with("SEXTON_") && !name.starts_with("SEXTON_TEST") && !ours(name))
}
