//! A process that confines itself as a runner does and then tries things: what the tests of `confine` look at.
//!
//! Not a runner, no plugin. `fx_confined CONFINEMENT DEED…`: the first as JSON, each deed a word or `word:what`. What must hold: it prints one
//! line of JSON, and each deed is tried in earnest, so that the same deed succeeds where nothing forbids it.

use serde_json::{Map, Value, json};
use sexton_loader::confine;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// No deed makes more of anything.
const MANY: usize = 4096;

fn main() {
    let mut words = std::env::args().skip(1);
    let confinement = serde_json::from_str(&words.next().expect("a confinement")).expect("a confinement is JSON");
    let image = std::env::current_exe().expect("this program has a file");
    if std::env::var_os("DIES_WITH_ITS_PARENT").is_some() {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::USR1)).expect("may be asked for");
    }
    let said = match confine::apply(&confinement, &image, None) {
        Err(rejection) => json!({"rejected": rejection}),
        Ok(applied) => {
            let deeds: Map<String, Value> = words.map(|word| (word.clone(), Value::String(tried(&word)))).collect();
            json!({"applied": applied, "deeds": deeds})
        }
    };
    println!("{said}");
}

/// Tries it; says `ok …` or the name of the error.
fn tried(deed: &str) -> String {
    let (word, what) = deed.split_once(':').unwrap_or((deed, ""));
    let path = Path::new(what);
    let result = match word {
        "alloc" => alloc(what.parse().expect("bytes")),
        "files" => files(),
        "forks" => return forks(),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().map_or("died", |()| "").to_owned()),
        "socket" => called(libc::SYS_socket, [what.parse().expect("a family"), libc::SOCK_DGRAM.into(), 0, 0]),
        "connect" => TcpStream::connect(what.parse::<SocketAddr>().expect("an address")).map(|_| String::new()),
        "pair" => UnixStream::pair().map(|_| String::new()),
        // Nowhere to put the pair: where it is allowed, that is the error.
        "pair-of" => called(libc::SYS_socketpair, [libc::AF_UNIX.into(), what.parse().expect("a kind"), 0, 0]),
        "read" => std::fs::read(path).map(|bytes| bytes.len().to_string()),
        "list" => std::fs::read_dir(path).map(|entries| entries.count().to_string()),
        "write" => std::fs::write(path, "x").map(|()| String::new()),
        "move" => std::fs::rename(path, path.with_extension("moved")).map(|()| String::new()),
        "remove" => std::fs::remove_file(path).map(|()| String::new()),
        "chmod" => std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).map(|()| String::new()),
        "exec" => std::process::Command::new(path).stdout(std::process::Stdio::null()).status().map(|status| status.to_string()),
        "says" => std::process::Command::new(path).output().map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()),
        // Signal 0 asks whether one could be sent.
        "signal-parent" => called(libc::SYS_kill, [std::os::unix::process::parent_id().into(), 0, 0, 0]),
        "signal-self" => called(libc::SYS_kill, [std::process::id().into(), 0, 0, 0]),
        "signal-thread" => called(libc::SYS_tgkill, [std::process::id().into(), std::process::id().into(), 0, 0]),
        "limit-parent" => called(libc::SYS_prlimit64, [std::os::unix::process::parent_id().into(), 0, 0, 0]),
        "limit-self" => called(libc::SYS_prlimit64, [std::process::id().into(), 0, 0, 0]),
        "become-root" => called(libc::SYS_setuid, [0; 4]),
        "call" => called(what.parse().expect("a number"), [0; 4]),
        "whoami" => Ok(whoami().to_string()),
        other => panic!("no deed is called `{other}`"),
    };
    match result {
        Ok(more) => format!("ok {more}").trim_end().to_owned(),
        Err(e) => e.raw_os_error().map_or_else(|| e.to_string(), |number| named(number).to_owned()),
    }
}

fn alloc(bytes: usize) -> io::Result<String> {
    let mut memory: Vec<u8> = Vec::new();
    memory.try_reserve_exact(bytes).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    memory.resize(bytes, 1);
    Ok(std::hint::black_box(memory).len().to_string())
}

fn files() -> io::Result<String> {
    let mut open = Vec::new();
    while open.len() < MANY {
        match std::fs::File::open("/dev/null") {
            Ok(file) => open.push(file),
            Err(e) if e.raw_os_error() == Some(libc::EMFILE) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(open.len().to_string())
}

fn forks() -> String {
    let mut children = Vec::new();
    let mut end = "ok";
    while children.len() < MANY && end == "ok" {
        // SAFETY: this process has one thread, and the child does nothing but wait for its end.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: takes no argument.
                unsafe { libc::pause() };
            },
            -1 => end = named(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
            child => children.push(child),
        }
    }
    for child in &children {
        // SAFETY: an own child, not waited for yet: the number is its own.
        unsafe { libc::kill(*child, libc::SIGKILL) };
        // SAFETY: as above; a null status is allowed.
        unsafe { libc::waitpid(*child, std::ptr::null_mut(), 0) };
    }
    format!("{end} {}", children.len())
}

fn called(number: i64, with: [i64; 4]) -> io::Result<String> {
    // SAFETY: all pointers among the arguments are null, which the kernel answers with an error; no memory is touched.
    let answer = unsafe { libc::syscall(number, with[0], with[1], with[2], with[3], 0, 0) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(String::new()) }
}

fn whoami() -> Value {
    let groups = rustix::process::getgroups().expect("they can be asked for");
    json!({
        "uid": rustix::process::geteuid().as_raw(),
        "gid": rustix::process::getegid().as_raw(),
        "groups": groups.iter().map(|gid| gid.as_raw()).collect::<Vec<_>>(),
        "privileges": rustix::thread::capabilities(None).expect("they can be asked for").permitted.bits(),
        "no_new_privileges": rustix::thread::no_new_privs().expect("it can be asked for"),
        "at_parents_death": rustix::process::parent_process_death_signal().expect("it can be asked for").map(rustix::process::Signal::as_raw),
    })
}

fn named(number: i32) -> &'static str {
    match number {
        libc::EPERM => "EPERM",
        libc::EACCES => "EACCES",
        libc::ENOENT => "ENOENT",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::ENOSYS => "ENOSYS",
        libc::EFAULT => "EFAULT",
        libc::EINVAL => "EINVAL",
        libc::EXDEV => "EXDEV",
        libc::ECONNREFUSED => "ECONNREFUSED",
        _ => "another error",
    }
}
