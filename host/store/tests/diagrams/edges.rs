//! Diagrams as text, read as edges.
//!
//! Not a drawing program: `one | other --label--> third --label--> fourth`, one chain a line, remarks in round brackets.

use std::collections::BTreeSet;
use std::fmt;

/// From, by what, to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: String,
    pub label: String,
    pub to: String,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} --{}--> {}", self.from, self.label, self.to)
    }
}

/// The indented lines of the first block after a line that begins so.
pub fn lines_after(page: &str, beginning: &str) -> Vec<String> {
    let mut lines = page.lines().skip_while(|line| !line.starts_with(beginning)).skip_while(|line| !line.starts_with("    "));
    let block: Vec<String> = lines.by_ref().take_while(|line| line.starts_with("    ")).map(|line| line.trim().to_owned()).collect();
    assert!(!block.is_empty(), "the page has a diagram after `{beginning}`");
    block
}

/// A text without what stands in round brackets.
pub fn without_remarks(text: &str) -> String {
    let mut depth = 0;
    let keep = |letter: &char| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => return depth == 0,
        }
        false
    };
    text.chars().filter(keep).collect()
}

/// Every edge of a diagram; one that is drawn twice is a slip.
pub fn edges_of(lines: &[String]) -> BTreeSet<Edge> {
    let mut edges = BTreeSet::new();
    for line in lines {
        let line = without_remarks(line);
        let mut parts = line.split("--");
        let mut from: Vec<String> = words(parts.next().expect("a line has a beginning"));
        while let (Some(label), Some(rest)) = (parts.next(), parts.next()) {
            let to = words(rest.strip_prefix('>').unwrap_or_else(|| panic!("`{line}`: `--label-->` expected")));
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
                for label in words(label) {
                    let edge = Edge { from: from.clone(), label, to: to.clone() };
                    assert!(edges.insert(edge.clone()), "{edge} is drawn twice");
                }
            }
            from = to;
        }
    }
    edges
}

fn words(text: &str) -> Vec<String> {
    text.split('|').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

#[test]
fn a_diagram_is_read_as_its_edges() {
    let lines = ["a | b --go on--> c (as said) --end | stop--> d".to_owned()];
    let edges: Vec<String> = edges_of(&lines).iter().map(ToString::to_string).collect();
    assert_eq!(edges, ["a --go on--> c", "b --go on--> c", "c --end--> d", "c --stop--> d"]);
    assert_eq!(lines_after("x\nHere:\n\n    one\n    two\n\n    three", "Here"), ["one", "two"]);
}
