//! Damaged copies of a real plugin: the inspection answers, and what it lets pass seldom kills who opens it.
//!
//! The opening is in a child process each, since `dlopen` of a damaged file can end the process before anything can be checked. What must hold:
//! no damage makes the inspection panic.

use crate::bench::{Ground, fixture};
use object::{Object, ObjectSection};
use sexton_loader::inspect::{Rules, inspect};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Set in the child: the file to open.
const OPEN: &str = "SEXTON_TEST_OPEN";
const FLIPS: usize = 500;
const OPENINGS_MAX: usize = 200;
/// Without the structural check about 125 of 300 kill; with it a few damaged instructions still do.
const KILLERS_MAX: usize = 4;

/// xorshift64: the same damage on every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 1).expect("64 bits") % below
    }
}

/// What the dynamic linker reads: the headers, and its sections by name. The first places of the file are the first range.
fn linker_tables(bytes: &[u8]) -> Vec<Range<usize>> {
    const NAMES: [&str; 10] = [
        ".dynsym",
        ".dynstr",
        ".gnu.hash",
        ".gnu.version",
        ".gnu.version_r",
        ".rela.dyn",
        ".rela.plt",
        ".dynamic",
        ".init_array",
        ".sexton.identity",
    ];
    let file = object::File::parse(bytes).expect("a good file");
    let place = |name: &str| file.section_by_name(name).and_then(|s| s.file_range()).map(|(at, size)| at..at + size);
    let small = |range: Range<u64>| usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small");
    let headers = 0..64 + 56 * usize::from(bytes[56]);
    std::iter::once(headers).chain(NAMES.into_iter().filter_map(place).map(small)).collect()
}

/// Opens it in a process of its own: 0 = opened, 3 = refused by the linker, anything else = it died.
fn open_elsewhere(file: &Path) -> ExitStatus {
    Command::new(std::env::current_exe().expect("a test binary"))
        .args(["--exact", "damage::flipped_bytes_are_answered_and_what_passes_opens", "--nocapture"])
        .env(OPEN, file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("started")
}

#[test]
fn flipped_bytes_are_answered_and_what_passes_opens() {
    if let Some(path) = std::env::var_os(OPEN) {
        // SAFETY: none; that is the question. This process is thrown away.
        let opened = unsafe { libloading::os::unix::Library::open(Some(PathBuf::from(path)), libloading::os::unix::RTLD_NOW) };
        std::process::exit(if opened.is_ok() { 0 } else { 3 });
    }
    let ground = Ground::new();
    let good = fs::read(fixture("fx_jobs")).expect("read");
    let tables = linker_tables(&good);
    let cut = ground.path("cut.so");
    fs::write(&cut, &good[..tables[0].end + 8192]).expect("written");
    assert!(!matches!(open_elsewhere(&cut).code(), Some(0 | 3)), "a file cut in what is mapped kills whoever opens it unseen");
    assert_eq!(open_elsewhere(&fixture("fx_jobs")).code(), Some(0));
    // `SEXTON_DAMAGE_SEED`: other damage, for a longer search.
    let seed = std::env::var("SEXTON_DAMAGE_SEED").map_or(0x7_0a57_0001, |text| text.parse().expect("a number"));
    let mut dice = Dice(seed);
    let mut passed = Vec::new();
    for i in 0..FLIPS {
        let mut bytes = good.clone();
        // Four of five hit what the linker reads, table by table; each hits up to eight bytes.
        for _ in 0..=(i % 8) {
            let within = if i % 5 == 4 { 0..bytes.len() } else { tables[dice.throw(tables.len())].clone() };
            let at = within.start + dice.throw(within.len());
            bytes[at] ^= u8::try_from(dice.throw(255)).expect("a byte") + 1;
        }
        let path = ground.path(&format!("{i}.so"));
        fs::write(&path, &bytes).expect("written");
        match inspect(&path, &ground.generations(), &Rules::default()) {
            Ok(inspected) => passed.push((i, inspected.copy)),
            Err(rejection) => assert!(rejection.code.starts_with("PLG"), "{rejection}"),
        }
        fs::remove_file(&path).expect("removed");
    }
    assert!(passed.len() < FLIPS / 2, "{} of {FLIPS} damaged files passed", passed.len());
    let mut killers = Vec::new();
    let step = passed.len().div_ceil(OPENINGS_MAX).max(1);
    for (i, copy) in passed.iter().step_by(step) {
        let ended = open_elsewhere(copy);
        if !matches!(ended.code(), Some(0 | 3)) {
            killers.push((i, ended));
        }
    }
    println!("{} of {FLIPS} passed, of {} opened {} killed: {killers:?}", passed.len(), passed.len().div_ceil(step), killers.len());
    assert!(killers.len() <= KILLERS_MAX, "{killers:?}");
}
