//! Hazards of a library, each by placement: small C libraries, linked so that each has one of them.
//!
//! Not what damage does (`damage`, `mutations`). What must hold: what nothing contains is refused in both placements; what a process of its
//! own contains is a warning there and a refusal in the host's process, with the way out named.

use crate::bench::Ground;
use sexton_loader::inspect::{Inspected, Rules, inspect};
use sexton_loader::rejection::Rejection;
use sexton_loader::seam::Placement;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes a C library a plugin as far as an inspection goes.
fn source(panic: &str, hazard: &str) -> String {
    let entry = abi_stable::library::ROOT_MODULE_LOADER_NAME;
    let identity = format!(
        r#"{{\"plugin\":\"fx-c\",\"version\":\"1.0.0\",\"api_major\":1,\"api_minor\":0,\"rustc\":\"none\",\"panic\":\"{panic}\"}}"#
    );
    format!(
        "__attribute__((section(\".sexton.identity\"), used)) static const char identity[] = \"{identity}\";\n\
         int {entry} = 1;\nextern int puts(const char *);\nint speak(void) {{ return puts(\"x\"); }}\n{hazard}\n"
    )
}

/// Builds a library with `cc`, which the tests of this crate need.
fn build(ground: &Ground, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (text, library) = (ground.path(&format!("{name}.c")), ground.path(&format!("lib{name}.so")));
    fs::write(&text, source).expect("written");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wl,--hash-style=gnu", "-o"]).arg(&library).arg(&text).args(flags);
    let done = cc.output().expect("a C compiler `cc` is there");
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    library
}

fn judged(ground: &Ground, library: &Path, placement: Placement) -> Result<Inspected, Rejection> {
    inspect(library, &ground.generations(), &Rules { placement, ..Rules::default() })
}

/// One hazard and what is expected of it: by placement either a code, or a warning with these words.
struct Case {
    name: &'static str,
    panic: &'static str,
    hazard: &'static str,
    flags: &'static [&'static str],
    in_runner: Result<&'static str, &'static str>,
    in_process: Result<&'static str, &'static str>,
}

/// A hazard of linking alone.
const fn linked(
    name: &'static str,
    flags: &'static [&'static str],
    in_runner: Result<&'static str, &'static str>,
    in_process: Result<&'static str, &'static str>,
) -> Case {
    Case { name, panic: "unwind", hazard: "", flags, in_runner, in_process }
}

const CASES: &[Case] = &[
    linked("execstack", &["-Wl,-z,execstack"], Err("PLG013"), Err("PLG013")),
    linked("audit", &["-Wl,--audit=libaudit.so"], Err("PLG009"), Err("PLG009")),
    linked("depaudit", &["-Wl,--depaudit=libaudit.so"], Err("PLG009"), Err("PLG009")),
    linked("filter", &["-Wl,--filter=libother.so"], Err("PLG009"), Err("PLG009")),
    linked("auxiliary", &["-Wl,--auxiliary=libother.so"], Err("PLG009"), Err("PLG009")),
    linked("origin", &["-Wl,--enable-new-dtags,-rpath,$ORIGIN"], Err("PLG009"), Err("PLG009")),
    linked("relative", &["-Wl,--enable-new-dtags,-rpath,/usr:lib"], Err("PLG009"), Err("PLG009")),
    linked("empty", &["-Wl,--enable-new-dtags,-rpath,/usr::/usr"], Err("PLG009"), Err("PLG009")),
    linked("absent", &["-Wl,--enable-new-dtags,-rpath,/nonexistent/of/sexton"], Err("PLG009"), Err("PLG009")),
    linked("sticky", &["-Wl,--enable-new-dtags,-rpath,/tmp"], Err("PLG009"), Err("PLG009")),
    linked("runpath", &["-Wl,--enable-new-dtags,-rpath,/usr"], Ok("brings a search path (RUNPATH `/usr`)"), Err("PLG009")),
    linked("rpath", &["-Wl,--disable-new-dtags,-rpath,/usr"], Ok("brings a search path (RPATH `/usr`)"), Err("PLG009")),
    linked("nodelete", &["-Wl,-z,nodelete"], Ok("once opened in-process it stays mapped"), Ok("`sexton plugin place fx-c runner`")),
    Case {
        name: "unique",
        panic: "unwind",
        hazard: "__asm__(\".data\\n.globl once\\n.type once, %gnu_unique_object\\n.size once, 1\\nonce: .byte 1\\n.text\");",
        flags: &[],
        in_runner: Ok("GNU_UNIQUE symbols (`once`): once opened in-process it stays mapped"),
        in_process: Ok("`sexton plugin place fx-c runner`"),
    },
    Case {
        name: "constructors",
        panic: "unwind",
        hazard: "__attribute__((constructor)) static void a(void) { speak(); }\n__attribute__((constructor)) static void b(void) { speak(); }\n\
                 __attribute__((constructor)) static void c(void) { speak(); }",
        flags: &[],
        in_runner: Ok("constructors run while the library is opened"),
        in_process: Ok("constructors run while the library is opened"),
    },
    Case {
        name: "textrel",
        panic: "unwind",
        hazard: "__asm__(\".text\\n.balign 8\\n.quad speak\");",
        flags: &["-Wl,-z,notext"],
        in_runner: Err("PLG013"),
        in_process: Err("PLG013"),
    },
    Case {
        name: "abort",
        panic: "abort",
        hazard: "",
        flags: &[],
        in_runner: Ok("a panic of one job ends the plugin's process"),
        in_process: Err("PLG014"),
    },
];

#[test]
fn each_hazard_is_judged_by_placement() {
    let ground = Ground::new();
    let plain = build(&ground, "plain", &source("unwind", ""), &[]);
    for placement in [Placement::Runner, Placement::InProcess] {
        let inspected = judged(&ground, &plain, placement).expect("a plain library is good");
        assert!(inspected.warnings.is_empty(), "{:?}", inspected.warnings);
    }
    for case in CASES {
        let library = build(&ground, case.name, &source(case.panic, case.hazard), case.flags);
        for (placement, expected) in [(Placement::Runner, case.in_runner), (Placement::InProcess, case.in_process)] {
            let name = format!("{} as {placement}", case.name);
            match (judged(&ground, &library, placement), expected) {
                (Ok(inspected), Ok(words)) => {
                    assert!(inspected.warnings.iter().any(|w| w.contains(words)), "{name}: {:?}", inspected.warnings);
                    fs::remove_file(&inspected.copy).expect("removed");
                }
                (Err(rejection), Err(code)) => {
                    assert_eq!(rejection.code, code, "{name}: {rejection}");
                    let remedy = rejection.remedy.unwrap_or_default();
                    let way_out = case.in_runner.is_ok() && placement == Placement::InProcess;
                    assert!(!way_out || remedy.contains("sexton plugin place fx-c runner"), "{name}: {remedy}");
                }
                (found, expected) => panic!("{name}: expected {expected:?}, found {found:?}"),
            }
        }
    }
}

#[test]
fn a_private_library_is_for_a_process_of_its_own_and_must_be_the_hosts() {
    let ground = Ground::new();
    let private = build(&ground, "private", "int deep(void) { return 7; }", &["-Wl,-soname,libprivate.so"]);
    let hazard = "extern int deep(void);\nint deeper(void) { return deep(); }";
    let here = ground.path("");
    let search = format!("-L{}", here.display());
    let by_name = build(&ground, "by_name", &source("unwind", hazard), &[&search, "-lprivate"]);
    let warnings = judged(&ground, &by_name, Placement::Runner).expect("a warning").warnings;
    assert!(warnings[0].starts_with("needs `libprivate.so`, whose code neither"), "{warnings:?}");
    let rejection = judged(&ground, &by_name, Placement::InProcess).expect_err("refused");
    assert_eq!((rejection.code.as_str(), rejection.found.as_deref()), ("PLG009", Some("NEEDED `libprivate.so`")));
    assert!(rejection.remedy.expect("a way out").contains("sexton plugin place fx-c runner"));

    // Found by a search path: the directory and what is taken from it are under the owner rule.
    let rpath = format!("-Wl,--enable-new-dtags,-rpath,{}", here.display().to_string().trim_end_matches('/'));
    let searching = build(&ground, "searching", &source("unwind", hazard), &[&search, "-lprivate", &rpath]);
    assert_eq!(judged(&ground, &searching, Placement::Runner).expect("warnings").warnings.len(), 2);
    let open = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    open(&private, 0o666);
    let rejection = judged(&ground, &searching, Placement::Runner).expect_err("refused");
    assert!(rejection.code == "PLG009" && rejection.message.contains("everybody may write the file"), "{rejection}");
    assert_eq!(rejection.remedy, Some(format!("chmod o-w {}", private.display())));
    open(&private, 0o644);

    // Named by its place: the same.
    let placed = build(&ground, "placed", "int deep(void) { return 7; }", &[]);
    let by_place = build(&ground, "by_place", &source("unwind", hazard), &[placed.to_str().expect("text")]);
    assert!(judged(&ground, &by_place, Placement::Runner).is_ok());
    open(&placed, 0o666);
    assert_eq!(judged(&ground, &by_place, Placement::Runner).expect_err("refused").code, "PLG009");
    fs::remove_file(&placed).expect("removed");
    symlink("/nonexistent/of/sexton", &placed).expect("made");
    assert_eq!(judged(&ground, &by_place, Placement::Runner).expect_err("refused").code, "PLG009");
}

#[test]
fn a_copy_for_another_user_can_be_read_and_not_written() {
    let ground = Ground::new();
    let plain = build(&ground, "plain", &source("unwind", ""), &[]);
    let mode = |rules: &Rules| {
        let inspected = inspect(&plain, &ground.generations(), rules).expect("good");
        inspected.copy.metadata().expect("there").permissions().mode() & 0o7777
    };
    assert_eq!(mode(&Rules::default()), 0o400);
    assert_eq!(mode(&Rules { readable_by_others: true, ..Rules::default() }), 0o444);
    assert_eq!(ground.generations().metadata().expect("there").permissions().mode() & 0o7777, 0o700);
}
