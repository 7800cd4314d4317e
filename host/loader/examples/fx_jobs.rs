//! A plugin that does on order what plugins do: well, badly, and badly on purpose.
//!
//! The event type says what a run does, `settings` what `load` and `unload` do. What must hold: nothing unwinds out of its functions, and it
//! hooks panics as the macros do, so that what the tests see is the loader's doing.

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr};
use serde_json::{Value, json};
use sexton_plugin_api::abi::{HostTable_Ref, LogRecord, PluginRoot, PluginRoot_Ref, Reply};
use sexton_plugin_api::wire::{ActOrder, LoadOrder, RunOrder};
use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

#[used]
#[unsafe(link_section = ".sexton.identity")]
static IDENTITY: [u8; 107] =
    *br#"{"plugin":"fx-jobs","version":"0.1.0","api_major":1,"api_minor":0,"rustc":"rustc 1.95.0","panic":"unwind"} "#;
#[used]
#[unsafe(link_section = ".sexton.types")]
static TYPES: [u8; 15] = *b"fx.ok\0fx.soak\0\0";

const ROOT: &WithMetadata<PluginRoot> = &WithMetadata::new(PluginRoot { identity, load, run, act, migrate, log_level, unload });

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
// SAFETY: `construct` gives a `PluginRoot_Ref`.
static HEADER: LibHeader = unsafe { LibHeader::from_constructor::<PluginRoot_Ref>(construct, CheckTypeLayout::Yes) };

static HOST: OnceLock<(HostTable_Ref, u64, LoadOrder)> = OnceLock::new();
static RUNS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // With a destructor: what keeps an image mapped when the thread outlives it.
    static SEEN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

extern "C" fn construct() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(|| PluginRoot_Ref(ROOT.static_as_prefix()))
}

extern "C" fn identity() -> RStr<'static> {
    RStr::from_str(std::str::from_utf8(&IDENTITY).unwrap_or_default())
}

fn reply(ok: bool, value: &Value) -> Reply {
    Reply { ok, body: value.to_string().into_bytes().into() }
}

fn failure(kind: &str, message: &str) -> Reply {
    reply(false, &json!({"kind": kind, "message": message, "place": "fx.rs:1:1"}))
}

fn call(run: u64, request: &Value) -> (bool, Value) {
    let Some((host, generation, _)) = HOST.get() else { return (false, Value::Null) };
    let answer = host.call()(*generation, run, RSlice::from_slice(request.to_string().as_bytes()));
    (answer.ok, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

fn log(run: u64, message: &str) {
    let Some((host, generation, _)) = HOST.get() else { return };
    let record = LogRecord {
        run,
        level: 3,
        target: RStr::from_str("fx"),
        message: RStr::from_str(message),
        spans: RStr::from_str(""),
        file: RStr::from_str(""),
        line: 0,
    };
    host.log()(*generation, record);
}

extern "C" fn load(host: HostTable_Ref, generation: u64, order: RSlice<'_, u8>) -> Reply {
    std::panic::set_hook(Box::new(|_| {}));
    let Ok(order) = serde_json::from_slice::<LoadOrder>(&order) else { return failure("error", "order") };
    let how = order.settings["load"].as_str().unwrap_or_default().to_owned();
    let _ = HOST.set((host, generation, order));
    match how.as_str() {
        "fail" => failure("error", "no database"),
        "panic" => failure("panic", "index out of bounds"),
        "garbage" => Reply { ok: true, body: b"\xff\xfe".to_vec().into() },
        "garbage-failure" => Reply { ok: false, body: b"{".to_vec().into() },
        "call" => {
            let (ok, answer) = call(0, &json!({"call": "state_get", "key": "k"}));
            failure("error", &format!("{ok} {answer}"))
        }
        "block" => {
            // Sleeps until the generation is given up.
            host.pause()(generation, 0, u64::MAX / 4);
            batch()
        }
        _ => batch(),
    }
}

fn batch() -> Reply {
    let types: Vec<_> = ["fx.ok", "fx.soak"].iter().map(|t| json!({"event_type": t, "args_schema": {"type": "object"}})).collect();
    reply(true, &json!({"types": types, "actions": [{"uid": "fx.action", "bulk": true}]}))
}

extern "C" fn run(order: RSlice<'_, u8>) -> Reply {
    let Ok(order) = serde_json::from_slice::<RunOrder>(&order) else { return failure("error", "order") };
    let run = order.run;
    let ended = |end: Value, output: Value| {
        let mut answer = json!({"run": run, "output": output});
        for (key, value) in end.as_object().into_iter().flatten() {
            answer["end"][key] = value.clone();
        }
        reply(true, &answer)
    };
    let fine = || json!({"end": "succeeded"});
    RUNS.fetch_add(1, Ordering::Relaxed);
    match order.event_type.as_str() {
        "fx.ok" => ended(fine(), json!({"runs": RUNS.load(Ordering::Relaxed), "text": "from the plugin"})),
        "fx.soak" => ended(fine(), json!(soak(run))),
        "fx.sleep" => {
            log(run, "sleeping");
            let Some((host, generation, _)) = HOST.get() else { return failure("error", "not loaded") };
            let whole = host.pause()(*generation, run, u64::MAX / 4);
            ended(
                json!({"end": "cancelled", "reason": format!("slept {whole}, cancelled {}", host.is_cancelled()(*generation, run))}),
                Value::Null,
            )
        }
        "fx.garbage" => Reply { ok: true, body: b"not json".to_vec().into() },
        "fx.other-run" => reply(true, &json!({"run": run + 1, "end": {"end": "succeeded"}})),
        "fx.not-ok" => failure("error", "said as a failure"),
        "fx.huge" => Reply { ok: true, body: vec![b' '; 17 << 20].into() },
        "fx.call" => {
            let (ok, answer) = call(run, &serde_json::from_str(order.args.get()).unwrap_or(Value::Null));
            ended(fine(), json!({"ok": ok, "answer": answer}))
        }
        "fx.flood" => {
            for i in 0..5000 {
                log(run, &format!("record {i}"));
            }
            ended(fine(), Value::Null)
        }
        "fx.leave-thread" => {
            let left = std::thread::Builder::new().name("fx-leaver".to_owned()).spawn(|| {
                loop {
                    std::thread::park();
                }
            });
            ended(fine(), json!(left.is_ok()))
        }
        "fx.handle-signal" => {
            // SAFETY: the handler does nothing.
            let before = unsafe { libc::signal(libc::SIGUSR2, on_signal as *const () as libc::sighandler_t) };
            ended(fine(), json!(before != libc::SIG_ERR))
        }
        "fx.print" => {
            println!("said on the output");
            eprintln!("said on the error stream");
            ended(fine(), Value::Null)
        }
        "fx.die" => die(order.args.get()),
        "fx.children" => ended(fine(), json!(children(order.args.get()))),
        other => ended(json!({"end": "failed", "message": format!("no such type {other}"), "permanent": true}), Value::Null),
    }
}

extern "C" fn on_signal(_: i32) {}

/// Ends the process, in the way that the args name.
fn die(how: &str) -> Reply {
    #[expect(unconditional_recursion, reason = "it is to overflow the stack")]
    fn deeper(n: u64) -> u64 {
        let room = std::hint::black_box([n; 512]);
        deeper(n + 1) + room[7]
    }
    match how {
        // SAFETY: none: this is a crash on purpose.
        "\"null\"" => unsafe { std::ptr::null_mut::<u8>().write_volatile(1) },
        "\"abort\"" => std::process::abort(),
        "\"exit\"" => std::process::exit(3),
        "\"overflow\"" => drop(std::hint::black_box(deeper(1))),
        "\"overflow-own-thread\"" => drop(std::thread::spawn(|| deeper(1)).join()),
        // SAFETY: takes a number; what follows is the process's end.
        "\"kill\"" => drop(unsafe { libc::kill(libc::getpid(), libc::SIGKILL) }),
        // SAFETY: as above; the second free is the crash that is wanted.
        "\"double-free\"" => unsafe {
            let twice = libc::malloc(40);
            libc::free(twice);
            libc::free(std::hint::black_box(twice));
        },
        // SAFETY: writes what is no frame to where the host reads frames.
        "\"nonsense\"" => drop(unsafe { libc::write(3, [0xff_u8; 64].as_ptr().cast(), 64) }),
        "\"loop\"" => loop {
            std::hint::spin_loop();
        },
        "\"calls\"" => {
            let request = text(r#"{"call":"state_get","key":"k"}"#);
            (1..=2000).for_each(|call| forge(&[&[1, 6], &varint(call)[..], &[0], &request].concat()));
        }
        "\"loaded\"" => forge(&[&[1, 0], &text(r#"{"Ok":{}}"#)[..]].concat()),
        "\"quiescent\"" => (0..2).for_each(|_| forge(&[1, 8])),
        "\"other-run\"" => forge(&[&[1, 3, 1], &varint(4711)[..]].concat()),
        "\"hang-up\"" => hang_up(),
        "\"flood-on\"" => flood_on(),
        // SAFETY: takes a number.
        "\"stop\"" => drop(unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) }),
        _ => {}
    }
    // What dies on another thread takes a moment.
    loop {
        std::thread::park();
    }
}

/// Says in the runner's place what only the runner says.
fn forge(body: &[u8]) {
    write_to_host(&frame(body));
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap_or_default().to_le_bytes()[..], body].concat()
}

fn write_to_host(bytes: &[u8]) {
    // SAFETY: the bytes outlive the call.
    unsafe { libc::write(3, bytes.as_ptr().cast(), bytes.len()) };
}

fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&varint(u32::try_from(text.len()).unwrap_or_default())[..], text.as_bytes()].concat()
}

/// Ends the talk with the host, and keeps the thread that would end the process then from seeing it.
fn hang_up() {
    extern "C" fn hold(_: i32) {
        loop {
            // SAFETY: waits.
            unsafe { libc::pause() };
        }
    }
    // SAFETY: the handler only waits; the main thread's number is the process's.
    unsafe {
        libc::signal(libc::SIGUSR1, hold as *const () as libc::sighandler_t);
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::getpid(), libc::SIGUSR1);
        libc::shutdown(3, libc::SHUT_RDWR);
    }
}

/// Kills the warden, and leaves processes that say the same to the host for ever, and nothing that would be refused.
fn flood_on() {
    // Few enough that the kernel takes them in one piece, whoever writes beside.
    let lines = frame(&[&[1, 7][..], &text("2026-01-02T03:04:05Z"), &[0, 3, 0, 0, 0]].concat()).repeat(400);
    // SAFETY: each child has its own copy of all that it uses.
    unsafe {
        let warden = libc::getppid();
        for child in 0..4 {
            if libc::fork() != 0 {
                continue;
            }
            libc::setsid();
            // The signal of a closed socket ends it.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            for round in 0_u64.. {
                if child == 3 && round == 200 {
                    // By now they are ahead of their reader.
                    libc::kill(warden, libc::SIGKILL);
                }
                write_to_host(&lines);
            }
        }
    }
}

/// Processes that outlive the call: their numbers. The second hides in a session of its own.
fn children(_: &str) -> Vec<i32> {
    let child = |hide: bool| {
        // SAFETY: the child only waits.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: plain system calls.
                unsafe {
                    if hide {
                        libc::setsid();
                    }
                    libc::pause();
                }
            },
            pid => pid,
        }
    };
    vec![child(false), child(true)]
}

/// What has been seen to keep an image mapped, to use up keys, or to leak.
fn soak(run: u64) -> String {
    SEEN.with_borrow_mut(|seen| seen.push(run));
    let here = std::thread::current().id();
    let local = chrono::Local::now().to_rfc3339();
    let other = std::thread::spawn(|| format!("{:?}", std::thread::current().id())).join().unwrap_or_default();
    let caught = std::panic::catch_unwind(|| panic!("once a cycle"));
    format!("{here:?} {other} {} {}", local.len(), caught.is_err())
}

extern "C" fn act(order: RSlice<'_, u8>) -> Reply {
    let Ok(order) = serde_json::from_slice::<ActOrder>(&order) else { return failure("error", "order") };
    if order.matches.is_empty() { failure("error", "nothing matched") } else { reply(true, &Value::Null) }
}

extern "C" fn migrate(event_type: RStr<'_>, args: RSlice<'_, u8>) -> Reply {
    match event_type.as_str() {
        "fx.ok" => Reply { ok: true, body: args.as_slice().to_vec().into() },
        "fx.garbage" => Reply { ok: true, body: b"{".to_vec().into() },
        _ => failure("error", "no such type"),
    }
}

extern "C" fn log_level(level: u8) {
    log(0, &format!("level {level}"));
}

extern "C" fn unload() -> Reply {
    let how = HOST.get().and_then(|(_, _, order)| order.settings["unload"].as_str()).unwrap_or_default();
    match how {
        "fail" => failure("error", "would not"),
        "garbage" => Reply { ok: false, body: b"\xff".to_vec().into() },
        "call" => {
            let (ok, answer) = call(0, &json!({"call": "state_put", "key": "k", "value": 1}));
            failure("error", &format!("{ok} {answer}"))
        }
        _ => reply(true, &Value::Null),
    }
}
