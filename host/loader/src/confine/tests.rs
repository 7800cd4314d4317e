//! The parts of confinement that change no process: words, the place among cgroups, a group in a tree that stands for the kernel's.

use super::*;
use group::{Ground, own_directory};
use std::fs;

#[test]
fn sizes_are_said_in_short() {
    for (bytes, words) in
        [(700, "700 bytes"), (1 << 20, "1 MiB"), (3 << 29, "1.5 GiB"), (2 << 30, "2 GiB"), (u64::MAX, "17179869183.9 GiB")]
    {
        assert_eq!(size(bytes), words);
    }
}

#[test]
fn a_confinement_survives_the_socket() {
    let confinement = Confinement {
        limits: Limits { cpu_percent: Some(50), run_time_ms: Some(1500), ..Limits::default() },
        run_as: Some("acme".to_owned()),
        capabilities: Some(Capabilities { read: vec!["/srv".into()], write: vec![], network: true, processes: false }),
        environment: BTreeMap::from([("LANG".to_owned(), "C".to_owned())]),
    };
    let bytes = postcard::to_stdvec(&confinement).expect("it has a form");
    assert_eq!(postcard::from_bytes::<Confinement>(&bytes).expect("read back"), confinement);
    assert_eq!(confinement.limits.run_time(), Some(Duration::from_millis(1500)));
}

#[test]
fn a_process_with_threads_is_not_confined_in_part() {
    // A test has threads: its own and the one that waits for it.
    let rejection = apply(&Confinement::default(), Path::new("/dev/null"), None).expect_err("there are threads");
    assert_eq!(rejection.code, "PLG063");
    assert!(rejection.found.expect("it was looked at").ends_with("threads"));
}

/// On a kernel that keeps signals within a process by Landlock the filter has nothing to do with them, so its part is tried alone. A filter
/// binds the thread that sets it, and ends with it.
#[test]
fn without_landlocks_help_the_filter_keeps_signals_within() {
    let answers = |list: Capabilities| {
        let reach = files::Reach { signals_stay_within: false };
        let filtered = std::thread::spawn(move || {
            let mut applied = Applied::default();
            calls::restrict(&list, reach, &mut applied).expect("seccomp is there");
            let (own, parent) = (std::process::id().into(), std::os::unix::process::parent_id().into());
            let fails = |call: i64, with: [i64; 3]| {
                // SAFETY: signal 0 is only asked about, and no argument is a pointer.
                unsafe { libc::syscall(call, with[0], with[1], with[2]) == -1 }
            };
            // SAFETY: takes no argument.
            let thread = unsafe { libc::syscall(libc::SYS_gettid) };
            let tried = [
                fails(libc::SYS_kill, [parent, 0, 0]),
                fails(libc::SYS_fcntl, [0, libc::F_SETOWN.into(), own]),
                fails(libc::SYS_kill, [own, 0, 0]),
                fails(libc::SYS_tgkill, [own, thread, 0]),
                fails(libc::SYS_fcntl, [0, libc::F_GETFD.into(), 0]),
            ];
            (tried, applied)
        });
        filtered.join().expect("it was not killed")
    };
    let (tried, applied) = answers(Capabilities::default());
    assert_eq!(tried, [true, true, false, false, false]);
    assert!(applied.enforced.contains(&"signals: to itself only (seccomp)".to_owned()), "{applied:?}");
    // Children have other numbers than the filter knows: then it is named instead.
    let (tried, applied) = answers(Capabilities { processes: true, ..Capabilities::default() });
    assert!(!tried[0] && applied.not_enforced[0].starts_with("signals to processes of the same user"), "{tried:?} {applied:?}");
}

const MOUNTS: &str = "\
25 21 0:22 / /proc rw - proc proc rw
30 21 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw
";

#[test]
fn the_hosts_own_group_is_found() {
    let own = own_directory("3:pids:/x\n0::/system.slice/sexton.service\n", MOUNTS);
    assert_eq!(own, Some("/sys/fs/cgroup/system.slice/sexton.service".into()));
    let part = "30 21 0:26 /a/b /groups rw - cgroup2 none rw\n";
    assert_eq!(own_directory("0::/a/b/c\n", part), Some("/groups/c".into()));
    assert_eq!(own_directory("0::/elsewhere\n", part), None, "not below what is mounted");
    assert_eq!(own_directory("0::/../other\n", MOUNTS), None, "out of another namespace");
    assert_eq!(own_directory("3:pids:/x\n", MOUNTS), None, "version 1 only");
    assert_eq!(own_directory("0::/x\n", "25 21 0:22 / /proc rw - proc proc rw\n"), None, "not mounted");
}

/// A tree that stands for the kernel's: the files are there, nobody acts on them.
fn tree(controllers: &str, shared: &str, pids: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (file, text) in [("cgroup.controllers", controllers), ("cgroup.subtree_control", shared), ("cgroup.procs", pids)] {
        fs::write(root.path().join(file), text).expect("written");
    }
    root
}

fn written(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

#[test]
fn a_group_has_its_limits_and_goes_with_its_owner() {
    let root = tree("cpuset cpu memory pids\n", "", "7\n");
    let delegated = |path: &Path| path == root.path();
    let ground = Ground { own: root.path().to_owned(), is_delegated: &delegated, pid: 7 };
    let limits = Limits { cpu_percent: Some(50), ..Limits::default() };
    let group = Group::make_in(&ground, "acme/..", 4, &limits).expect("delegated");
    let path = root.path().join("sexton.7.acme___.4");
    assert_eq!(group.report(), GroupReport { pids_max: true, memory_max: true, cpu_max: true });
    assert_eq!(written(path.join("pids.max")), "256");
    assert_eq!(written(path.join("memory.max")), (2u64 << 30).to_string());
    assert_eq!(written(path.join("cpu.max")), "50000 100000");
    let own = std::process::id();
    group.adopt(own).expect("written");
    assert_eq!(written(path.join("cgroup.procs")), own.to_string());
    group.kill().expect("written");
    assert_eq!(written(path.join("cgroup.kill")), "1");
    assert!(Group::make_in(&ground, "acme/..", 4, &limits).is_none(), "a name is not given twice");
    fs::remove_file(path.join("cgroup.kill")).expect("removed");
    drop(group);
    // That the kernel then lets go of the directory with its files cannot be seen in a tree that stands for it.
    assert_eq!(written(path.join("cgroup.kill")), "1", "what is left is killed");
}

#[test]
fn a_runner_that_was_forked_before_is_taken_in_as_well() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let root = tree("pids\n", "", "7\n");
    let delegated = |path: &Path| path == root.path();
    let ground = Ground { own: root.path().to_owned(), is_delegated: &delegated, pid: 7 };
    let group = Group::make_in(&ground, "a", 1, &Limits::default()).expect("delegated");
    // It stands for a warden: it has forked, and says whom.
    let mut warden = Command::new("/bin/sh").args(["-c", "sleep 1000 & echo $!; wait"]).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut runner = String::new();
    BufReader::new(warden.stdout.take().expect("piped")).read_line(&mut runner).expect("it says so");
    let adopted = group.adopt(warden.id());
    let taken = written(root.path().join("sexton.7.a.1/cgroup.procs"));
    let ended = [runner.trim(), &warden.id().to_string()].map(|pid| Command::new("kill").arg(pid).status().expect("it runs").success());
    let _status = warden.wait().expect("it was killed");
    adopted.expect("both live");
    // In a tree that stands for the kernel's the last one written is seen; the kernel takes each.
    assert_eq!((taken.as_str(), ended), (runner.trim(), [true, true]));
}

#[test]
fn nothing_is_made_where_nothing_is_delegated() {
    let root = tree("memory pids\n", "memory pids\n", "7\n");
    let own = root.path().join("sexton.host");
    fs::create_dir(&own).expect("made");
    let nothing = |_: &Path| false;
    let ground = Ground { own: own.clone(), is_delegated: &nothing, pid: 7 };
    assert!(Group::make_in(&ground, "a", 1, &Limits::default()).is_none());
    let above = |path: &Path| path == root.path();
    let ground = Ground { own, is_delegated: &above, pid: 7 };
    let group = Group::make_in(&ground, "a", 1, &Limits::default()).expect("the group above is delegated");
    assert_eq!(group.report(), GroupReport { pids_max: true, memory_max: true, cpu_max: false }, "cpu was not asked for");
    let bare = tree("cpuset\n", "", "");
    let all = |_: &Path| true;
    let ground = Ground { own: bare.path().to_owned(), is_delegated: &all, pid: 7 };
    assert!(Group::make_in(&ground, "a", 1, &Limits::default()).is_none(), "no controller that is of use");
    assert_eq!(fs::read_dir(bare.path()).expect("read").count(), 3, "nothing was made");
}
