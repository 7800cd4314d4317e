//! The flight record: what one life writes, the next one reads.

use super::*;
use std::os::unix::fs::{FileExt, PermissionsExt};

/// Something that happens to the file between two lives.
type Spoil = fn(&File);

fn slot(n: i64) -> Slot {
    Slot {
        event: 42,
        n,
        attempt: 2,
        token: 7,
        generation: 3,
        digest: "ab".repeat(32),
        plugin: "start-resource".to_owned(),
        placement: "in-process".to_owned(),
        started_at_us: 1_700_000_000_000_000,
    }
}

#[test]
fn what_is_occupied_at_the_end_is_left_and_then_freed() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("flight");
    let (record, left) = FlightRecord::open(&path, 4).expect("made");
    assert_eq!(left, Left::default());
    let indices: Vec<_> = (0..4).map(|n| record.occupy(&slot(n)).expect("free")).collect();
    assert_eq!(record.occupy(&slot(9)), None, "all are occupied");
    record.free(indices[1]);
    record.free(indices[1]);
    record.free(usize::MAX);
    assert_eq!(record.occupied(), 3);
    let again = record.occupy(&slot(5)).expect("freed once");
    assert_eq!(again, indices[1]);
    record.free(indices[0]);
    std::mem::forget(record);
    let (next, left) = FlightRecord::open(&path, 8).expect("opened");
    let mut of: Vec<i64> = left.slots.iter().map(|s| s.n).collect();
    of.sort_unstable();
    assert_eq!((of, left.of_another_boot), (vec![2, 3, 5], false));
    assert_eq!(left.slots.iter().find(|s| s.n == 5), Some(&slot(5)));
    assert_eq!(next.occupied(), 0);
    drop(next);
    assert_eq!(FlightRecord::open(&path, 8).expect("opened").1, Left::default());
    assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn long_texts_are_cut_at_whole_characters() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("flight");
    let (record, _) = FlightRecord::open(&path, 1).expect("made");
    let long = Slot { plugin: "ä".repeat(100), digest: "c".repeat(100), placement: "p".repeat(100), ..slot(1) };
    assert!(record.occupy(&long).is_some());
    let left = FlightRecord::open(&path, 1).expect("opened").1.slots;
    assert_eq!((left[0].plugin.as_str(), left[0].digest.len(), left[0].placement.len()), ("ä".repeat(31).as_str(), 64, 15));
    assert_eq!((left[0].n, left[0].token), (1, 7));
}

#[test]
fn a_record_that_says_nothing_of_this_boot() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("flight");
    let ways: [(&str, Spoil); 5] = [
        ("another boot", |f| f.write_all_at(b"0", 16 + 3).expect("written")),
        ("another version", |f| f.write_all_at(&[9], 8).expect("written")),
        ("no record at all", |f| f.write_all_at(b"text", 0).expect("written")),
        ("cut short", |f| f.set_len(100).expect("cut")),
        ("capacity and size differ", |f| f.write_all_at(&[200], 12).expect("written")),
    ];
    for (what, spoil) in ways {
        let (record, _) = FlightRecord::open(&path, 2).expect("opened");
        assert!(record.occupy(&slot(1)).is_some());
        drop(record);
        let file = File::options().write(true).read(true).open(&path).expect("there");
        let mut before = [0; 1];
        file.read_exact_at(&mut before, 19).expect("read");
        spoil(&file);
        if before == *b"0" {
            file.write_all_at(b"1", 19).expect("written");
        }
        let left = FlightRecord::open(&path, 2).expect("opened").1;
        assert_eq!(left, Left { slots: vec![], of_another_boot: true }, "{what}");
    }
    assert!(FlightRecord::open(&path, 0).is_err() && FlightRecord::open(&path, CAPACITY_MAX + 1).is_err());
}

#[test]
fn many_threads_never_share_a_slot() {
    let dir = tempfile::tempdir().expect("directory");
    let (record, _) = FlightRecord::open(&dir.path().join("flight"), 64).expect("made");
    std::thread::scope(|scope| {
        for t in 0..4 {
            let record = &record;
            scope.spawn(move || {
                for n in 0..2000 {
                    let mine: Vec<_> = (0..8).map(|i| record.occupy(&slot(t * 100_000 + n * 10 + i)).expect("16 each")).collect();
                    for index in mine {
                        record.free(index);
                    }
                }
            });
        }
    });
    assert_eq!(record.occupied(), 0);
}
