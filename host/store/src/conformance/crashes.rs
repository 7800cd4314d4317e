//! Theme: crashes are remembered, for a while.

use super::Theme;
use super::ground::{Ground, at};
use crate::rows::Crash;
use std::collections::BTreeSet;
use std::thread;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("crashes: each plugin's own, newest first, since an instant", listing),
    ("crashes: old ones and all but the newest hundred are dropped", bounded),
    ("crashes: of many at once none is lost", together),
];

const DAY: i64 = 24 * 3_600;

fn crash(plugin: &str, seconds: i64, cause: &str) -> Crash {
    Crash {
        plugin: plugin.to_owned(),
        digest: "d1".to_owned(),
        generation: 7,
        placement: "runner".to_owned(),
        cause: cause.to_owned(),
        at: at(seconds),
    }
}

fn causes(ground: &Ground, plugin: &str, since: i64) -> Vec<String> {
    ground.store.crashes(plugin, at(since)).unwrap().into_iter().map(|crash| crash.cause).collect()
}

fn listing(ground: &Ground) {
    assert!(ground.store.crashes("bells", at(-1_000_000)).unwrap().is_empty());
    let whole = Crash { digest: "d9".to_owned(), generation: 9, placement: "in-process".to_owned(), ..crash("bells", 10, "signal 11") };
    for crash in [&whole, &crash("bells", 30, "exit code 3"), &crash("doors", 20, "abort"), &crash("bells", 20, "found late")] {
        ground.store.crashed(crash).unwrap();
    }
    ground.store.crashed(&crash("bells", 30, "at the same instant")).unwrap();
    assert_eq!(causes(ground, "bells", 0), ["at the same instant", "exit code 3", "found late", "signal 11"]);
    assert_eq!(causes(ground, "bells", 20), ["at the same instant", "exit code 3", "found late"], "that instant is in it");
    assert!(causes(ground, "bells", 31).is_empty());
    assert_eq!(ground.store.crashes("bells", at(0)).unwrap()[3], whole, "as it was given");
    assert_eq!(causes(ground, "doors", 0), ["abort"]);
    ground.store.forgive_crashes("bells").unwrap();
    assert!(causes(ground, "bells", 0).is_empty(), "forgiven");
    assert_eq!(causes(ground, "doors", 0), ["abort"], "and no one else's");
    let line = ground.store.audit_lines(&crate::rows::AuditFilter::default(), &crate::rows::Page { before: None, limit: 1 }).unwrap();
    assert_eq!(line[0].1.verb, "plugin.publish", "nobody did it: no line of the audit");
}

fn bounded(ground: &Ground) {
    ground.store.crashed(&crash("doors", 0, "old")).unwrap();
    ground.store.crashed(&crash("bells", 0, "old")).unwrap();
    ground.store.crashed(&crash("doors", 30 * DAY, "thirty days later")).unwrap();
    assert_eq!((causes(ground, "doors", 0).len(), causes(ground, "bells", 0).len()), (2, 1), "thirty days are kept");
    ground.store.crashed(&crash("doors", 30 * DAY + 1, "a second later")).unwrap();
    assert_eq!(causes(ground, "doors", 0), ["a second later", "thirty days later"]);
    assert!(causes(ground, "bells", 0).is_empty(), "another's old ones go too");
    for number in 0..130 {
        ground.store.crashed(&crash("bells", 31 * DAY + number, &number.to_string())).unwrap();
    }
    let kept = causes(ground, "bells", 0);
    assert_eq!((kept.len(), kept[0].as_str(), kept[99].as_str()), (100, "129", "30"));
    ground.store.crashed(&crash("bells", 31 * DAY, "found late")).unwrap();
    assert_eq!(causes(ground, "bells", 0), kept, "the newest are those of the latest instants");
    assert_eq!(causes(ground, "doors", 0).len(), 2, "a flood of one drops nobody else's");
}

fn together(ground: &Ground) {
    thread::scope(|scope| {
        for caller in 0..8 {
            scope.spawn(move || {
                for number in 0..10 {
                    ground.store.crashed(&crash("bells", number, &format!("{caller}.{number}"))).unwrap();
                }
            });
        }
    });
    let kept: BTreeSet<String> = causes(ground, "bells", 0).into_iter().collect();
    assert_eq!(kept.len(), 80);
}
