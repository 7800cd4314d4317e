//! Crontabs and timers against tables.

use super::*;
use serde_json::json;

fn taken(line: &Line) -> &Taken {
    match line {
        Line::Taken(taken) => taken,
        Line::NotTaken(not) => panic!("line {} `{}` is taken: {}", not.line_no, not.text, not.why),
    }
}

fn not_taken(line: &Line) -> &NotTaken {
    match line {
        Line::NotTaken(not) => not,
        Line::Taken(taken) => panic!("line {} `{}` is not taken: {}", taken.line_no, taken.text, taken.schedule_json),
    }
}

#[test]
fn a_users_crontab_is_read_line_by_line() {
    let text = "# comment\n\nMAILTO=\"ops@example.com\"\n*/5 * * * * /usr/bin/true # not a comment\n  SHELL = /bin/bash\nCRON_TZ=Europe/Paris\n\
                @daily  backup --to=/mnt\n0 2 1,15 JAN-MAR mon-fri echo \\%d | tr a b\nHOME=/srv/app\n'A B'=c\n30\t4\t*\t*\t7\tX=1 run\n";
    let lines = read_crontab(text, Form::User, "America/New_York");
    let seen: Vec<(usize, Value, Value)> = lines
        .iter()
        .map(taken)
        .map(|line| (line.line_no, line.schedule_json.clone(), line.args_json.clone().expect("a command")))
        .collect();
    let mail = json!({"MAILTO": "ops@example.com"});
    let mail_and_shell = json!({"MAILTO": "ops@example.com", "SHELL": "/bin/bash"});
    let all = json!({"MAILTO": "ops@example.com", "SHELL": "/bin/bash", "HOME": "/srv/app", "A B": "c"});
    let bash = json!(["/bin/bash", "-c"]);
    assert_eq!(
        seen,
        [
            (4, json!({"cron": "*/5 * * * *", "tz": "America/New_York"}), json!({"script": "/usr/bin/true # not a comment", "env": mail})),
            (
                7,
                json!({"cron": "@daily", "tz": "Europe/Paris"}),
                json!({"script": "backup --to=/mnt", "interpreter": bash, "env": mail_and_shell})
            ),
            (
                8,
                json!({"cron": "0 2 1,15 JAN-MAR mon-fri", "tz": "Europe/Paris"}),
                json!({"script": "echo %d | tr a b", "interpreter": bash, "env": mail_and_shell}),
            ),
            (
                11,
                json!({"cron": "30 4 * * 7", "tz": "Europe/Paris"}),
                json!({"script": "X=1 run", "interpreter": bash, "cwd": "/srv/app", "env": all}),
            ),
        ]
    );
}

#[test]
fn the_systems_crontab_names_a_user() {
    let lines = read_crontab("17 * * * *\troot    cd / && run-parts /etc/cron.hourly\n@hourly www-data\n", Form::System, "UTC");
    let first = taken(&lines[0]);
    assert_eq!((first.user.as_deref(), first.command.as_deref()), (Some("root"), Some("cd / && run-parts /etc/cron.hourly")));
    assert_eq!(first.args_json, Some(json!({"script": "cd / && run-parts /etc/cron.hourly"})));
    assert!(first.notes.iter().any(|note| note.contains("`root`")) && first.notes.iter().any(|note| note.contains("`cwd`")));
    assert!(not_taken(&lines[1]).why.contains("no command after times and user"));
    // The same as a user's crontab has the user for the command.
    assert_eq!(taken(&read_crontab("@hourly www-data", Form::User, "UTC")[0]).command.as_deref(), Some("www-data"));
}

#[test]
fn zones_and_environment_hold_for_the_lines_below() {
    let lines =
        read_crontab("0 1 * * * a\nTZ=Asia/Tokyo\n0 2 * * * b\nCRON_TZ = 'UTC'\n0 3 * * * c\n-0 4 * * * d", Form::User, "Europe/Paris");
    let zones: Vec<&Value> = lines.iter().map(|line| &taken(line).schedule_json["tz"]).collect();
    assert_eq!(zones, ["Europe/Paris", "Asia/Tokyo", "UTC", "UTC"]);
    let has_note = |line: &Line| taken(line).notes.iter().any(|note| note.starts_with("`TZ`"));
    assert_eq!(lines.iter().map(has_note).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(lines.iter().map(|line| taken(line).environment.len()).collect::<Vec<_>>(), [0, 1, 1, 1]);
    assert_eq!(taken(&lines[3]).schedule_json["cron"], "0 4 * * *");
    let unknown = read_crontab("0 1 * * * a\nCRON_TZ=:/etc/localtime\n0 2 * * * b", Form::User, "UTC");
    assert!(matches!(unknown[0], Line::Taken(_)) && not_taken(&unknown[1]).why.contains("`:/etc/localtime` is no zone"));
}

#[test]
fn lines_that_cannot_be_taken_are_named() {
    for (line, why, remedy) in [
        ("@reboot /usr/local/bin/start", "`@reboot` is no time", "systemd service"),
        ("@every 5m run", "`@every` is no nickname", "--every"),
        ("0 2 * * * date +%F > /tmp/day", "`%` without a backslash", "`\\%`"),
        ("0 2 * * * cat%line\\%one%two", "`%` without a backslash", "`stdin`"),
        ("0 2 * *", "only 4 of the five fields", "day of week"),
        ("0 2 * * *", "no command after the times", "system's crontab"),
        ("0~59 2 * * * run", "time at random", "`jitter`"),
        ("run this at noon please", "no command", "crontab"),
        ("0 2 * * ! run", "`!` is no field", "minute, hour"),
        ("réveil 1 2 3 4 run", "no field", "minute"),
    ] {
        let lines = read_crontab(&format!("\n{line}\n"), Form::User, "UTC");
        let not = not_taken(&lines[0]);
        assert!(not.why.contains(why) && not.remedy.contains(remedy), "{line}: {} / {}", not.why, not.remedy);
        assert_eq!((not.line_no, not.text.as_str()), (2, line));
        let refusal = not.refusal();
        assert_eq!((refusal.code.as_str(), refusal.place.map(|place| place.end)), ("INP025", Some(line.len())));
    }
}

#[test]
fn calendar_events_become_expressions_with_the_same_times() {
    for (event, cron, both) in [
        ("minutely", "0 * * * * *", false),
        ("hourly", "0 0 * * * *", false),
        ("Daily", "0 0 0 * * *", false),
        ("weekly", "0 0 0 * * MON", false),
        ("monthly", "0 0 0 1 * *", false),
        ("quarterly", "0 0 0 1 1,4,7,10 *", false),
        ("semiannually", "0 0 0 1 1,7 *", false),
        ("bi-annually", "0 0 0 1 1,7 *", false),
        ("yearly", "0 0 0 1 1 *", false),
        ("Mon..Fri *-*-* 09:00", "0 0 9 * * MON-FRI", false),
        ("Mon-Fri 9:00", "0 0 9 * * MON-FRI", false),
        ("Wed, 17:48", "0 48 17 * * WED", false),
        ("Monday,tuesday", "0 0 0 * * MON,TUE", false),
        ("Mon..Wed,Sat *-*-1..7 18:00:30", "30 0 18 1-7 * MON-WED,SAT", true),
        ("*:0/15", "0 */15 * * * *", false),
        ("*:5/15", "0 5/15 * * * *", false),
        ("*:0/1", "0 * * * * *", false),
        ("*:0/7:0/20", "*/20 */7 * * * *", false),
        ("*-*-* *:*:*", "* * * * * *", false),
        ("12,14,13:20,10,30", "0 20,10,30 12,14,13 * * *", false),
        ("05..08/2:40", "0 40 5-8/2 * * *", false),
        ("10-15", "0 0 0 15 10 *", false),
        ("*-*-1/2 10:00", "0 0 10 */2 * *", false),
        ("*-01,03..05/2-31", "0 0 0 31 1,3-5/2 *", false),
        ("*-*~1", "0 0 0 L * *", false),
        ("*-02~03 06:00", "0 0 6 L-2 2 *", false),
        ("*-*~1..3", "0 0 0 L,L-1,L-2 * *", false),
        ("Mon *-05~07/1", "0 0 0 L,L-1,L-2,L-3,L-4,L-5,L-6 5 MON", true),
        ("*-*~7/3", "0 0 0 L,L-3,L-6 * *", false),
        ("2027-01-01 05:40", "0 40 5 1 1 * 2027", false),
        ("27..30,98-*-01", "0 0 0 1 * * 2027-2030,1998", false),
        ("2026/3-02-29", "0 0 0 29 2 * 2026/3", false),
    ] {
        let mut wanted = json!({"cron": cron, "tz": "Europe/Paris"});
        if both {
            wanted["day_match"] = json!("and");
        }
        assert_eq!(oncalendar::json_of(event, "Europe/Paris"), Ok(wanted), "{event}");
    }
    assert_eq!(oncalendar::json_of("weekly UTC", "Europe/Paris").map(|json| json["tz"].clone()), Ok(json!("UTC")));
    assert_eq!(oncalendar::json_of("*:0/15 America/New_York", "UTC").map(|json| json["tz"].clone()), Ok(json!("America/New_York")));
}

#[test]
fn what_cron_cannot_say_and_what_systemd_refuses_is_named() {
    for (event, why) in [
        ("Fri..Mon 10:00", "over the end of the week"),
        ("*-*-*/2", "is no day"),
        ("*:*/15", "is no minute"),
        ("00:00:00.5", "finer than a second"),
        ("@1767225600", "comes once"),
        ("24:00", "is no hour"),
        ("*-*-0", "is no day"),
        ("*-13-1", "is no month"),
        ("*-*~0", "is no day"),
        ("*-*-~3", "is no date"),
        ("*-*-31..20", "ends before it begins"),
        ("10", "is no date"),
        ("*-*-* 5/0:00", "is no hour"),
        ("noon", "no day of the week, no shorthand"),
        ("daily Mars/Olympus", "no day of the week"),
        ("*-*-* 10:00 11:00", "more than"),
        ("1:2:3:4", "is no time"),
        ("", ""),
        ("*-*-é", "is no day"),
    ] {
        match oncalendar::json_of(event, "UTC") {
            Err((found, remedy)) => assert!(found.contains(why) && !remedy.is_empty(), "{event}: {found}"),
            Ok(json) => assert!(event.is_empty(), "{event}: {json}"),
        }
    }
}

const SERVICE: &str = "[Unit]\nDescription=x\n[Service]\nType=oneshot\nExecStart=-/usr/bin/backup --to \"/mnt/my disk\" \\\n  100%% 'a b'\nEnvironment=\"A=1 2\" B=3\n\
                       Environment=C=$5\nWorkingDirectory=/srv\nUser=backup\n";

#[test]
fn a_timer_is_read_with_its_service() {
    let timer = "[Timer]\nOnCalendar=Mon *-*-* 02:00\nOnCalendar=\nOnCalendar=*-*-* 03:00\n# no\n; no\nOnCalendar=Sat,Sun 12:00 UTC\nPersistent=true\n\
                 RandomizedDelaySec=1h 30min\nAccuracySec=1s\n[Install]\nOnCalendar=daily\n";
    let lines = read_timer("backup.timer", timer, Some(SERVICE), "Europe/Paris");
    assert_eq!(lines.len(), 2);
    let first = taken(&lines[0]);
    assert_eq!(first.line_no, 4);
    assert_eq!(
        first.schedule_json,
        json!({"cron": "0 0 3 * * *", "tz": "Europe/Paris", "misfire": "latest", "catch_up": "36525d", "jitter": "1h 30m"})
    );
    assert_eq!(
        first.args_json,
        Some(
            json!({"argv": ["/usr/bin/backup", "--to", "/mnt/my disk", "100%", "a b"], "cwd": "/srv", "env": {"A": "1 2", "B": "3", "C": "$5"}})
        )
    );
    assert_eq!(first.user.as_deref(), Some("backup"));
    for part in ["`AccuracySec=1s`", "jitter", "`backup`", "clocks change", "ignores its failure", "event of its own"] {
        assert!(first.notes.iter().any(|note| note.contains(part)), "{part}: {:?}", first.notes);
    }
    assert_eq!(taken(&lines[1]).schedule_json["tz"], "UTC");
}

#[test]
fn rhythms_of_a_timer_follow_elapsed_time() {
    for (timer, schedule) in [
        ("OnUnitActiveSec=15min", json!({"every": "15m"})),
        ("OnUnitActiveSec=1d", json!({"every": "24h"})),
        ("OnUnitActiveSec=90", json!({"every": "1m 30s"})),
        ("OnUnitActiveSec=1.5h 10s\nPersistent=true", json!({"every": "1h 30m 10s"})),
        ("OnUnitInactiveSec=1w\nRandomizedDelaySec=500ms", json!({"after": "168h", "jitter": "500ms"})),
        ("OnCalendar=daily", json!({"cron": "0 0 0 * * *", "tz": "UTC", "misfire": "skip"})),
        ("OnCalendar=daily\nPersistent=no", json!({"cron": "0 0 0 * * *", "tz": "UTC", "misfire": "skip"})),
    ] {
        let lines = read_timer("x.timer", &format!("[Timer]\n{timer}"), None, "UTC");
        assert_eq!(taken(&lines[0]).schedule_json, schedule, "{timer}");
        assert_eq!((lines.len(), &taken(&lines[0]).args_json), (1, &None));
        assert!(taken(&lines[0]).notes.iter().any(|note| note.contains("`x.service`")));
    }
    let lines = read_timer("x.timer", "[Timer]\nOnBootSec=5min\nOnUnitActiveSec=1h\nUnit=y.service", None, "UTC");
    assert!(lines.len() == 1 && taken(&lines[0]).notes.iter().any(|note| note.contains("`OnBootSec=5min` is not kept")));
    assert!(taken(&lines[0]).notes.iter().any(|note| note.contains("`y.service`")));
}

#[test]
fn settings_of_a_timer_that_cannot_be_taken_are_named() {
    for (timer, why) in [
        ("OnBootSec=5min", "start of the machine"),
        ("OnStartupSec=5min", "start of the machine"),
        ("OnActiveSec=5min", "start of the timer"),
        ("OnUnitActiveSec=1month", "no fixed length"),
        ("OnUnitActiveSec=10ms", "shorter than a second"),
        ("OnUnitActiveSec=soon", "no length of time"),
        ("OnUnitActiveSec=1h\nRandomizedDelaySec=é", "no length of time"),
        ("OnClockChange=yes", "is no time"),
        ("OnCalendar=00:00:00.5", "finer than a second"),
        ("OnSunrise=yes", "not known"),
    ] {
        let lines = read_timer("x.timer", &format!("[Timer]\n{timer}"), None, "UTC");
        assert!(not_taken(&lines[0]).why.contains(why), "{timer}: {:?}", lines[0]);
    }
    assert!(not_taken(&read_timer("x.timer", "[Unit]\nA=b", None, "UTC")[0]).why.contains("no section"));
    for (service, why) in [
        ("Type=simple", "no `ExecStart`"),
        ("ExecStart=/a\nExecStart=/b", "several commands"),
        ("ExecStart=/a ; /b", "several commands"),
        ("ExecStart=/a\nExecStartPre=/b", "before it"),
        ("ExecStart=@/bin/sh sh", "begins with `@`"),
        ("ExecStart=/a %i", "specifier"),
        ("ExecStart=/a ${HOME}", "variable"),
        ("ExecStart=/a \"b", "no end"),
        ("ExecStart=/a b\\q", "backslash"),
        ("ExecStart=-", "no command"),
        ("ExecStart=/a\nEnvironment=X", "no variable"),
    ] {
        let lines = read_timer("x.timer", "[Timer]\nOnCalendar=daily", Some(&format!("[Service]\n{service}")), "UTC");
        assert!(not_taken(&lines[0]).why.contains(why), "{service}: {:?}", lines[0]);
    }
    let literal = read_timer("x.timer", "[Timer]\nOnCalendar=daily", Some("[Service]\nExecStart=:+/a $HOME $$5"), "UTC");
    assert_eq!(taken(&literal[0]).args_json, Some(json!({"argv": ["/a", "$HOME", "$$5"]})));
}
