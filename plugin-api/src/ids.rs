//! Which ids an event type or an action may have. One rule, asked by the macros' users, the registry wrapper and the host.
//!
//! Not ownership: who may use an id is the host's matter. What must hold: every id accepted here is safe in a file name, a
//! URL segment, a shell word and a JSON string without escaping.

/// Longest id of an event type or action, bytes.
pub const ID_MAX_BYTES: usize = 128;
/// Ids that start so belong to code built into the host.
pub const RESERVED_PREFIX: &str = "sexton.";

/// Says in one sentence what is wrong with `id`, or nothing.
///
/// An id is two or more parts joined by `.`; each part starts with a lower-case letter and goes on with lower-case letters,
/// digits, `_` or `-`.
///
/// ```
/// # use sexton_plugin_api::ids::fault_in_id;
/// assert_eq!(fault_in_id("acme.start_resource"), None);
/// assert!(fault_in_id("StartResource").unwrap().contains("two or more parts"));
/// ```
#[must_use]
pub fn fault_in_id(id: &str) -> Option<String> {
    const SHAPE: &str = "an id has two or more parts joined by `.`, each a lower-case letter followed by lower-case letters, digits, `_` or `-`, \
                         e.g. `acme.start_resource`";
    if id.len() > ID_MAX_BYTES {
        return Some(format!("`{id:.40}…` is {} bytes long; an id has at most {ID_MAX_BYTES}", id.len()));
    }
    if !id.contains('.') {
        return Some(format!("`{id}` has no `.`: {SHAPE}"));
    }
    let bad = id.split('.').find(|part| !is_part(part))?;
    Some(format!("`{id}` has the part `{bad}`: {SHAPE}"))
}

fn is_part(part: &str) -> bool {
    let mut bytes = part.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_in_a_table() {
        for good in ["acme.start_resource", "shell.run", "a.b", "acme.action.start-2", "sexton.noop"] {
            assert_eq!(fault_in_id(good), None, "{good}");
        }
        let long = format!("a.{}", "b".repeat(ID_MAX_BYTES));
        for bad in
            ["", "acme", ".", "acme.", ".run", "acme..run", "Acme.run", "acme.2", "acme.run it", "acme.rün", "acme/run.x", long.as_str()]
        {
            assert!(fault_in_id(bad).is_some(), "{bad}");
        }
    }
}
