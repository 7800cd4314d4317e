//! `sexton explain CODE`: the page of an error code, embedded in the binary.
//!
//! Not the sentences of refusals: those come with the refusal. What must hold: every page of `docs/errors` is here.

mod pages {
    include!(concat!(env!("OUT_DIR"), "/pages.rs"));
}

/// The page of a code, in any case.
#[must_use]
pub fn page(code: &str) -> Option<&'static str> {
    let code = code.to_ascii_uppercase();
    let at = pages::PAGES.binary_search_by(|(name, _)| (*name).cmp(code.as_str())).ok()?;
    Some(pages::PAGES[at].1)
}

/// Every code that has a page, with the page's first line.
pub fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    pages::PAGES.iter().map(|(code, text)| {
        let title = text.lines().next().unwrap_or_default().trim_start_matches('#').trim();
        (*code, title.strip_prefix(code).map_or(title, |rest| rest.trim_start_matches([':', ' ', '—', '-'])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_in_any_case_and_open_with_their_code() {
        assert!(page("hst004").is_some_and(|p| p.starts_with("# HST004")));
        assert!(page("XXX999").is_none());
        for (code, title) in codes() {
            assert!(page(code).is_some_and(|p| p.contains(code)) && !title.is_empty(), "{code}");
        }
    }
}
