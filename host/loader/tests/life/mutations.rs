//! The decoders under a few thousand mutations of a real plugin, all in memory: an answer each time, and never a panic.
//!
//! Not the search without end (`tests/fuzz`), and nothing is opened (`damage` does that). What must hold: it ends within its time on any
//! machine, after a least number of mutations.

use crate::bench::fixture;
use object::{Object, ObjectSection};
use sexton_loader::inspect::{judge_bytes, judge_identity};
use std::fs;
use std::time::{Duration, Instant};

const MUTATIONS: usize = 20_000;
const MUTATIONS_MIN: usize = 200;
const TIME: Duration = Duration::from_secs(5);

/// xorshift64: the same mutations on every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 1).expect("64 bits") % below
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.throw(256)).expect("a byte")
    }

    /// A number that decoders trip over, or any.
    fn number(&mut self) -> u64 {
        const NASTY: [u64; 8] = [0, 1, 8, u64::MAX, 1 << 63, 0xffff_ffff, 0x7fff_ffff, u64::MAX - 7];
        if self.throw(2) == 0 { NASTY[self.throw(NASTY.len())] } else { self.throw(1 << 24) as u64 }
    }
}

/// Changes one word of `bytes` within the first `within`; what was there before, to be put back.
fn mutate(bytes: &mut [u8], within: usize, dice: &mut Dice) -> (usize, [u8; 8]) {
    let at = dice.throw(within.min(bytes.len()) / 8) * 8;
    let before: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
    match dice.throw(3) {
        0 => bytes[at + dice.throw(8)] = dice.byte(),
        1 => bytes[at + dice.throw(8)] ^= 1 << dice.throw(8),
        _ => bytes[at..at + 8].copy_from_slice(&dice.number().to_le_bytes()),
    }
    (at, before)
}

#[test]
fn thousands_of_mutations_are_answered() {
    let good = fs::read(fixture("fx_jobs")).expect("read");
    assert!(judge_bytes(&good), "the plugin itself passes");
    let tables = {
        let file = object::File::parse(&*good).expect("a good file");
        let end = |name: &str| file.section_by_name(name).and_then(|s| s.file_range()).map_or(0, |(at, size)| at + size);
        usize::try_from(end(".rela.dyn").max(end(".gnu.hash")).max(end(".dynsym"))).expect("small").max(0x4000)
    };
    let mut dice = Dice(0x5e_c0_57_07);
    let (mut bytes, mut refused, mut tried) = (good.clone(), 0, 0);
    let start = Instant::now();
    while tried < MUTATIONS && (start.elapsed() < TIME || tried < MUTATIONS_MIN) {
        let within = if tried % 4 == 0 { good.len() } else { tables };
        let undo: Vec<_> = (0..=dice.throw(4)).map(|_| mutate(&mut bytes, within, &mut dice)).collect();
        // A cut now and then: what the tables say is past the end then.
        let length = if tried % 16 == 0 { dice.throw(good.len()) } else { good.len() };
        refused += usize::from(!judge_bytes(&bytes[..length]));
        for (at, before) in undo.into_iter().rev() {
            bytes[at..at + 8].copy_from_slice(&before);
        }
        tried += 1;
    }
    println!("{refused} of {tried} refused in {:?}", start.elapsed());
    assert!(bytes == good, "every mutation was put back");
    assert!(refused > tried / 10, "{refused} of {tried}: the mutations hit nothing that is looked at");
}

#[test]
fn mutated_identities_are_answered() {
    let good = br#"{"plugin":"fx","version":"1.0.0","api_major":1,"api_minor":0,"rustc":"rustc 1.95.0","panic":"unwind"}"#;
    let types = b"a.b\0c.d\0";
    assert!(judge_identity(good, types), "the text itself passes");
    let mut dice = Dice(0x1de_4711);
    let start = Instant::now();
    let mut refused = 0;
    for _ in 0..MUTATIONS {
        let (mut text, mut ids) = (good.to_vec(), types.to_vec());
        for _ in 0..=dice.throw(3) {
            let at = dice.throw(text.len());
            match dice.throw(4) {
                0 => text[at] = dice.byte(),
                1 => drop(text.remove(at)),
                2 => text.insert(at, dice.byte()),
                _ => {
                    let at = dice.throw(ids.len());
                    ids[at] = dice.byte();
                }
            }
        }
        refused += usize::from(!judge_identity(&text, &ids));
        if start.elapsed() > TIME {
            break;
        }
    }
    assert!(refused > 100, "{refused}");
    // Depth: a text that nests without end is an error, not an overflow of the stack.
    assert!(!judge_identity("[".repeat(200_000).as_bytes(), b""));
    assert!(!judge_identity(format!("{{\"plugin\":{}", "{\"a\":".repeat(100_000)).as_bytes(), b""));
}
