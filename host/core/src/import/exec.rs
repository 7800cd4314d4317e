//! The service of a systemd timer: its command, environment and directory, as arguments of `shell.run`.
//!
//! Not how a service is run otherwise: what else it says (limits, hardening, dependencies) stays with systemd. What must hold: a command
//! that would not be the same one here is refused with the reason.

use super::unit::{self, Key};
use super::{Objection, Taken, object, objection};
use serde_json::json;

/// Puts command, arguments, environment and user of a service into what is taken.
pub(super) fn add_service(taken: &mut Taken, service: &str) -> Result<(), Objection> {
    let keys = unit::section(service, "Service");
    let starts: Vec<&Key> = keys.iter().filter(|key| key.name == "ExecStart").collect();
    let start = match starts.as_slice() {
        [start] => *start,
        [] => return objection("the service has no `ExecStart`", "give the service that the timer starts"),
        _ => return objection("the service has several commands", "put them into one script"),
    };
    for (name, meaning) in
        [("ExecStartPre", "a command before it"), ("ExecStartPost", "a command after it"), ("ExecCondition", "a condition")]
    {
        if unit::last(&keys, name).is_some() {
            return objection(format!("the service has {meaning} (`{name}`)"), "put all of it into one script");
        }
    }
    let argv = argv(&start.value, &mut taken.notes)?;
    for key in keys.iter().filter(|key| key.name == "Environment") {
        for assignment in unit::words(&key.value)? {
            let Some((name, value)) = assignment.split_once('=') else {
                return objection(format!("`{assignment}` is no variable"), "write `NAME=value`");
            };
            taken.environment.insert(name.to_owned(), plain(value, false)?);
        }
    }
    let mut cwd = None;
    if let Some(key) = unit::last(&keys, "WorkingDirectory") {
        let path = plain(key.value.trim_start_matches('-'), false)?;
        if path.starts_with('/') {
            cwd = Some(path);
        } else {
            taken.notes.push(format!("the working directory `{path}` is not known here: the command starts in `/`"));
        }
    }
    if let Some(key) = unit::last(&keys, "User") {
        taken.user = Some(key.value.clone());
        taken.notes.push(format!("it ran as `{}`; `shell.run` runs as the user of its plugin's process (`run_as`)", key.value));
    }
    if unit::last(&keys, "EnvironmentFile").is_some() {
        taken.notes.push("`EnvironmentFile` is not read: put its variables into `env`".to_owned());
    }
    taken.notes.push("a run of `shell.run` is ended after an hour, unless its `timeout_s` says otherwise".to_owned());
    taken.command = Some(start.value.clone());
    taken.args_json = Some(object([
        ("argv", Some(json!(argv))),
        ("cwd", cwd.map(|cwd| json!(cwd))),
        ("env", Some(json!(taken.environment)).filter(|_| !taken.environment.is_empty())),
    ]));
    Ok(())
}

/// Program and arguments of `ExecStart`, without its prefixes.
fn argv(command: &str, notes: &mut Vec<String>) -> Result<Vec<String>, Objection> {
    let rest = command.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    let prefixes = &command[..command.len() - rest.len()];
    if let Some(prefix) = prefixes.chars().find(|prefix| matches!(prefix, '@' | '|')) {
        return objection(format!("the command begins with `{prefix}`"), "write the command as it is to be run");
    }
    if prefixes.contains('-') {
        notes.push("systemd ignores its failure (`-`); here a failed run is tried again and counted".to_owned());
    }
    if prefixes.contains(['+', '!']) {
        notes.push("it ran with more rights than its service (`+` or `!`); here with those of its plugin's process".to_owned());
    }
    let words = unit::words(rest)?;
    if words.iter().any(|word| word == ";") {
        return objection("`;` makes it several commands", "put them into one script");
    }
    let argv = words.iter().map(|word| plain(word, !prefixes.contains(':'))).collect::<Result<Vec<_>, _>>()?;
    match argv.first() {
        Some(program) if program.starts_with('/') => Ok(argv),
        Some(program) if !program.is_empty() => {
            notes.push(format!("`{program}` is looked for in the PATH of the plugin's process"));
            Ok(argv)
        }
        _ => objection("there is no command", "write the program in `ExecStart`"),
    }
}

/// A word without specifiers and, if they are `expanded`, variables: `%%` is `%`, `$$` is `$`.
fn plain(word: &str, expanded: bool) -> Result<String, Objection> {
    let mut text = String::with_capacity(word.len());
    let mut letters = word.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_special = letter == '%' || letter == '$' && expanded;
        match letters.peek() {
            Some(next) if is_special && *next == letter => text.extend(letters.next()),
            Some(next) if letter == '%' => {
                return objection(
                    format!("`%{next}` in `{word}` is a specifier of systemd"),
                    "write what it stands for, or `%%` for a percent sign",
                );
            }
            Some(next) if is_special && (next.is_ascii_alphabetic() || matches!(next, '_' | '{')) => {
                return objection(
                    format!("`{word}` holds a variable, and no shell looks at the arguments"),
                    "write its value, or run it as a `script`",
                );
            }
            _ => text.push(letter),
        }
    }
    Ok(text)
}
