//! What this process has mapped, read from `/proc/self/maps`.
//!
//! Not a cache: each question reads anew. What must hold: a file is known by what this table says of it, never by `stat`: on an overlay
//! file system the two name different devices and inodes for one file.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// A mapped file, as the table names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    device: String,
    inode: u64,
}

struct Line {
    from: usize,
    to: usize,
    origin: Origin,
}

/// The file behind an address; `None` for what is not mapped, or mapped from no file.
pub(crate) fn origin_of(address: usize) -> io::Result<Option<Origin>> {
    Ok(lines()?.into_iter().find(|l| l.from <= address && address < l.to && l.origin.inode != 0).map(|l| l.origin))
}

/// How many mappings of a file there are.
pub(crate) fn count_of(origin: &Origin) -> io::Result<usize> {
    Ok(lines()?.iter().filter(|l| l.origin == *origin).count())
}

fn lines() -> io::Result<Vec<Line>> {
    let mut lines = Vec::with_capacity(256);
    for text in BufReader::new(File::open("/proc/self/maps")?).split(b'\n') {
        let text = text?;
        let text = String::from_utf8_lossy(&text);
        lines.push(line(&text).ok_or_else(|| io::Error::other(format!("a line of /proc/self/maps is not understood: {text}")))?);
    }
    Ok(lines)
}

/// `from-to perms offset device inode path`.
fn line(text: &str) -> Option<Line> {
    let mut fields = text.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
    let device = fields.nth(2)?.to_owned();
    let inode = fields.next()?.parse().ok()?;
    Some(Line { from, to, origin: Origin { device, inode } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_mapped_file_is_found_and_gone_after() {
        let mut file = tempfile::tempfile().expect("file");
        file.write_all(&[1; 4096]).expect("written");
        // SAFETY: nobody else has the file.
        let map = unsafe { memmap2::Mmap::map(&file) }.expect("mapped");
        let origin = origin_of(map.as_ptr() as usize).expect("read").expect("found");
        assert_eq!(count_of(&origin).expect("read"), 1);
        drop(map);
        assert_eq!(count_of(&origin).expect("read"), 0);
        assert_eq!(origin_of(0).expect("read"), None);
    }

    #[test]
    fn lines_of_any_form() {
        let l = line("7f0-7f8 r--p 00000000 08:01 123                  /a b/c.so (deleted)").expect("understood");
        assert_eq!((l.from, l.to, l.origin.inode), (0x7f0, 0x7f8, 123));
        assert!(line("nonsense").is_none() && line("").is_none());
    }
}
