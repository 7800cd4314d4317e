//! Confinement as a runner meets it: a child confines itself, then tries what was forbidden, and what was not.
//!
//! What must hold: for each thing denied there is a run in which the same thing succeeds, so that a denial is the confinement's doing. Tests
//! that need root say so; the project's gate runs as root.

use serde_json::{Value, json};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the child said: what was applied or rejected, and what came of each deed.
struct Said(Value);

impl Said {
    fn deed(&self, deed: &str) -> &str {
        self.0["deeds"][deed].as_str().unwrap_or_else(|| panic!("`{deed}` was not tried: {}", self.0))
    }
    fn is(&self, deeds: &[(&str, &str)]) {
        let found: Vec<_> = deeds.iter().map(|(deed, _)| (*deed, self.deed(deed))).collect();
        assert_eq!(found, deeds, "{}", self.0["applied"]);
    }
    fn names(&self, list: &str, start: &str) -> bool {
        self.0["applied"][list].as_array().expect("a list").iter().any(|words| words.as_str().expect("words").starts_with(start))
    }
    fn whoami(&self) -> Value {
        serde_json::from_str(self.deed("whoami").strip_prefix("ok ").expect("it can be asked for")).expect("JSON")
    }
    fn rejected(&self, code: &str, part: &str) {
        let rejected = &self.0["rejected"];
        assert_eq!(rejected["code"], code, "{}", self.0);
        for field in ["expected", "found", "remedy"] {
            assert!(rejected[field].as_str().is_some_and(|words| !words.is_empty()), "no {field}: {rejected}");
        }
        assert!(rejected.to_string().contains(part), "{rejected}");
    }
}

fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this test has a file");
    let program = test.ancestors().nth(2).expect("tests lie in deps").join("examples/fx_confined");
    assert!(program.is_file(), "{} is not built: run `cargo test`, or build the examples first", program.display());
    program
}

fn said(mut command: Command) -> Said {
    let output = command.output().expect("it starts");
    let words = String::from_utf8_lossy(&output.stdout);
    let words = words.lines().last().unwrap_or_else(|| panic!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    Said(serde_json::from_str(words).expect("one line of JSON"))
}

fn confined(confinement: &Value, deeds: &[&str]) -> Said {
    let mut command = Command::new(program());
    command.arg(confinement.to_string()).args(deeds);
    said(command)
}

/// The same as a user without rights, with a copy of the program that anybody may run.
fn confined_as_nobody(confinement: &Value, deeds: &[&str]) -> Said {
    let folder = open_folder();
    let copy = folder.path().join("fx_confined");
    std::fs::copy(program(), &copy).expect("copied");
    let mut command = Command::new(&copy);
    command.arg(confinement.to_string()).args(deeds).uid(65534).gid(65534);
    said(command)
}

fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    folder
}

/// Whether a test that needs root can run; says so loudly if not.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("NOT RUN: `{test}` needs root, to start a process as another user; run it with sudo");
    }
    root
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a readable name")
}

#[test]
fn memory_and_files_end_at_their_limits() {
    let limits = json!({"limits": {"memory": 256 << 20, "open_files": 64}});
    let deeds = ["alloc:67108864", "alloc:536870912", "files", "thread", "exec:/bin/true"];
    let tight = confined(&limits, &deeds);
    tight.is(&[
        ("alloc:67108864", "ok 67108864"),
        ("alloc:536870912", "ENOMEM"),
        ("thread", "ok"),
        ("exec:/bin/true", "ok exit status: 0"),
    ]);
    let files: u64 = tight.deed("files").strip_prefix("ok ").and_then(|n| n.parse().ok()).expect("counted");
    assert!((50..=61).contains(&files), "{files} files of 64, three of which were open");
    assert!(tight.names("enforced", "memory 256 MiB (RLIMIT_DATA)") && tight.names("enforced", "open files 64 (RLIMIT_NOFILE)"));
    assert!(tight.names("not_enforced", "memory that is shared") && tight.names("not_enforced", "against malice"), "{}", tight.0);
    let wide = confined(&json!({}), &deeds);
    wide.is(&[("alloc:536870912", "ok 536870912")]);
    assert!(wide.deed("files").len() > tight.deed("files").len(), "{}", wide.0);
}

#[test]
fn what_needs_a_group_or_a_user_is_named() {
    let said = confined(&json!({"limits": {"processes": 8, "cpu_percent": 50}}), &["exec:/bin/true"]);
    assert!(said.names("not_enforced", "processes 8: needs `run_as` or a delegated cgroup"), "{}", said.0);
    assert!(said.names("not_enforced", "cpu 50%: needs a delegated cgroup"), "{}", said.0);
    assert!(!said.names("enforced", "processes"), "{}", said.0);
}

#[test]
fn another_user_is_become_for_good() {
    if !is_root("another_user_is_become_for_good") {
        return;
    }
    let folder = open_folder();
    let (secret, own) = (folder.path().join("secret"), folder.path().join("own"));
    std::fs::write(&secret, "mine").expect("written");
    std::fs::write(&own, "").expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("ours");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o666)).expect("ours");
    let (read, write) = (format!("read:{}", text(&secret)), format!("write:{}", text(&own)));
    let deeds = ["whoami", "become-root", "signal-parent", "list:/proc/self/fd", "read:/proc/self/maps", &read, &write];
    let mut command = Command::new(program());
    command.arg(json!({"run_as": "daemon"}).to_string()).args(deeds).env("DIES_WITH_ITS_PARENT", "1");
    let switched = said(command);
    switched.is(&[("become-root", "EPERM"), ("signal-parent", "EPERM"), (&read, "EACCES"), (&write, "ok")]);
    assert!(switched.deed("list:/proc/self/fd").starts_with("ok") && switched.deed("read:/proc/self/maps").starts_with("ok"));
    let who = switched.whoami();
    assert_eq!((&who["privileges"], &who["at_parents_death"]), (&json!(0), &json!(10)), "{who}");
    assert_eq!(who["no_new_privileges"], json!(true), "{who}");
    assert!(who["uid"] != 0 && who["gid"] != 0 && !who["groups"].as_array().expect("a list").contains(&json!(0)), "{who}");
    assert!(switched.names("enforced", "runs as `daemon`") && !switched.names("not_enforced", "against malice"), "{}", switched.0);
    confined(&json!({}), &deeds).is(&[("become-root", "ok"), ("signal-parent", "ok"), (&read, "ok 4")]);
}

#[test]
fn a_program_with_roots_bit_gives_nothing_back() {
    if !is_root("a_program_with_roots_bit_gives_nothing_back") {
        return;
    }
    let folder = open_folder();
    let id = folder.path().join("id");
    std::fs::copy("/usr/bin/id", &id).expect("every system has it");
    std::fs::set_permissions(&id, std::fs::Permissions::from_mode(0o4755)).expect("ours");
    let deed = format!("says:{}", text(&id));
    let free = Command::new(&id).uid(1).output().expect("it starts");
    let free = String::from_utf8_lossy(&free.stdout).into_owned();
    assert!(free.contains("euid=0"), "the bit works where nothing forbids it (is the directory on a `nosuid` mount?): {free}");
    let switched = confined(&json!({"run_as": "daemon"}), &[&deed]);
    let said = switched.deed(&deed);
    assert!(said.contains("(daemon)") && !said.contains("euid=0"), "{said}");
}

#[test]
fn a_fork_storm_ends_under_a_uid_of_its_own() {
    if !is_root("a_fork_storm_ends_under_a_uid_of_its_own") {
        return;
    }
    let said = confined(&json!({"run_as": "games", "limits": {"processes": 20}}), &["forks"]);
    let forks: u32 = said.deed("forks").strip_prefix("EAGAIN ").and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{}", said.0));
    assert!(forks < 20, "{forks}");
    assert!(said.names("enforced", "processes 20 (RLIMIT_NPROC"), "{}", said.0);
}

#[test]
fn a_user_that_cannot_be_become_is_refused() {
    if !is_root("a_user_that_cannot_be_become_is_refused") {
        return;
    }
    confined(&json!({"run_as": "no-such-user"}), &["forks"]).rejected("PLG060", "useradd");
    confined(&json!({"run_as": "root"}), &["forks"]).rejected("PLG060", "uid 0");
    confined_as_nobody(&json!({"run_as": "daemon"}), &["forks"]).rejected("PLG060", "uid 65534");
}

#[test]
fn a_list_opens_its_files_and_no_others() {
    let folder = open_folder();
    let place = |name: &str| folder.path().join(name);
    for name in ["r", "w", "x"] {
        std::fs::create_dir(place(name)).expect("made");
        std::fs::write(place(name).join("f"), "1234").expect("written");
    }
    std::fs::write(place("one"), "12").expect("written");
    let of = |deed: &str, name: &str| format!("{deed}:{}", text(&place(name)));
    let allowed = [
        of("read", "r/f"),
        of("list", "r"),
        of("read", "one"),
        of("read", "w/f"),
        of("write", "w/new"),
        of("move", "w/f"),
        of("remove", "w/new"),
    ];
    let denied = [of("write", "r/f"), of("read", "x/f"), of("list", "x"), of("write", "x/new"), of("remove", "x/f"), of("write", "one")];
    let list = json!({"capabilities": {"read": [place("r"), place("one")], "write": [place("w")]}});
    let deeds: Vec<&str> = allowed.iter().chain(&denied).map(String::as_str).collect();
    let said = confined(&list, &deeds);
    for deed in &allowed {
        assert!(said.deed(deed).starts_with("ok"), "{}", said.0);
    }
    for deed in &denied {
        assert_eq!(said.deed(deed), "EACCES", "{deed}: {}", said.0);
    }
    let needed = ["read:/proc/self/maps", "read:/etc/passwd", "list:/usr", "write:/dev/null", "thread", "files", "read:/etc/shadow"];
    let said = confined(&list, &needed);
    for deed in &needed[..6] {
        assert!(said.deed(deed).starts_with("ok"), "{}", said.0);
    }
    said.is(&[("read:/etc/shadow", "EACCES")]);
    assert!(said.names("enforced", "files: reads ") && !said.names("not_enforced", "against malice"), "{}", said.0);
    // The same deeds, where nothing forbids them.
    let free = confined(&json!({}), &denied.iter().map(String::as_str).collect::<Vec<_>>());
    for deed in &denied {
        assert!(free.deed(deed).starts_with("ok"), "{}", free.0);
    }
}

#[test]
fn rights_of_files_are_not_changed_past_the_list() {
    let folder = open_folder();
    let file = folder.path().join("f");
    std::fs::write(&file, "").expect("written");
    let chmod = format!("chmod:{}", text(&file));
    confined(&json!({"capabilities": {}}), &[&chmod]).is(&[(&chmod, "EPERM")]);
    confined(&json!({}), &[&chmod]).is(&[(&chmod, "ok")]);
}

#[test]
fn the_network_is_open_only_to_whom_it_was_given() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let connect = format!("connect:{}", listener.local_addr().expect("bound"));
    let family = |number: i32| format!("socket:{number}");
    let (internet, six) = (family(libc::AF_INET), family(libc::AF_INET6));
    let others = [family(libc::AF_UNIX), family(libc::AF_NETLINK), family(libc::AF_PACKET), family(libc::AF_VSOCK)];
    let deeds: Vec<&str> = [&connect, &internet, &six].into_iter().chain(&others).map(String::as_str).chain(["pair"]).collect();
    let without = confined(&json!({"capabilities": {}}), &deeds);
    for deed in &deeds[..deeds.len() - 1] {
        assert_eq!(without.deed(deed), "EPERM", "{deed}: {}", without.0);
    }
    without.is(&[("pair", "ok")]);
    let with = confined(&json!({"capabilities": {"network": true}}), &deeds);
    with.is(&[(&connect, "ok"), (&internet, "ok"), ("pair", "ok")]);
    for deed in &others {
        assert_eq!(with.deed(deed), "EPERM", "{deed}: {}", with.0);
    }
    let free = confined(&json!({}), &deeds);
    free.is(&[(&connect, "ok"), (&internet, "ok"), (&others[0], "ok"), (&others[1], "ok")]);
}

#[test]
fn pairs_of_sockets_are_connected_ones() {
    let flags = [0, libc::SOCK_CLOEXEC, libc::SOCK_NONBLOCK, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK];
    let of = |kinds: &[i32]| kinds.iter().flat_map(|kind| flags.map(|flag| format!("pair-of:{}", kind | flag))).collect::<Vec<_>>();
    let (allowed, denied) = (of(&[libc::SOCK_STREAM, libc::SOCK_SEQPACKET]), of(&[libc::SOCK_DGRAM, libc::SOCK_RAW]));
    let deeds: Vec<&str> = allowed.iter().chain(&denied).map(String::as_str).collect();
    for network in [false, true] {
        let said = confined(&json!({"capabilities": {"network": network}}), &deeds);
        for (deed, answer) in allowed.iter().map(|deed| (deed, "EFAULT")).chain(denied.iter().map(|deed| (deed, "EPERM"))) {
            assert_eq!(said.deed(deed), answer, "{deed}: {}", said.0);
        }
    }
    let free = confined(&json!({}), &deeds);
    assert!(denied.iter().all(|deed| free.deed(deed) == "EFAULT"), "{}", free.0);
}

#[test]
fn processes_are_made_only_by_whom_they_were_given_to() {
    let parts = ["forks", "exec:/bin/true", "thread"];
    let without = confined(&json!({"capabilities": {}}), &parts);
    without.is(&[("forks", "EPERM 0"), ("exec:/bin/true", "EPERM"), ("thread", "ok")]);
    assert!(without.names("enforced", "processes: none (seccomp)"), "{}", without.0);
    let with = confined(&json!({"capabilities": {"processes": true}}), &parts[1..]);
    with.is(&[("exec:/bin/true", "ok exit status: 0"), ("thread", "ok")]);
    // What it starts is bound by the same list.
    let folder = open_folder();
    let script = folder.path().join("script");
    let outside = folder.path().join("outside");
    std::fs::write(&script, format!("#!/bin/sh\necho x > '{}'\n", text(&outside))).expect("written");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let exec = format!("exec:{}", text(&script));
    let with = confined(&json!({"capabilities": {"processes": true, "read": [script]}}), &[&exec]);
    assert!(with.deed(&exec).starts_with("ok exit status:") && !outside.exists(), "{}", with.0);
    confined(&json!({}), &[&exec]).is(&[(&exec, "ok exit status: 0")]);
    assert!(outside.exists(), "the script does what it is for");
}

#[test]
fn other_processes_are_out_of_reach() {
    let deeds = ["signal-parent", "limit-parent", "signal-self", "signal-thread", "limit-self"];
    let confined_ = confined(&json!({"capabilities": {}}), &deeds);
    confined_.is(&[
        ("signal-parent", "EPERM"),
        ("limit-parent", "EPERM"),
        ("signal-self", "ok"),
        ("signal-thread", "ok"),
        ("limit-self", "ok"),
    ]);
    confined(&json!({}), &deeds).is(&[("signal-parent", "ok"), ("limit-parent", "ok")]);
}

#[test]
fn calls_that_reach_past_the_process_are_denied() {
    let calls = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_keyctl,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_init_module,
        libc::SYS_kexec_load,
        libc::SYS_shmget,
        libc::SYS_execveat,
    ];
    let named = |calls: &[i64]| calls.iter().map(|call| format!("call:{call}")).collect::<Vec<_>>();
    let denied = named(&calls);
    let said = confined(&json!({"capabilities": {}}), &denied.iter().map(String::as_str).collect::<Vec<_>>());
    for deed in &denied {
        assert_eq!(said.deed(deed), "EPERM", "{deed}: {}", said.0);
    }
    // `clone3`, a call newer than the list, and one that is denied, under its x32 number.
    let unknown = named(&[libc::SYS_clone3, 463, 0x4000_0000 | libc::SYS_ptrace]);
    let said = confined(&json!({"capabilities": {"processes": true}}), &unknown.iter().map(String::as_str).collect::<Vec<_>>());
    for deed in &unknown {
        assert_eq!(said.deed(deed), "ENOSYS", "{deed}: {}", said.0);
    }
    let free = named(&[libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_unshare, libc::SYS_clone3]);
    let said = confined(&json!({}), &free.iter().map(String::as_str).collect::<Vec<_>>());
    let answers: Vec<&str> = free.iter().map(|deed| said.deed(deed)).collect();
    assert!(!answers.contains(&"EPERM") && answers[3] != "ENOSYS", "{}", said.0);
}

#[test]
fn root_keeps_no_privilege_that_undoes_the_list() {
    if !is_root("root_keeps_no_privilege_that_undoes_the_list") {
        return;
    }
    let who = |confinement: &Value| confined(confinement, &["whoami"]).whoami();
    let listed = who(&json!({"capabilities": {}}));
    // CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
    assert_eq!((&listed["privileges"], &listed["no_new_privileges"]), (&json!(0b110), &json!(true)));
    assert_ne!(who(&json!({}))["privileges"], json!(0b110));
}

#[test]
fn a_list_holds_without_root_too() {
    if !is_root("a_list_holds_without_root_too") {
        return;
    }
    let deeds = ["forks", "exec:/bin/true", "list:/", "list:/usr", "read:/etc/hostname", "signal-self", "pair"];
    let said = confined_as_nobody(&json!({"capabilities": {}}), &deeds);
    said.is(&[("forks", "EPERM 0"), ("exec:/bin/true", "EPERM"), ("list:/", "EACCES"), ("signal-self", "ok"), ("pair", "ok")]);
    assert!(said.deed("list:/usr").starts_with("ok"), "{}", said.0);
    // And with another user on top: the image lies where that user may not look.
    let said = confined(&json!({"run_as": "daemon", "capabilities": {}}), &["forks", "read:/proc/self/maps", "become-root"]);
    said.is(&[("forks", "EPERM 0"), ("become-root", "EPERM")]);
    assert!(said.deed("read:/proc/self/maps").starts_with("ok"), "{}", said.0);
}

#[test]
fn a_path_that_is_not_there_is_refused() {
    confined(&json!({"capabilities": {"read": ["/no/such/place"]}}), &["forks"]).rejected("PLG062", "/no/such/place");
    confined(&json!({"capabilities": {"write": ["here"]}}), &["forks"]).rejected("PLG062", "absolute");
}
