//! What is dangerous in one place and bearable in another: judged by where the code is to run.
//!
//! Not what is refused everywhere (broken structure, an executable stack): that never gets here. What must hold: what only a process of its
//! own can contain is refused in the host's process, with the sentence that says how to give it one.

use super::dynamic_libraries;
use super::owner::{self, Trust};
use crate::rejection::Rejection;
use crate::seam::Placement;
use crate::shown::one_line;
use std::path::Path;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    /// A panic ends the process.
    PanicAborts,
    /// Needs a library that not every process has.
    Library(String),
    /// Brings a search path for what it needs.
    SearchPath {
        /// `RPATH` or `RUNPATH`.
        kind: &'static str,
        /// As written, parts joined by `:`.
        path: String,
        /// All that is looked for there.
        needed: Vec<String>,
    },
    /// So many constructors beyond the usual ones.
    Constructors(u64),
    /// Linked so that it is never unmapped.
    NoDelete,
    /// Has a symbol because of which it is never unmapped.
    Unique(String),
}

/// Judges all. Answers warnings.
pub(super) fn judge(concerns: &[Concern], placement: Placement, plugin: &str, trust: &Trust) -> Result<Vec<String>, Rejection> {
    concerns
        .iter()
        .map(|concern| match placement {
            Placement::InProcess => concern.in_process(plugin),
            Placement::Runner => concern.in_runner(plugin, trust),
        })
        .collect()
}

impl Concern {
    fn in_process(&self, plugin: &str) -> Result<String, Rejection> {
        let elsewhere = format!("`sexton plugin place {plugin} runner`");
        match self {
            Self::PanicAborts => Err(Rejection::new(
                "PLG014",
                format!("plugin `{plugin}` was built with `panic = \"abort\"`: a panic of a job would end the host"),
            )
            .expected("`panic = \"unwind\"` for placement `in-process`")
            .found("`panic = \"abort\"`")
            .remedy(format!(
                "remove `panic = \"abort\"` from the profile that builds the plugin, or give it a process of its own: {elsewhere}"
            ))),
            Self::Library(name) => {
                Err(refused(format!("the library needs `{}`, which is not allowed in the host's own process", one_line(name)))
                    .expected(format!("{} or ld-linux only", dynamic_libraries()))
                    .found(format!("NEEDED `{}`", one_line(name)))
                    .remedy(format!("link the library statically into the plugin, or give it a process of its own: {elsewhere}")))
            }
            Self::SearchPath { kind, path, .. } => {
                Err(refused(format!("the library brings a search path of its own into the host's process ({kind} `{}`)", one_line(path)))
                    .expected("libraries found by the system's own rules")
                    .found(format!("{kind} `{}`", one_line(path)))
                    .remedy(format!("remove `-rpath` from the plugin's link arguments, or give it a process of its own: {elsewhere}")))
            }
            Self::Constructors(_) => Ok(self.sentence()),
            Self::NoDelete | Self::Unique(_) => Ok(format!("{}; {elsewhere} gives it a process that ends", self.sentence())),
        }
    }

    fn in_runner(&self, plugin: &str, trust: &Trust) -> Result<String, Rejection> {
        match self {
            Self::Library(name) if name.contains('/') => from_place(name, trust)?,
            Self::SearchPath { kind, path, needed } => {
                for entry in path.split(':') {
                    searched(kind, entry, needed, trust)?;
                }
            }
            Self::PanicAborts | Self::Library(_) | Self::Constructors(_) | Self::NoDelete | Self::Unique(_) => {}
        }
        let also = match self {
            Self::PanicAborts | Self::Library(_) | Self::SearchPath { .. } => {
                format!("; `sexton plugin place {plugin} in-process` would be refused")
            }
            Self::Constructors(_) | Self::NoDelete | Self::Unique(_) => String::new(),
        };
        Ok(format!("{}{also}", self.sentence()))
    }

    fn sentence(&self) -> String {
        match self {
            Self::PanicAborts => {
                "built with `panic = \"abort\"`: a panic of one job ends the plugin's process and every run in it".to_owned()
            }
            Self::Library(name) => {
                format!("needs `{}`, whose code neither the plugin's digest nor a signature covers", one_line(name))
            }
            Self::SearchPath { kind, path, .. } => {
                format!(
                    "brings a search path ({kind} `{}`): neither the plugin's digest nor a signature covers what lies there",
                    one_line(path)
                )
            }
            Self::Constructors(count) => {
                format!("{count} constructors run while the library is opened, before anything of it can be checked")
            }
            Self::NoDelete => "linked with `-z nodelete`: once opened in-process it stays mapped until the host ends".to_owned(),
            Self::Unique(name) => {
                format!("has GNU_UNIQUE symbols (`{}`): once opened in-process it stays mapped until the host ends", one_line(name))
            }
        }
    }
}

fn refused(message: String) -> Rejection {
    Rejection::new("PLG009", message)
}

/// The linker puts its own words in the place of `$ORIGIN`, `$LIB` and `$PLATFORM`, and takes what is relative from where the process stands.
fn is_plain(path: &str) -> bool {
    path.starts_with('/') && !path.contains('$')
}

fn from_place(name: &str, trust: &Trust) -> Result<(), Rejection> {
    if !is_plain(name) {
        return Err(refused(format!("the library needs `{}`, which leads to another file wherever it is opened", one_line(name)))
            .expected("the name of a library, or an absolute path without `$`")
            .found(format!("NEEDED `{}`", one_line(name)))
            .remedy("link the library statically into the plugin, or by its name alone"));
    }
    owner::resolve(Path::new(name), trust).map(drop).map_err(|r| others_could(&format!("the library needs `{}`", one_line(name)), r))
}

/// One directory of a search path, and what would be taken from it.
fn searched(kind: &str, entry: &str, needed: &[String], trust: &Trust) -> Result<(), Rejection> {
    let shown = one_line(entry);
    if !is_plain(entry) {
        return Err(refused(format!("the library searches a place that depends on where it is opened ({kind} `{shown}`)"))
            .expected("absolute directories without `$`")
            .found(format!("{kind} `{shown}`"))
            .remedy("remove `-rpath` from the plugin's link arguments, or name an absolute directory of root or the host's user"));
    }
    let words = format!("the library searches `{shown}` ({kind})");
    let directory = owner::resolve_directory(Path::new(entry), trust).map_err(|r| others_could(&words, r))?;
    for name in needed.iter().filter(|name| !name.contains('/')) {
        let library = directory.join(name);
        // What cannot be looked at for another reason than absence is the owner rule's to refuse.
        if library.symlink_metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
            continue;
        }
        owner::resolve(&library, trust).map_err(|r| others_could(&words, r))?;
    }
    Ok(())
}

/// The owner rule's words, under the code of what brought it up.
fn others_could(words: &str, inner: Rejection) -> Rejection {
    let Rejection { message, expected, found, remedy, .. } = inner;
    Rejection { code: "PLG009".to_owned(), message: format!("{words}: {message}"), expected, found, remedy }
}
