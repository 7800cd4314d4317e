//! The files of an import: which lines they hold, on whose clocks they are read.
//!
//! Not the meaning of a line (`sexton_core::import`). What must hold: every line has its file and number, and a timer finds its service among
//! the files that were given, else beside it.

use crate::cli::{Failure, input};
use sexton_core::import::{Form, Line, read_crontab, read_timer, started_unit};
use sexton_core::{Blame, Refusal};
use std::path::Path;

/// A line and where it stands.
#[derive(Clone, Debug)]
pub struct Found {
    /// The file as it was named.
    pub file: String,
    /// What its text is told apart by from the same text elsewhere: how a crontab is read, the name of a unit.
    pub origin: String,
    /// What became of it.
    pub line: Line,
}

/// The lines of a crontab.
///
/// # Errors
/// `INP020`.
pub fn crontab(path: &str, form: Form, tz: &str) -> Result<Vec<Found>, Failure> {
    let origin = if form == Form::System { "system crontab" } else { "crontab" };
    let lines = read_crontab(&input::read(path)?, form, tz).into_iter();
    Ok(lines.map(|line| Found { file: path.to_owned(), origin: origin.to_owned(), line }).collect())
}

/// The settings of timers. Services may stand among the paths.
///
/// # Errors
/// `INP020`; `INP016` for a file that is neither, or no timer at all.
pub fn timers(paths: &[String], tz: &str) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    let mut has_timer = false;
    for path in paths {
        let name = name_of(path);
        if name.ends_with(".service") {
            continue;
        }
        if !name.ends_with(".timer") {
            let refusal = Refusal::new("INP016", Blame::Input, format!("{path} is no unit that is read"));
            return Err(Failure::Input(refusal.expected("files whose names end with .timer or .service").at(path, 0, path.len())));
        }
        has_timer = true;
        let timer = input::read(path)?;
        let service = service_of(&started_unit(&name, &timer), path, paths)?;
        let lines = read_timer(&name, &timer, service.as_deref(), tz).into_iter();
        found.extend(lines.map(|line| Found { file: path.clone(), origin: name.clone(), line }));
    }
    if has_timer {
        return Ok(found);
    }
    let refusal = Refusal::new("INP016", Blame::Input, "there is no timer among the files");
    Err(Failure::Input(refusal.expected("a file whose name ends with .timer; its service is found beside it")))
}

fn name_of(path: &str) -> String {
    Path::new(path).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn service_of(unit: &str, timer: &str, paths: &[String]) -> Result<Option<String>, Failure> {
    if let Some(path) = paths.iter().find(|path| name_of(path) == unit) {
        return input::read(path).map(Some);
    }
    let beside = Path::new(timer).with_file_name(unit);
    if beside.is_file() { input::read(&beside.display().to_string()).map(Some) } else { Ok(None) }
}

/// The zone of this machine's clock: `TZ`, else what `/etc/localtime` points to, else UTC.
#[must_use]
pub fn machine_zone() -> String {
    let named = std::env::var("TZ").ok().map(|tz| tz.trim_start_matches(':').to_owned()).filter(|tz| !tz.is_empty());
    named.or_else(|| zone_of(&std::fs::read_link("/etc/localtime").ok()?)).unwrap_or_else(|| "UTC".to_owned())
}

fn zone_of(link: &Path) -> Option<String> {
    let text = link.to_str()?;
    Some(text.split_once("zoneinfo/")?.1.trim_start_matches("posix/").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_of_the_machine_is_in_its_link() {
        for (link, zone) in [
            ("/usr/share/zoneinfo/Europe/Paris", Some("Europe/Paris")),
            ("../usr/share/zoneinfo/posix/Asia/Tokyo", Some("Asia/Tokyo")),
            ("/etc/other", None),
        ] {
            assert_eq!(zone_of(Path::new(link)).as_deref(), zone, "{link}");
        }
    }

    #[test]
    fn a_timer_finds_its_service() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("ours");
            path.display().to_string()
        };
        let timer = put("a.timer", "[Timer]\nOnCalendar=daily\n");
        let other = put("b.timer", "[Timer]\nOnCalendar=daily\nUnit=x.service\n");
        let args = |paths: &[String]| {
            let found = timers(paths, "UTC").expect("read");
            found
                .into_iter()
                .map(|found| match found.line {
                    Line::Taken(taken) => taken.args_json.map(|args| args["argv"][0].clone()),
                    Line::NotTaken(line) => panic!("{line:?}"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(args(std::slice::from_ref(&timer)), [None]);
        put("a.service", "[Service]\nExecStart=/bin/a\n");
        std::fs::create_dir(dir.path().join("elsewhere")).expect("new");
        let x = put("elsewhere/x.service", "[Service]\nExecStart=/bin/x\n");
        assert_eq!(args(&[timer, x.clone(), other]), [Some("/bin/a".into()), Some("/bin/x".into())]);
        assert_eq!(timers(&[x], "UTC").expect_err("no timer").code(), 2);
        assert_eq!(timers(&[put("a.txt", "")], "UTC").expect_err("no unit").code(), 2);
    }
}
