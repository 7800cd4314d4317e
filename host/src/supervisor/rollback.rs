//! The verb `rollback`: an earlier build serves again, from the private copy that was kept, and goes on doing so by decision.
//!
//! Not the transaction itself: it is a reload like any other. What must hold: the decision is stored once the build serves, not before, and holds as
//! long as the directory shows the digest that it was made against.

use super::asked::Asker;
use super::keeper::Keeper;
use super::looks::{Found, settings_of};
use super::state::Plugin;
use super::sweep::{self, Spared};
use crate::problem;
use sexton_core::{Blame, Refusal};
use sexton_loader::inspect;
use sexton_store::rows::GenerationRow;
use std::collections::BTreeMap;
use std::path::Path;

/// Generations looked back over.
const BACK: usize = 1_000;
/// A digest may be cut to so many letters.
const DIGEST_LEAST: usize = 6;
/// Letters of a digest in a sentence.
const SHOWN: usize = 12;

/// What a choice is made from.
#[derive(Clone, Copy, Debug)]
struct Choice<'a> {
    /// Newest first.
    generations: &'a [GenerationRow],
    /// What serves, or served last.
    serving: Option<&'a str>,
    /// What the directory shows.
    shown: Option<&'a str>,
    /// A rollback that is in force: it serves for what the directory shows.
    rolled_back: bool,
}

impl Keeper {
    /// Chooses the build and opens it.
    pub(super) fn begin_rollback(&mut self, name: &str, path: &Path, to: Option<&str>, asker: Asker) {
        match self.choose(name, path, to) {
            Ok(digest) => self.serve_kept(path, name, &digest, asker),
            Err(refusal) => self.answer(asker, Err(refusal)),
        }
    }

    fn choose(&self, name: &str, path: &Path, to: Option<&str>) -> Result<String, Refusal> {
        let generations = self.ground.store.generations(name, BACK).map_err(|e| problem::from_store(&e))?;
        let published: Vec<GenerationRow> = generations.into_iter().filter(|g| g.published_at.is_some()).collect();
        let plugin = self.plugins.get(name);
        let serving = plugin.and_then(|p| p.active.as_ref()).map(|a| a.serving.digest.as_str());
        let choice = Choice {
            generations: &published,
            serving: serving.or_else(|| plugin.and_then(|p| p.last_digest.as_deref())),
            shown: self.files.get(path).and_then(|f| f.digest.as_deref()),
            rolled_back: plugin.and_then(Plugin::rolled_back_to).is_some(),
        };
        match to {
            Some(to) => named(name, &choice, to),
            None => before(&choice).ok_or_else(|| {
                Refusal::new("PLG084", Blame::Input, format!("plugin `{name}` has no earlier build to go back to"))
                    .expected("a build with other code that served before")
                    .remedy(format!("`sexton plugin history {name}` shows what served when"))
            }),
        }
    }

    /// Opens the kept copy of a build, with the settings of today.
    pub(super) fn serve_kept(&mut self, path: &Path, name: &str, digest: &str, asker: Asker) {
        let Some(copy) = sweep::find(&self.ground.generations, name, digest) else {
            return self.reject(path, copy_gone(name, digest), Some(digest), asker);
        };
        let found = settings_of(path).and_then(|settings| {
            // Its signature was judged when it first came: it stands beside the operator's file, not beside the copy.
            let rules = inspect::Rules { signatures: inspect::Signatures::default(), ..self.rules_for(&settings) };
            let inspected = inspect::inspect(&copy, &self.ground.generations, &rules).map_err(|r| problem::from_rejection(&r))?;
            Ok(Found { inspected, settings })
        });
        match found {
            Ok(found) if found.inspected.digest == digest && found.inspected.identity.plugin == name => self.open(path, found, asker),
            Ok(found) => {
                inspect::discard(&found.inspected);
                self.reject(path, copy_gone(name, digest).found("a copy of it that was changed"), Some(digest), asker);
            }
            Err(refusal) => self.reject(path, refusal, Some(digest), asker),
        }
    }

    /// The digests that decisions want to serve, by plugin.
    pub(super) fn rollbacks(&self) -> BTreeMap<String, String> {
        let of = |(name, plugin): (&String, &Plugin)| Some((name.clone(), plugin.rolled_back_to()?.to_owned()));
        self.plugins.iter().filter_map(of).collect()
    }
}

impl Plugin {
    /// A decision wants nothing of it to serve.
    pub(super) fn kept_out(&self) -> bool {
        self.decision.as_ref().is_some_and(|d| d.serve.is_none())
    }

    /// The digest that a decision wants to serve instead of what the directory shows.
    pub(super) fn rolled_back_to(&self) -> Option<&str> {
        self.decision.as_ref().and_then(|d| d.serve.as_deref())
    }

    /// Removes copies that nobody will want.
    pub(super) fn trim_copies(&mut self) {
        let mut copies = std::mem::take(&mut self.copies);
        let serving = self.active.as_ref().map(|a| a.serving.digest.as_str());
        let restart = self.restart.as_ref().map(|r| r.copy.as_path());
        sweep::trim(&mut copies, &Spared { serving, rollback: self.rolled_back_to(), restart });
        self.copies = copies;
    }
}

/// The build that served before: by the generations, newest first, that which comes behind the one that serves. A rollback that is in force counts
/// from before the build that it stands for, so that the next one goes further back.
fn before(choice: &Choice<'_>) -> Option<String> {
    let Choice { generations, serving, shown, rolled_back } = *choice;
    let stood_for = generations.iter().position(|g| Some(g.digest.as_str()) == shown);
    let older = match stood_for.filter(|_| rolled_back) {
        Some(at) => {
            let before = &generations[at..];
            let serves = before.iter().position(|g| Some(g.digest.as_str()) == serving)?;
            &before[serves..]
        }
        // What it stands for never served: back from where the serving build came first.
        None if rolled_back => {
            let first = generations.iter().rposition(|g| Some(g.digest.as_str()) == serving)?;
            &generations[first..]
        }
        None => generations,
    };
    let other = |g: &&GenerationRow| Some(g.digest.as_str()) != serving && Some(g.digest.as_str()) != shown;
    older.iter().find(other).map(|g| g.digest.clone())
}

/// The build that somebody names.
fn named(plugin: &str, choice: &Choice<'_>, to: &str) -> Result<String, Refusal> {
    let by_number = to.parse::<i64>().ok().and_then(|n| choice.generations.iter().find(|g| g.number == n));
    let mut by_digest: Vec<&str> = choice.generations.iter().map(|g| g.digest.as_str()).filter(|d| d.starts_with(to)).collect();
    by_digest.sort_unstable();
    by_digest.dedup();
    let digest = match (by_number, by_digest.as_slice()) {
        (Some(generation), _) => generation.digest.as_str(),
        (None, [one]) if to.len() >= DIGEST_LEAST => *one,
        _ => return Err(no_such_build(plugin, choice, to)),
    };
    if choice.serving == Some(digest) {
        return Err(Refusal::new("PLG084", Blame::Input, format!("the build `{digest:.SHOWN$}` of plugin `{plugin}` serves already")));
    }
    if choice.shown == Some(digest) {
        let message = format!("the build `{digest:.SHOWN$}` of plugin `{plugin}` is what the plugin directory shows");
        return Err(Refusal::new("PLG084", Blame::Input, message).remedy(format!("`sexton plugin release {plugin}` lets it serve again")));
    }
    Ok(digest.to_owned())
}

fn no_such_build(plugin: &str, choice: &Choice<'_>, to: &str) -> Refusal {
    let mut listed: Vec<String> = Vec::new();
    for generation in choice.generations {
        let digest = format!("{:.SHOWN$}", generation.digest);
        if !listed.iter().any(|l| l.starts_with(&digest)) && listed.len() < 10 {
            listed.push(format!("{digest} (generation {})", generation.number));
        }
    }
    Refusal::new("PLG084", Blame::Input, format!("no build of plugin `{plugin}` that ever served is called `{to:.80}`"))
        .expected(format!(
            "the number of a generation, or at least {DIGEST_LEAST} letters of a digest; the last builds are {}",
            listed.join(", ")
        ))
        .remedy(format!("`sexton plugin history {plugin}` shows them all"))
}

fn copy_gone(plugin: &str, digest: &str) -> Refusal {
    let message = format!("the build `{digest:.SHOWN$}` of plugin `{plugin}` is not kept any more");
    Refusal::new("PLG083", Blame::World, message)
        .expected(format!("its private copy: that of what serves, and of the {} builds before it", sweep::KEPT))
        .remedy(format!("put that build's file into the plugin directory; or `sexton plugin release {plugin}` loads what is there now"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn generations(digests: &[&str]) -> Vec<GenerationRow> {
        let row = |(at, digest): (usize, &&str)| GenerationRow {
            number: (digests.len() - at) as i64,
            plugin: "acme".to_owned(),
            digest: (*digest).to_owned(),
            placement: None,
            created_at: DateTime::UNIX_EPOCH,
            published_at: Some(DateTime::UNIX_EPOCH),
        };
        digests.iter().enumerate().map(row).collect()
    }

    #[test]
    fn each_rollback_goes_further_back() {
        // newest first, serving, shown, rolled back already, wanted
        for (digests, serving, shown, rolled_back, wanted) in [
            (&["c", "b", "a"][..], "c", "c", false, Some("b")),
            (&["b", "c", "b", "a"], "b", "c", true, Some("a")),
            (&["a", "b", "c", "b", "a"], "a", "c", true, None),
            (&["a", "b", "a"], "a", "a", false, Some("b")),
            (&["c", "c", "c"], "c", "c", false, None),
            // The newest build never served.
            (&["b", "a"], "b", "x", false, Some("a")),
            (&["a", "b", "a", "z"], "a", "x", true, Some("z")),
            // Started again after crashes, before and after the rollback.
            (&["b", "b", "c", "c", "b", "b", "a"], "b", "c", true, Some("a")),
            (&[], "c", "c", false, None),
        ] {
            let all = generations(digests);
            let choice = Choice { generations: &all, serving: Some(serving), shown: Some(shown), rolled_back };
            assert_eq!(before(&choice).as_deref(), wanted, "{choice:?}");
        }
    }

    #[test]
    fn a_build_is_named_by_generation_or_by_a_digest_cut_short() {
        let all = generations(&["cccccccc", "bbbbbbb1", "bbbbbbb2", "aaaaaaaa"]);
        let choice = Choice { generations: &all, serving: Some("cccccccc"), shown: Some("cccccccc"), rolled_back: false };
        let to = |to: &str| named("acme", &choice, to).map_err(|r| r.code);
        assert_eq!(to("1").as_deref(), Ok("aaaaaaaa"));
        assert_eq!(to("aaaaaa").as_deref(), Ok("aaaaaaaa"));
        assert_eq!(to("bbbbbbb2").as_deref(), Ok("bbbbbbb2"));
        for wrong in ["aaa", "bbbbbbb", "99", "cccccccc", "4", "nothing"] {
            assert_eq!(to(wrong), Err("PLG084".to_owned()), "{wrong}");
        }
    }
}
