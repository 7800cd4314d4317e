//! `sexton plugin keygen` and `sexton plugin sign`: key pairs and signatures in the form of minisign, made here and without a host.
//!
//! Not the judging of signatures (the loader's). What must hold: no file is overwritten by a key, a secret key is its owner's alone, and a
//! signature appears whole or not at all.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure, input};
use crate::output::table::text;
use crate::problem::from_rejection;
use clap::Args;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use serde_json::json;
use sexton_core::{Blame, Refusal};
use sexton_loader::inspect;
use sexton_loader::shown::shown;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What to sign, and with what.
#[derive(Debug, Args)]
pub struct Sign {
    /// The .so file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The secret key: a file of `sexton plugin keygen` or of minisign
    #[arg(long, value_name = "SECRET_KEY")]
    pub key: PathBuf,
    /// A file whose first line is the key's password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Where to put a key pair.
#[derive(Debug, Args)]
pub struct Keygen {
    /// A directory (gets sexton.pub and sexton.key), or the name of the pair without its ending
    #[arg(long, value_name = "DIR|PREFIX")]
    pub out: PathBuf,
    /// A file whose first line is to be the key's password
    #[arg(long, value_name = "FILE", required_unless_present = "no_password")]
    pub password_file: Option<PathBuf>,
    /// Whoever has the file can sign
    #[arg(long, conflicts_with = "password_file")]
    pub no_password: bool,
}

impl Sign {
    /// Writes `FILE.minisig`.
    ///
    /// # Errors
    /// A file that is no plugin, a key that cannot be read or is locked, a place that cannot be written.
    pub fn run(self, door: &Door) -> Done {
        let bytes = std::fs::read(&self.file).map_err(|e| unreadable("the file", &self.file, &e.to_string()))?;
        let identity = inspect::identity_of(&bytes).map_err(|rejection| Failure::Failed(from_rejection(&rejection)))?;
        let comment = inspect::comment_for(&identity).ok_or_else(|| {
            Failure::Input(
                Refusal::new("INP016", Blame::Input, format!("the version `{}` cannot be signed", identity.version.escape_debug()))
                    .expected("a version without spaces")
                    .remedy("correct `version` in the plugin's Cargo.toml"),
            )
        })?;
        let secret = unlock(&self.key, self.password_file.as_deref())?;
        let public = PublicKey::from_secret_key(&secret).map_err(|e| unusable(&self.key, &e.to_string()))?;
        let made = minisign::sign(Some(&public), &secret, &*bytes, Some(&comment), Some("signature of a Sexton plugin"));
        let signature = made.map_err(|e| unusable(&self.key, &e.to_string()))?;
        let place = inspect::signature_beside(&self.file);
        write_whole(&place, &signature.into_string()).map_err(|e| unwritable(&place, &e))?;
        let said = json!({
            "file": self.file, "signature": place, "key_id": id_of(public.keynum()), "name": identity.plugin, "version": identity.version,
        });
        door.answer(&said, |s| {
            let (name, version, key) = (text(s, "name"), text(s, "version"), text(s, "key_id"));
            format!("signed {name} {version} with key {key}: {}", shown(&place))
        })
    }
}

impl Keygen {
    /// Writes the pair.
    ///
    /// # Errors
    /// A name that is taken, a place that cannot be written, a password that cannot be read.
    pub fn run(self, door: &Door) -> Done {
        let pair = match &self.password_file {
            Some(file) => KeyPair::generate_encrypted_keypair(Some(password(file)?)),
            None => KeyPair::generate_unencrypted_keypair(),
        };
        let failed = |e: minisign::PError| Failure::Failed(Refusal::new("HST007", Blame::World, format!("no key can be made: {e}")));
        let pair = pair.map_err(failed)?;
        let prefix = if self.out.is_dir() { self.out.join("sexton") } else { self.out };
        let of = |ending: &str| {
            let mut name = prefix.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let (secret, public) = (of(".key"), of(".pub"));
        let id = id_of(pair.pk.keynum());
        let secret_text = pair.sk.to_box(Some(&format!("secret key {id} for Sexton plugins"))).map_err(failed)?.to_string();
        let public_text = pair.pk.to_box().map_err(failed)?.to_string();
        write_new(&secret, &secret_text, 0o600).map_err(|e| not_made(&secret, &e))?;
        if let Err(e) = write_new(&public, &public_text, 0o644) {
            // Half a pair is of no use; this half is ours, made just now.
            let _gone = std::fs::remove_file(&secret);
            return Err(not_made(&public, &e));
        }
        door.answer(&json!({"key_id": id, "secret_key": secret, "public_key": public}), |_| {
            format!(
                "key {id}\nsecret: {} (keep it: whoever has it can sign)\npublic: {} (for the host's directory of keys)",
                shown(&secret),
                shown(&public)
            )
        })
    }
}

fn id_of(number: &[u8]) -> String {
    number.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn unlock(key: &Path, password_file: Option<&Path>) -> Result<SecretKey, Failure> {
    let text = std::fs::read_to_string(key).map_err(|e| unreadable("the secret key", key, &e.to_string()))?;
    let sealed = SecretKeyBox::from_string(&text).map_err(|e| unusable(key, &e.to_string()))?;
    match password_file {
        Some(file) => sealed.into_secret_key(Some(password(file)?)),
        None => sealed.into_unencrypted_secret_key(),
    }
    .map_err(|e| unusable(key, &e.to_string()))
}

/// The first line.
fn password(file: &Path) -> Result<String, Failure> {
    let text = input::read(&file.display().to_string())?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(unreadable("the password in", file, "its first line is empty")),
    }
}

/// A file that must not be there yet.
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// In the place of what was there, in one step.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".signing.").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    std::fs::File::open(directory)?.sync_all()
}

fn unreadable(what: &str, path: &Path, why: &str) -> Failure {
    Failure::Input(Refusal::new("INP020", Blame::Input, format!("{what} {} cannot be read: {why}", shown(path))))
}

fn unusable(key: &Path, why: &str) -> Failure {
    Failure::Input(
        Refusal::new("INP020", Blame::Input, format!("the secret key {} cannot be used: {why}", shown(key)))
            .expected("a secret key of `sexton plugin keygen` or minisign")
            .remedy("for a key with a password say `--password-file FILE`, for one without leave it out"),
    )
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(Refusal::new("HST007", Blame::World, format!("{} cannot be written: {error}", shown(path))))
}

fn not_made(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        let refusal = Refusal::new("INP016", Blame::Input, format!("{} is there already: a key is never overwritten", shown(path)));
        return Failure::Input(refusal.remedy("name another place with `--out`"));
    }
    unwritable(path, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use sexton_loader::inspect::{Policy, Rules, Signature, Signatures};

    fn door() -> Door {
        Door { address: None, format: Format::Ndjson }
    }

    /// A directory with a plugin in it.
    fn site() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let test = std::env::current_exe().expect("this test has a path");
        let built = test.parent().and_then(Path::parent).expect("in target/<profile>/deps").join("examples/libfx_supervised.so");
        let plugin = dir.path().join("libfx.so");
        std::fs::copy(&built, &plugin).unwrap_or_else(|e| panic!("{} is built with the tests: {e}", built.display()));
        (dir, plugin)
    }

    fn code(done: Done) -> String {
        match done.expect_err("refused") {
            Failure::Input(r) | Failure::Failed(r) => r.code,
            other => panic!("{other:?}"),
        }
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_signed_here_passes_there() {
        let (dir, plugin) = site();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("keys")).expect("made");
        std::fs::write(at("word"), "a word\nnot this\n").expect("written");
        for (prefix, word) in [("plain", None), ("locked", Some(at("word")))] {
            let keygen = Keygen { out: at(prefix), password_file: word.clone(), no_password: word.is_none() };
            keygen.run(&door()).expect("made");
            let key = at(&format!("{prefix}.key"));
            assert_eq!((mode(&key), mode(&at(&format!("{prefix}.pub")))), (0o600, 0o644));
            let other = if word.is_none() { Some(at("word")) } else { None };
            assert_eq!(code(Sign { file: plugin.clone(), key: key.clone(), password_file: other }.run(&door())), "INP020");
            Sign { file: plugin.clone(), key, password_file: word }.run(&door()).expect("signed");
            assert_eq!(mode(&at("libfx.so.minisig")), 0o644);
            let judge = || {
                let signatures = Signatures { policy: Policy::Enforce, keys: at("keys") };
                inspect::inspect(&plugin, &at("generations"), &Rules { signatures, ..Rules::default() })
            };
            assert_eq!(judge().expect_err("the key is unknown").code, "PLG073");
            std::fs::copy(at(&format!("{prefix}.pub")), at("keys").join(format!("{prefix}.pub"))).expect("copied");
            let Signature::Signed { trusted_comment, .. } = judge().expect("passes").signature else { panic!("signed") };
            assert!(trusted_comment.starts_with("sexton plugin=fx-first version="), "{trusted_comment}");
        }
    }

    #[test]
    fn no_key_is_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let keygen = |out: &Path| Keygen { out: out.to_owned(), password_file: None, no_password: true }.run(&door());
        keygen(dir.path()).expect("made");
        let before = std::fs::read(dir.path().join("sexton.key")).expect("read");
        assert_eq!(code(keygen(dir.path())), "INP016");
        assert_eq!(std::fs::read(dir.path().join("sexton.key")).expect("read"), before);
        let half = dir.path().join("half");
        std::fs::write(dir.path().join("half.pub"), "somebody's").expect("written");
        assert_eq!(code(keygen(&half)), "INP016");
        assert!(!dir.path().join("half.key").exists(), "no half of a pair is left");
        assert_eq!(std::fs::read_to_string(dir.path().join("half.pub")).expect("read"), "somebody's");
        assert_eq!(code(keygen(&dir.path().join("none/such"))), "HST007");
    }

    #[test]
    fn what_cannot_be_signed_is_said() {
        let (dir, plugin) = site();
        let at = |name: &str| dir.path().join(name);
        Keygen { out: at("k"), password_file: None, no_password: true }.run(&door()).expect("made");
        std::fs::write(at("text.so"), "no library").expect("written");
        std::fs::write(at("empty"), "\n").expect("written");
        std::fs::write(at("junk.key"), "untrusted comment: x\nAAAA\n").expect("written");
        let sign = |file: &Path, key: &str, word: Option<&str>| {
            code(Sign { file: file.to_owned(), key: at(key), password_file: word.map(at) }.run(&door()))
        };
        assert_eq!(sign(&at("text.so"), "k.key", None), "PLG004");
        assert_eq!(sign(&at("absent.so"), "k.key", None), "INP020");
        assert_eq!(sign(&plugin, "absent.key", None), "INP020");
        assert_eq!(sign(&plugin, "junk.key", None), "INP020");
        assert_eq!(sign(&plugin, "k.pub", None), "INP020");
        assert_eq!(sign(&plugin, "k.key", Some("empty")), "INP020");
        assert!(!at("libfx.so.minisig").exists() && !at("text.so.minisig").exists());
    }
}
