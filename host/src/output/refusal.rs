//! A refusal as a person reads it: code, sentence, the place with a caret, expected, found, remedy.
//!
//! Not the JSON of a refusal. What must hold: the text is the same with and without colours, but for the colours.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use sexton_core::Refusal;

/// The text for a terminal; `styled` adds colours (`anstream` takes them away again where they are not wanted).
#[must_use]
pub fn render(refusal: &Refusal, styled: bool) -> String {
    let mut group = Group::with_title(Level::ERROR.primary_title(refusal.message.as_str()).id(refusal.code.as_str()));
    if let Some(place) = &refusal.place {
        let (start, end) = within(&place.text, place.start, place.end);
        group = group.element(
            Snippet::source(place.text.as_str())
                .line_numbering(place.text.contains('\n'))
                .annotation(AnnotationKind::Primary.span(start..end)),
        );
    }
    for (word, text) in [("expected", &refusal.expected), ("found", &refusal.found), ("remedy", &refusal.remedy)] {
        if let Some(text) = text {
            let level = if word == "remedy" { Level::HELP } else { Level::NOTE };
            group = group.element(level.with_name(word).message(text.as_str()));
        }
    }
    if crate::explain::page(&refusal.code).is_some() {
        group = group.element(Level::NOTE.with_name("more").message(format!("sexton explain {}", refusal.code)));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// A span that stands inside the text and on character borders, whatever the sender said.
fn within(text: &str, start: usize, end: usize) -> (usize, usize) {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(start), floor(end));
    (start, end.max(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_core::Blame;

    #[test]
    fn a_refusal_is_drawn() {
        let cron = Refusal::new("INP003", Blame::Input, "the cron expression is not understood: minute 61 is out of range")
            .at("61 * * * *", 0, 2)
            .expected("a minute from 0 to 59")
            .found("`61`")
            .remedy("try `sexton schedule preview`");
        insta::assert_snapshot!("cron", render(&cron, false));
        let config = Refusal::new("CFG002", Blame::Config, "c.toml:2:1: unknown key `drian`").at(
            "state = \"/s\"\ndrian = 1\nname = \"a\"\n",
            13,
            18,
        );
        insta::assert_snapshot!("config", render(&config, false));
        insta::assert_snapshot!("bare", render(&Refusal::new("XXX999", Blame::Bug, "a sentence"), false));
    }

    #[test]
    fn a_wild_place_is_no_panic() {
        for (start, end) in [(0, 0), (3, 1), (1, 2), (90, 99), (4, 90)] {
            let text = render(&Refusal::new("INP003", Blame::Input, "no").at("é* ü", start, end), false);
            assert!(text.contains("INP003"), "{text}");
        }
        assert!(render(&Refusal::new("INP003", Blame::Input, "no").at("", 0, 0), false).contains("no"));
    }
}
