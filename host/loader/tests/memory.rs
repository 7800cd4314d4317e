//! What the host's memory costs at a runner's word: every report made to take as much as it can, read with each byte of the heap counted.
//!
//! Not a fuzz target: these are the shapes that grow most. What must hold: whatever a frame holds, reading it takes no more than the 64 MiB that are promised;
//! what is refused is refused by the name of its limit.

use sexton_loader::runner::ToHost;
use sexton_loader::runner::frame::Inbox;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is taken. A block that is moved counts twice meanwhile.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    let now = NOW.fetch_add(bytes, Ordering::SeqCst) + bytes;
    MOST.fetch_max(now, Ordering::SeqCst);
}

// SAFETY: all is handed on to the system's allocator; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        taken(size);
        NOW.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

const MIB: usize = 1 << 20;
const PROMISED: usize = 64 * MIB;

fn number(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(u8::try_from(n & 0x7f).expect("seven bits") | 0x80);
        n >>= 7;
    }
    bytes.push(u8::try_from(n).expect("seven bits"));
    bytes
}

/// A frame of raw bytes behind its kind.
fn frame(kind: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(kind.len() + rest.len()).expect("a frame");
    [&length.to_le_bytes()[..], kind, rest].concat()
}

fn text(kind: &[u8], json: &str) -> Vec<u8> {
    frame(kind, &[&number(json.len())[..], json.as_bytes()].concat())
}

/// Reads a frame as it would come; its most bytes of heap, and what came of it.
fn read(bytes: &[u8]) -> (usize, Result<bool, String>) {
    let mut inbox = Inbox::default();
    let before = NOW.load(Ordering::SeqCst);
    MOST.store(before, Ordering::SeqCst);
    let mut found = Ok(false);
    let mut stream = bytes;
    while found == Ok(false) && inbox.fill(&mut stream).expect("a slice can be read") {
        found = inbox.take::<ToHost>().map(|message| message.is_some()).map_err(|e| e.to_string());
    }
    (MOST.load(Ordering::SeqCst) - before, found)
}

/// So many bytes of one element after the other, as an array.
fn array(element: &str, bytes: usize) -> String {
    let count = bytes / (element.len() + 1);
    format!("[{}{element}]", format!("{element},").repeat(count.saturating_sub(1)))
}

/// Distinct members.
fn object(bytes: usize) -> String {
    let members: Vec<String> = (0..bytes / 10).map(|n| format!("\"{n:05x}\":0")).collect();
    format!("{{{}}}", members.join(","))
}

fn values(bytes: usize) -> Vec<String> {
    let deep = format!("{}0{}", r#"{"":"#.repeat(100), "}".repeat(100));
    let wide = format!("[{}]", ["[0]"; 9].join(","));
    let elements = ["0", "[]", "[0]", "{}", r#"{"":0}"#, r#"{"":{"":0}}"#, r#""""#, r#""x""#, "[0,0,0,0,0]", "1e5", &deep, &wide];
    let token = r#"{"$serde_json::private::RawValue":"[[0],[0]]"}"#;
    let mut all: Vec<String> = elements.iter().chain(&[token]).map(|element| array(element, bytes)).collect();
    all.push(object(bytes));
    let inside = array("[0]", bytes);
    all.push(format!(r#"{{"$serde_json::private::RawValue":"{inside}"}}"#));
    all
}

fn hostile(bytes: usize) -> Vec<Vec<u8>> {
    let (call, loaded, done) = ([1, 6, 1, 1], [1, 0], [1, 2]);
    let ended = |reply: &str| {
        format!(r#"[{{"reply":{{"run":1,{reply}}},"started_at":"2026-01-02T03:04:05Z","finished_at":"2026-01-02T03:04:05Z"}}]"#)
    };
    let fine = r#""end":{"end":"succeeded"}"#;
    let mut frames = Vec::new();
    for value in values(bytes) {
        frames.push(text(&call, &format!(r#"{{"call":"state_put","key":"k","value":{value}}}"#)));
        frames.push(text(&call, &format!(r#"{{"call":"schedule","events":[{{"event_type":"a.b","schedule":{{}},"args":{value}}}]}}"#)));
        frames.push(text(&loaded, &format!(r#"{{"Ok":{{"types":[{{"event_type":"a.b","args_schema":{value}}}]}}}}"#)));
        frames.push(text(&done, &ended(&format!(r#"{fine},"output":{value}"#))));
        frames.push(text(&done, &ended(&format!(r#""end":{{"end":"succeeded","x":{value}}}"#))));
        frames.push(text(&done, &ended(&format!(r#"{fine},"resources":[{{"id":"","end":"succeeded","x":{value}}}]"#))));
    }
    let many = |kind: &[u8], before: &str, element: &str, after: &str| text(kind, &format!("{before}{}{after}", array(element, bytes)));
    let event = r#"{"event_type":"","schedule":0}"#;
    let labelled = r#"{"event_type":"","schedule":{"a":0},"labels":{"":""},"resources":[{"id":"","":0}],"bot":{"id":""}}"#;
    frames.push(many(&call, r#"{"call":"schedule","events":"#, event, "}"));
    frames.push(many(&call, r#"{"call":"schedule","events":"#, labelled, "}"));
    frames.push(many(&loaded, r#"{"Ok":{"types":"#, r#"{"event_type":"","args_schema":0}"#, "}}"));
    frames.push(many(&loaded, r#"{"Ok":{"actions":"#, r#"{"uid":""}"#, "}}"));
    frames.push(many(&loaded, r#"{"Ok":{"standing":"#, r#"{"key":"","event_type":"","args":0,"schedule":0}"#, "}}"));
    frames.push(many(&done, &format!(r#"[{{"reply":{{"run":1,{fine},"resources":"#), r#"{"id":"","end":"succeeded"}"#, "}}]"));
    frames.push(many(&done, "", &ended(fine)[1..ended(fine).len() - 1], ""));
    frames
}

#[test]
fn no_report_takes_more_memory_than_is_promised() {
    let (mut most, mut taken, mut refused) = (0, 0, 0);
    // Around what is not weighed, around what just passes, and the longest there is.
    for bytes in [255 << 10, 300 << 10, MIB, 2 * MIB, 3 * MIB, 6 * MIB, 15 * MIB] {
        for bytes in hostile(bytes) {
            let shown = String::from_utf8_lossy(&bytes[..160]).into_owned();
            let (heap, found) = read(&bytes);
            assert!(heap <= PROMISED, "{} MiB for {} bytes of {shown}", heap / MIB, bytes.len());
            most = most.max(heap);
            match found {
                Ok(whole) => taken += usize::from(whole),
                Err(why) => {
                    refused += 1;
                    let named = ["at most 47 MiB are taken", "at most 16777", "RawValue", "is not understood"];
                    assert!(named.iter().any(|words| why.contains(words)), "{why}: {shown}");
                }
            }
        }
    }
    println!("{taken} taken, {refused} refused, {} MiB at most", most / MIB);
    assert!(taken > 100 && refused > 100 && most > PROMISED / 4, "the shapes are on both sides of the limit");

    // Kinds that are no JSON, at their greatest length.
    let strings = |length: usize| frame(&[0], &[&number(length)[..], &vec![0; length], &[0]].concat());
    let refusal = |length: usize| frame(&[1, 3], &[&number(length)[..], &vec![0; length]].concat());
    for bytes in [strings((512 << 10) - 8), refusal(MIB - 8)] {
        let (heap, found) = read(&bytes);
        assert!(found == Ok(true) && heap <= PROMISED, "{} MiB for {} bytes: {found:?}", heap / MIB, bytes.len());
    }
    let (heap, found) = read(&refusal(4 * MIB));
    assert!(heap < MIB && found.expect_err("too long").starts_with("a refusal of runs claims"), "{heap}");
}

#[test]
fn as_many_events_as_a_call_may_hold_are_taken() {
    let event = r#"{"event_type":"acme.start_resource","schedule":{"once":"2026-01-02T03:04:05.123456Z"},"args":{"wait":true,"note":"a few words"},
        "key":"a-key-of-its-own","description":"some words for people","labels":{"team":"ops","stage":"test"},"priority":3}"#;
    let json = format!(r#"{{"call":"schedule","events":[{}{event}]}}"#, format!("{event},").repeat(9_999));
    let (heap, found) = read(&text(&[1, 6, 1, 1], &json));
    println!("10000 events in {} KiB take {} MiB", json.len() >> 10, heap / MIB);
    assert_eq!(found, Ok(true));
}
