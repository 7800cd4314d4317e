//! The flight record: what one life writes, the next one reads.

use super::*;
use std::os::unix::fs::{FileExt, PermissionsExt};

/// Opens and begins at once.
fn open(path: &Path, capacity: usize) -> io::Result<(FlightRecord, Left)> {
    let (file, left) = FlightFile::open(path)?;
    Ok((file.begin(capacity)?, left))
}

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
    let (record, left) = open(&path, 4).expect("made");
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
    drop(record);
    let (next, left) = open(&path, 8).expect("opened");
    let mut of: Vec<i64> = left.slots.iter().map(|s| s.n).collect();
    of.sort_unstable();
    assert_eq!((of, left.of_another_boot), (vec![2, 3, 5], false));
    assert_eq!(left.slots.iter().find(|s| s.n == 5), Some(&slot(5)));
    assert_eq!(next.occupied(), 0);
    drop(next);
    assert_eq!(open(&path, 8).expect("opened").1, Left::default());
    assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn long_texts_are_cut_at_whole_characters() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("flight");
    let (record, _) = open(&path, 1).expect("made");
    let long = Slot { plugin: "ä".repeat(100), digest: "c".repeat(100), placement: "p".repeat(100), ..slot(1) };
    assert!(record.occupy(&long).is_some());
    drop(record);
    let left = open(&path, 1).expect("opened").1.slots;
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
        let (record, _) = open(&path, 2).expect("opened");
        assert!(record.occupy(&slot(1)).is_some());
        drop(record);
        let file = File::options().write(true).read(true).open(&path).expect("there");
        let mut before = [0; 1];
        file.read_exact_at(&mut before, 19).expect("read");
        spoil(&file);
        if before == *b"0" {
            file.write_all_at(b"1", 19).expect("written");
        }
        let left = open(&path, 2).expect("opened").1;
        assert_eq!(left, Left { slots: vec![], of_another_boot: true, host_death: None }, "{what}");
    }
    assert!(open(&path, 0).is_err() && open(&path, CAPACITY_MAX + 1).is_err());
}

#[test]
fn what_is_left_stays_until_a_record_is_begun_whatever_its_size() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("flight");
    let record = open(&path, 4).expect("made").0;
    assert!(record.occupy(&slot(1)).is_some());
    drop(record);
    for _ in 0..2 {
        let (file, left) = FlightFile::open(&path).expect("opened");
        assert_eq!(left.slots, [slot(1)], "a start that went no further lost nothing");
        drop(file);
    }
    let (file, _) = FlightFile::open(&path).expect("opened");
    assert!(file.begin(CAPACITY_MAX + 1).is_err());
    assert_eq!(open(&path, 4).expect("of the same size").1.slots.len(), 1, "a refused one lost nothing either");
    let (record, left) = open(&path, 2).expect("of another size");
    assert_eq!((left, record.occupied()), (Left::default(), 0), "the same size was emptied");
    assert_eq!(path.metadata().expect("there").len(), (HEADER_SIZE + 2 * SLOT_SIZE) as u64);
}

#[test]
fn one_process_has_the_record_until_it_lets_go() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("flight");
    let record = open(&path, 4).expect("made").0;
    assert!(record.occupy(&slot(1)).is_some());
    // A lock is by open file, so that a second one in this process is as good as one in another.
    assert_eq!(FlightFile::open(&path).expect_err("it is taken").kind(), io::ErrorKind::WouldBlock);
    record.release();
    assert_eq!(FlightFile::open(&path).expect("let go").1.slots, [slot(1)]);
}

#[test]
fn many_threads_never_share_a_slot() {
    let dir = tempfile::tempdir().expect("directory");
    let (record, _) = open(&dir.path().join("flight"), 64).expect("made");
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
