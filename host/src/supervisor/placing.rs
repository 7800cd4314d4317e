//! The verb `place`: writes where a plugin runs into its settings file, and loads it there; or puts the file back.
//!
//! Not the text of the file (`plugin_settings`). What must hold: the file is whole at every instant, and after a refusal it is what it was.

use super::arrival;
use super::asked::Asker;
use super::keeper::Keeper;
use super::state::Plugin;
use crate::plugin_settings;
use crate::problem;
use crate::registry::Placement;
use rustix::fs::{Gid, OFlags, Uid};
use serde_json::json;
use sexton_core::{Blame, Refusal};
use sexton_loader::inspect;
use sexton_loader::shown::shown;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Of a settings file that was not there before.
const MODE: u32 = 0o644;
/// Of a file that is written under a passing name.
const NOFOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// A settings file that was overwritten.
#[derive(Clone, Debug)]
pub struct Overwritten {
    path: PathBuf,
    before: Option<String>,
    written: String,
}

impl Keeper {
    /// Writes, and loads if the plugin is not kept out by decision.
    pub(super) fn begin_place(&mut self, name: &str, path: &Path, placement: Placement, mut asker: Asker) {
        let settings = path.with_extension("toml");
        let overwritten = match overwrite(&settings, placement) {
            Ok(overwritten) => overwritten,
            Err(refusal) => return self.answer(asker, Err(refusal)),
        };
        // Whoever says where it runs trusts it there.
        if let Err(e) = self.ground.store.forgive_crashes(name) {
            overwritten.put_back();
            return self.answer(asker, Err(problem::from_store(&e)));
        }
        let plugin = self.plugins.get(name);
        let active = plugin.and_then(|p| p.active.as_ref());
        let from = active.map(|a| a.serving.placement);
        let stays = from == Some(placement) && overwritten.changed_nothing();
        let kept_out = active.is_none() && plugin.is_some_and(Plugin::kept_out);
        self.audit(&asker.by, "plugin.place", name, json!({"placement_from": from, "placement": placement, "path": shown(&settings)}));
        if stays || kept_out {
            return self.answer_with_view(asker, name);
        }
        asker.settings = Some(Box::new(overwritten));
        self.take_now(path, asker);
    }
}

impl Overwritten {
    /// As it was, unless somebody wrote it meanwhile.
    pub(super) fn put_back(&self) {
        if self.changed_nothing() || std::fs::read_to_string(&self.path).ok().as_ref() != Some(&self.written) {
            return;
        }
        let put = match &self.before {
            Some(before) => write(&self.path, before),
            None => std::fs::remove_file(&self.path),
        };
        if let Err(e) = put {
            tracing::warn!(path = shown(&self.path), error = %e, "the settings file cannot be put back as it was");
        }
    }

    fn changed_nothing(&self) -> bool {
        self.before.as_ref() == Some(&self.written)
    }
}

fn overwrite(path: &Path, placement: Placement) -> Result<Overwritten, Refusal> {
    let before = match path.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(unwritable(path, &e.to_string())),
        Ok(meta) if !meta.is_file() => {
            return Err(unwritable(path, "it is a link, or no regular file")
                .remedy(format!("write `placement = \"{placement}\"` into what it leads to: that is taken by itself then")));
        }
        Ok(_) => {
            let resolved = inspect::trusted(path).map_err(|r| problem::from_rejection(&r))?;
            Some(std::fs::read_to_string(resolved).map_err(|e| unwritable(path, &e.to_string()))?)
        }
    };
    let written = plugin_settings::with_placement(before.as_deref().unwrap_or_default(), placement)?;
    let overwritten = Overwritten { path: path.to_owned(), before, written };
    if !overwritten.changed_nothing() {
        write(path, &overwritten.written).map_err(|e| unwritable(path, &e.to_string()))?;
    }
    Ok(overwritten)
}

/// Under a passing name, then renamed. Mode and owner are those of the file that was there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let passing = arrival::passing_name(directory, "toml");
    let written = write_passing(&passing, path, text).and_then(|()| std::fs::rename(&passing, path));
    if written.is_err() {
        super::sweep::remove(&passing);
    }
    written?;
    File::open(directory)?.sync_all()
}

fn write_passing(passing: &Path, path: &Path, text: &str) -> io::Result<()> {
    // New, and no link: nobody chooses for us what we write into.
    let mut file = OpenOptions::new().write(true).create_new(true).custom_flags(NOFOLLOW).mode(MODE).open(passing)?;
    let meta = path.symlink_metadata().ok();
    file.set_permissions(std::fs::Permissions::from_mode(meta.as_ref().map_or(MODE, |m| m.mode() & 0o777)))?;
    let own = file.metadata()?;
    if let Some(meta) = meta.filter(|m| (m.uid(), m.gid()) != (own.uid(), own.gid())) {
        // Only root may give files away; others write what they own themselves.
        let given = rustix::fs::fchown(&file, Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())));
        if given.is_err() && rustix::process::geteuid().is_root() {
            given?;
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn unwritable(path: &Path, why: &str) -> Refusal {
    Refusal::new("PLG085", Blame::World, format!("the settings file {} cannot be written: {why}", shown(path)))
        .expected("a regular file, or none, in a plugin directory that the host's user can write to")
        .remedy("give the permission, or write `placement` into it yourself: that is taken by itself then")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_keeps_its_mode_and_comes_back_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("libx.toml");
        let before = "# mine\nplacement = \"runner\" # for now\n[settings]\nword = 1\n";
        std::fs::write(&path, before).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
        let overwritten = overwrite(&path, Placement::InProcess).expect("overwritten");
        let now = std::fs::read_to_string(&path).expect("read");
        assert_eq!(now, before.replace("\"runner\"", "\"in-process\""));
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).expect("read").count(), 1, "no passing name is left");
        overwritten.put_back();
        assert_eq!(std::fs::read_to_string(&path).expect("read"), before);
        assert!(overwrite(&path, Placement::Runner).expect("fine").changed_nothing());
    }

    #[test]
    fn what_stands_under_a_passing_name_is_not_written_into() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, passing, target) = (dir.path().join("libx.toml"), dir.path().join(".arriving.x.toml"), dir.path().join("precious"));
        std::fs::write(&target, "precious").expect("written");
        std::os::unix::fs::symlink(&target, &passing).expect("linked");
        assert_eq!(write_passing(&passing, &path, "placement").expect_err("a link").kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_file(&passing).expect("removed");
        std::fs::hard_link(&target, &passing).expect("linked");
        assert_eq!(write_passing(&passing, &path, "placement").expect_err("a file").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&target).expect("read"), "precious");
        let names: std::collections::BTreeSet<PathBuf> = (0..1_000).map(|_| arrival::passing_name(dir.path(), "toml")).collect();
        assert_eq!(names.len(), 1_000, "each is another");
    }

    #[test]
    fn a_file_that_was_not_there_goes_again_unless_somebody_wrote_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("libx.toml");
        overwrite(&path, Placement::InProcess).expect("written").put_back();
        assert!(!path.exists());
        let overwritten = overwrite(&path, Placement::InProcess).expect("written");
        std::fs::write(&path, "log_level = \"debug\"\n").expect("written by somebody else");
        overwritten.put_back();
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "log_level = \"debug\"\n");
    }

    #[test]
    fn a_link_is_left_to_whoever_made_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("libx.toml");
        std::os::unix::fs::symlink(dir.path().join("elsewhere.toml"), &path).expect("linked");
        assert_eq!(overwrite(&path, Placement::Runner).expect_err("a link").code, "PLG085");
    }
}
