//! Registrations by attribute: records that the linker lays side by side in one section of the image.
//!
//! Not constructors: nothing runs before `load` (see host/docs/adr/0002). What must hold: each image sees its own records only, and
//! every record in the section is a [`Record`] of this very crate version.

use crate::action::ActionCode;
use crate::job::JobCode;
use crate::registry::ScheduledEventRegistryWrapper;
use crate::wire::{ActionOffer, Retry};

/// One attribute: made by the macros, found by `load`.
pub struct Record {
    item: Item,
}

pub(crate) enum Item {
    /// Keeps the section, and with it the two symbols of its bounds, in existence.
    Sentinel,
    /// `#[scheduled_event(…)]`
    Job { wrapper: &'static ScheduledEventRegistryWrapper, id: &'static [u8], code: JobCode, retry: RetryText, time: TimeText },
    /// `#[action(…)]`
    Action { id: &'static [u8], code: ActionCode, bulk: bool, accepts_complement: bool },
}

/// The retry policy of an attribute; what is absent takes the host's default.
#[derive(Clone, Copy)]
pub struct RetryText {
    /// Attempts in all.
    pub attempts: Option<u32>,
    /// Milliseconds.
    pub first_delay_ms: Option<u64>,
    /// Milliseconds.
    pub max_delay_ms: Option<u64>,
    /// Milliseconds.
    pub deadline_ms: Option<u64>,
}

/// The time limit of an attribute; what is absent binds nothing.
#[derive(Clone, Copy, Default)]
pub struct TimeText {
    /// Milliseconds.
    pub timeout_ms: Option<u64>,
    /// Milliseconds.
    pub grace_ms: Option<u64>,
}

impl RetryText {
    pub(crate) fn to_wire(self) -> Option<Retry> {
        let Self { attempts, first_delay_ms, max_delay_ms, deadline_ms } = self;
        let retry = Retry { attempts, first_delay_ms, max_delay_ms, deadline_ms };
        (retry != Retry::default()).then_some(retry)
    }
}

impl Record {
    /// A record of `#[scheduled_event]`. `id` ends with a zero byte.
    #[must_use]
    pub const fn job(
        wrapper: &'static ScheduledEventRegistryWrapper,
        id: &'static [u8],
        code: JobCode,
        retry: RetryText,
        time: TimeText,
    ) -> Self {
        Self { item: Item::Job { wrapper, id, code, retry, time } }
    }

    /// A record of `#[action]`. `id` ends with a zero byte.
    #[must_use]
    pub const fn action(id: &'static [u8], code: ActionCode, bulk: bool, accepts_complement: bool) -> Self {
        Self { item: Item::Action { id, code, bulk, accepts_complement } }
    }

    pub(crate) fn item(&self) -> &Item {
        &self.item
    }
}

/// The id in a record, without its zero byte.
pub(crate) fn id_text(id: &'static [u8]) -> &'static str {
    std::str::from_utf8(id).map_or("", |text| text.trim_end_matches('\0'))
}

// The name must be a C identifier: only then does the linker define the two symbols of the bounds.
#[used]
#[unsafe(link_section = "sexton_events")]
static SENTINEL: Record = Record { item: Item::Sentinel };

/// Stands for a place whose extent only the linker knows.
#[repr(C)]
struct Bound([u8; 0]);

unsafe extern "C" {
    #[link_name = "__start_sexton_events"]
    static START: Bound;
    #[link_name = "__stop_sexton_events"]
    static STOP: Bound;
}

/// The records of the image that this code is linked into.
pub(crate) fn records() -> &'static [Record] {
    // A reference to the sentinel pulls its object file, and so the section, into every image that asks.
    std::hint::black_box(&SENTINEL);
    let start = (&raw const START).cast::<Record>();
    let stop = (&raw const STOP).cast::<Record>();
    // SAFETY: the linker puts the two symbols at the bounds of this image's section `sexton_events`, which holds nothing but statics of
    // type `Record`, each placed there by the macros or above, aligned and sized alike, so that they follow each other without gaps.
    unsafe {
        let count = stop.offset_from_unsigned(start);
        std::slice::from_raw_parts(start, count)
    }
}

pub(crate) fn actions() -> impl Iterator<Item = (ActionOffer, ActionCode)> {
    records().iter().filter_map(|record| match record.item() {
        Item::Action { id, code, bulk, accepts_complement } => {
            Some((ActionOffer { uid: id_text(id).to_owned(), bulk: *bulk, accepts_complement: *accepts_complement }, *code))
        }
        Item::Sentinel | Item::Job { .. } => None,
    })
}

// SAFETY of sharing is the compiler's: a `Record` holds shared references to `Sync` values, function pointers and numbers.
const _: () = {
    const fn shared<T: Sync>() {}
    shared::<Record>();
};
