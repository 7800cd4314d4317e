//! The owner rule as a table: who, which mode, file or directory.

use super::*;

const PASSWD: &str =
    "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/h:/s\nbob:x:1001:1001::/h:/s\neve:x:1002:1001::/h:/s\ndan:x:1003:1003::/h:/s\n";
const GROUP: &str = "root:x:0:\nann:x:1000:ann\nbob:x:1001:\nstaff:x:50:ann,bob\ndan:x:1003:ann\n";

fn trust(euid: u32) -> Trust {
    Trust { euid, passwd: PASSWD.to_owned(), group: GROUP.to_owned() }
}

fn file(uid: u32, gid: u32, mode: u32) -> Look {
    Look { uid, gid, mode, directory: false, access_list: false }
}

fn directory(uid: u32, gid: u32, mode: u32) -> Look {
    Look { directory: true, ..file(uid, gid, mode) }
}

fn verdict(euid: u32, look: Look) -> Result<(), String> {
    trust(euid).judge(Path::new("/p/x.so"), look).map_err(|r| {
        assert_eq!(r.code, "PLG002");
        r.remedy.expect("what to type")
    })
}

#[test]
fn owners() {
    for (euid, uid, good) in [(0, 0, true), (0, 1000, false), (1000, 1000, true), (1000, 0, true), (1000, 1001, false), (4242, 4242, true)]
    {
        assert_eq!(verdict(euid, file(uid, uid, 0o644)).is_ok(), good, "host {euid}, file of {uid}");
    }
    assert_eq!(verdict(1000, file(1001, 1001, 0o644)), Err("chown 1000 /p/x.so".to_owned()));
}

#[test]
fn writers() {
    let cases = [
        (file(0, 0, 0o755), Ok(())),
        (file(0, 0, 0o646), Err("chmod o-w /p/x.so")),
        // A group named as the owner, with nobody else in it.
        (file(1000, 1000, 0o664), Ok(())),
        (file(0, 0, 0o664), Ok(())),
        // Someone else's primary group, another member, another name, no name, the owner's only by number.
        (file(1000, 1001, 0o664), Err("chmod g-w /p/x.so")),
        (file(1000, 50, 0o664), Err("chmod g-w /p/x.so")),
        (file(0, 1000, 0o664), Err("chmod g-w /p/x.so")),
        (file(1000, 4242, 0o664), Err("chmod g-w /p/x.so")),
        (file(1000, 50, 0o666), Err("chmod go-w /p/x.so")),
        // With an access control list the bits are its mask.
        (Look { access_list: true, ..file(1000, 1000, 0o664) }, Err("chmod g-w /p/x.so")),
        // Only on a directory does the sticky bit protect, and there each entry is judged by its own owner.
        (directory(0, 0, 0o1777), Ok(())),
        (directory(0, 0, 0o777), Err("chmod o-w /p/x.so")),
        (directory(0, 50, 0o1775), Ok(())),
        (file(0, 0, 0o1646), Err("chmod o-w /p/x.so")),
    ];
    for (look, expected) in cases {
        assert_eq!(verdict(1000, look), expected.map_err(str::to_owned), "{:o} {}:{}", look.mode, look.uid, look.gid);
    }
    // A group of one's own name that others share, as primary group (bob, eve) or as members (dan, ann).
    assert!(verdict(1001, file(1001, 1001, 0o664)).is_err());
    assert!(verdict(1003, file(1003, 1003, 0o664)).is_err());
    assert!(verdict(1001, directory(1000, 1000, 0o1777)).is_err(), "a sticky directory of somebody else");
}

#[test]
fn nobody_is_private_without_names() {
    let nameless = Trust { euid: 7, passwd: String::new(), group: "junk\n::\n".to_owned() };
    assert!(nameless.judge(Path::new("/p"), file(7, 7, 0o664)).is_err());
    assert!(nameless.judge(Path::new("/p"), file(7, 7, 0o644)).is_ok());
}

#[test]
fn paths_are_quoted_as_a_shell_takes_them() {
    assert_eq!(quoted(Path::new("/a-b/c_d.so")), "/a-b/c_d.so");
    assert_eq!(quoted(Path::new("/a b/it's;rm.so")), r"'/a b/it'\''s;rm.so'");
}
