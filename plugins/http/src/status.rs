//! Which statuses of an answer count as success.
//!
//! Not what to do with the others. What must hold: text and numbers that make no sense are refused when the arguments are read.

use sexton_plugin_api::prelude::*;
use std::fmt;

/// Numbers and ranges; `200-299` if nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Statuses(Vec<Span>);

/// One number, or `"first-last"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
struct Span {
    first: u16,
    last: u16,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Number(#[schemars(range(min = 100, max = 599))] u16),
    Range(#[schemars(regex(pattern = "^[1-5][0-9]{2}-[1-5][0-9]{2}$"))] String),
}

impl TryFrom<Written> for Span {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (first, last) = match &written {
            Written::Number(number) => (*number, *number),
            Written::Range(text) => {
                let ends = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
                ends.ok_or_else(|| format!("`{text}` is no range of statuses: write `200-299`"))?
            }
        };
        if !(100..600).contains(&first) || !(first..600).contains(&last) {
            return Err(format!("{first}-{last} is no range within 100-599"));
        }
        Ok(Self { first, last })
    }
}

impl Statuses {
    /// Whether the status is one of them.
    #[must_use]
    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|span| (span.first..=span.last).contains(&status))
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![Span { first: 200, last: 299 }])
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, span) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            if span.first == span.last { write!(f, "{comma}{}", span.first)? } else { write!(f, "{comma}{}-{}", span.first, span.last)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Statuses;

    fn read(json: &str) -> Result<Statuses, String> {
        sexton_plugin_api::serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn numbers_and_ranges() {
        let statuses = read(r#"[200, "300-304", 404]"#).expect("well formed");
        let inside: Vec<u16> = (100..600).filter(|&status| statuses.contain(status)).collect();
        assert_eq!(inside, [200, 300, 301, 302, 303, 304, 404]);
        assert_eq!(statuses.to_string(), "200, 300-304, 404");
        assert_eq!(Statuses::default().to_string(), "200-299");
    }

    #[test]
    fn nonsense_is_refused() {
        for json in ["[99]", "[600]", r#"["300-200"]"#, r#"["2xx"]"#, r#"["200-999"]"#, "[true]", "200"] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
