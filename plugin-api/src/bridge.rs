//! Carries the plugin's `tracing` events to the host: a subscriber compiled into the image, since each image has its own tracing.
//!
//! Not a log file and not a filter by target: the host does that. What must hold: an event below the level costs a comparison; the
//! number of remembered spans is bounded; the state lies in statics and owns no heap after `unload`.

use crate::abi::LogRecord;
use crate::door::{self, Current, Door};
use crate::host::Link;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, RwLock};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// Longest message of a record, bytes; what is longer is cut.
const MESSAGE_MAX_BYTES: usize = 16 * 1024;
/// Most open spans that are remembered; further ones are not named in records.
const SPANS_MAX: usize = 4_096;
/// Most spans named in one record.
const DEPTH_MAX: usize = 32;

/// From which level on records are sent: 0 = none, 1 = error … 5 = trace.
static LEVEL: AtomicU8 = AtomicU8::new(0);
/// Where records of threads go that are inside no call from the host.
static LINK: RwLock<Option<&'static Link>> = RwLock::new(None);
static SPANS: Mutex<BTreeMap<u64, Span>> = Mutex::new(BTreeMap::new());
static NEXT_SPAN: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The spans that this thread has entered, outermost first.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

struct Span {
    text: String,
    parent: Option<u64>,
    handles: usize,
}

/// Makes the bridge the image's subscriber, unless the author has set another.
pub(crate) fn install(link: &'static Link, level: u8) {
    static SET: Once = Once::new();
    *LINK.write().unwrap_or_else(PoisonError::into_inner) = Some(link);
    LEVEL.store(level, Ordering::Relaxed);
    // In a library nobody came before. In a test binary somebody may have, and stays in force.
    SET.call_once(|| drop(tracing::subscriber::set_global_default(Bridge { level: None })));
    tracing::callsite::rebuild_interest_cache();
}

/// Changes the level while the plugin runs.
pub(crate) fn set_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

/// Sends nothing any more and owns nothing any more.
pub(crate) fn forget() {
    LEVEL.store(0, Ordering::Relaxed);
    *LINK.write().unwrap_or_else(PoisonError::into_inner) = None;
    drop(std::mem::take(&mut *spans()));
}

/// The subscriber.
pub(crate) struct Bridge {
    /// A level of its own; none: the image's.
    level: Option<u8>,
}

impl Bridge {
    /// One that takes everything, for tests.
    pub(crate) fn of_everything() -> Self {
        Self { level: Some(5) }
    }

    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        number_of(*metadata.level()) <= self.level.unwrap_or_else(|| LEVEL.load(Ordering::Relaxed))
    }
}

impl Subscriber for Bridge {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.takes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.takes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.level.unwrap_or_else(|| LEVEL.load(Ordering::Relaxed)) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = NEXT_SPAN.fetch_add(1, Ordering::Relaxed);
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = if attributes.is_root() { None } else { attributes.parent().map(Id::into_u64).or_else(innermost) };
        let name = attributes.metadata().name();
        let text = if fields.rest.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", fields.rest) };
        let mut spans = spans();
        if spans.len() < SPANS_MAX {
            spans.insert(id, Span { text, parent, handles: 1 });
        }
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = spans().get_mut(&span.into_u64()) {
            let inner = span.text.strip_suffix('}').map(|open| format!("{open} "));
            span.text = format!("{}{}}}", inner.unwrap_or_else(|| format!("{}{{", span.text)), fields.rest);
        }
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.into_message();
        let start = if event.is_root() { None } else { event.parent().map(Id::into_u64).or_else(innermost) };
        let spans = scope(start);
        let metadata = event.metadata();
        let Current { door, run } = place();
        door.log(LogRecord {
            run,
            level: number_of(*metadata.level()),
            target: metadata.target().into(),
            message: message.as_str().into(),
            spans: spans.as_str().into(),
            file: metadata.file().unwrap_or_default().into(),
            line: metadata.line().unwrap_or_default(),
        });
    }

    fn enter(&self, span: &Id) {
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        let _ = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            if let Some(at) = entered.iter().rposition(|id| *id == span.into_u64()) {
                entered.remove(at);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = spans().get_mut(&id.into_u64()) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut spans = spans();
        let Some(span) = spans.get_mut(&id.into_u64()) else { return false };
        span.handles -= 1;
        if span.handles > 0 {
            return false;
        }
        spans.remove(&id.into_u64());
        true
    }
}

fn number_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        _ => 5,
    }
}

/// Whose record it is: the call's that this thread is inside of, else nobody's in particular.
fn place() -> Current {
    door::current().unwrap_or_else(|| {
        let link = *LINK.read().unwrap_or_else(PoisonError::into_inner);
        Current { door: link.map_or(Door::Shut, Link::door), run: 0 }
    })
}

fn innermost() -> Option<u64> {
    ENTERED.try_with(|entered| entered.borrow().last().copied()).ok().flatten()
}

/// The span and those around it, outermost first, joined by `:`.
fn scope(innermost: Option<u64>) -> String {
    let spans = spans();
    let mut texts: Vec<&str> = Vec::new();
    let mut next = innermost;
    while let Some(span) = next.and_then(|id| spans.get(&id)) {
        texts.push(&span.text);
        next = span.parent;
        if texts.len() == DEPTH_MAX {
            break;
        }
    }
    texts.reverse();
    texts.join(":")
}

fn spans() -> MutexGuard<'static, BTreeMap<u64, Span>> {
    SPANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts a text to what a host takes, with the mark that says how much is gone: the same as the host's own.
fn cut(text: &mut String) {
    let mark = |dropped: usize| format!(" [… cut, {dropped} bytes dropped]");
    let whole = text.len();
    text.truncate(text.floor_char_boundary(MESSAGE_MAX_BYTES - mark(whole).len()));
    text.push_str(&mark(whole - text.len()));
}

/// Fields as text: the message apart, the rest as `key=value` with a blank between.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn into_message(self) -> String {
        let mut text = match (self.message.is_empty(), self.rest.is_empty()) {
            (_, true) => self.message,
            (true, false) => self.rest,
            (false, false) => format!("{} {}", self.message, self.rest),
        };
        if text.len() > MESSAGE_MAX_BYTES {
            cut(&mut text);
        }
        text
    }

    fn push(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a String fails only if the author's own formatting does; then the field is shorter.
        if field.name() == "message" {
            let _ = self.message.write_fmt(value);
            return;
        }
        if !self.rest.is_empty() {
            self.rest.push(' ');
        }
        self.rest.push_str(field.name());
        self.rest.push('=');
        let _ = self.rest.write_fmt(value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.push(field, format_args!("{value}"));
        } else {
            self.push(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.push(field, format_args!("{}", crate::error::chain_of(value)));
    }
}
