//! The shape of the command line, held still; and which end gets which exit code.

use super::*;

#[test]
fn the_command_is_well_formed() {
    command().debug_assert();
}

#[test]
fn help_is_as_it_was() {
    let mut command = command().term_width(120);
    insta::assert_snapshot!("help", command.render_long_help().to_string());
    let event = command.find_subcommand_mut("event").expect("a verb").find_subcommand_mut("schedule").expect("a verb");
    insta::assert_snapshot!("help-event-schedule", event.clone().term_width(120).render_long_help().to_string());
    for (noun, verb) in [("event", "import"), ("event", "backfill"), ("calendar", "set"), ("limit", "set"), ("schedule", "preview")] {
        let of = command.find_subcommand_mut(noun).expect("a noun").find_subcommand_mut(verb).expect("a verb");
        insta::assert_snapshot!(format!("help-{noun}-{verb}"), of.clone().term_width(120).render_long_help().to_string());
    }
    let check = command.find_subcommand_mut("plugin").expect("a verb").find_subcommand_mut("check").expect("a verb");
    insta::assert_snapshot!("help-plugin-check", check.clone().term_width(120).render_long_help().to_string());
}

#[test]
fn ends_have_their_exit_codes() {
    let refusal = |blame| Refusal::new("XXX999", blame, "no");
    assert_eq!(Failure::Failed(refusal(Blame::World)).code(), 1);
    assert_eq!(Failure::Input(refusal(Blame::Input)).code(), 2);
    assert_eq!(Failure::NoHost(refusal(Blame::World)).code(), 3);
    let by_host =
        [Blame::Input, Blame::Config, Blame::Plugin, Blame::Store, Blame::World, Blame::Bug].map(|b| Failure::Host(refusal(b)).code());
    assert_eq!(by_host, [2, 4, 4, 4, 4, 1]);
    let of = |code: &str| Failure::Host(Refusal::new(code, Blame::Input, "no")).code();
    assert_eq!(
        ["INP008", "INP010", "INP021", "INP027", "INP033", "INP035", "INP044", "PLG001", "PLG035"].map(of),
        [4; 9],
        "the host's state stands against it"
    );
    assert_eq!(["INP001", "INP002", "INP009", "INP011", "INP015"].map(of), [2; 5], "the input itself is wrong");
    assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code(), 0);
}

const WRONG: &[&str] = &[
    "sexton event schedule",
    "sexton event schedule t --in 5s --every 5m",
    "sexton event schedule t --from f --in 5s",
    "sexton event schedule --from f --args {}",
    "sexton event list --state gone",
    "sexton run list --outcome good",
    "sexton run logs",
    "sexton run list --running --outcome failed",
    "sexton run watch",
    "sexton watch --what everything",
    "sexton event schedule t --manual --watch",
    "sexton event schedule --from f --watch",
    "sexton run logs x.1 --attempt first",
    "sexton plugin log-level p loud",
    "sexton plugin place p moon",
    "sexton plugin rollback",
    "sexton plugin diff",
    "sexton event cancel",
    "sexton event cancel --dry-run",
    "sexton event cancel --state paused",
    "sexton event cancel e --all",
    "sexton run cancel",
    "sexton run cancel e.1 --plugin p",
    "sexton run retry",
    "sexton run list --running --outcome failed",
    "sexton dead-letter requeue",
    "sexton dead-letter requeue e.1 --all",
    "sexton dead-letter discard --dry-run",
    "sexton plugin",
    "sexton nothing",
    "sexton status --output xml",
    "sexton action run uid",
    "sexton plugin check f --placement moon",
    "sexton plugin check f --signatures enforce",
    "sexton plugin sign f",
    "sexton plugin keygen --out d",
    "sexton plugin keygen --out d --no-password --password-file f",
    "sexton event schedule --from f --tz UTC",
    "sexton event schedule --from f --misfire skip",
    "sexton event schedule --from f --exclude a",
    "sexton event schedule t --every 5m --misfire never",
    "sexton event schedule t --cron @daily --gap jump",
    "sexton event schedule t --cron @daily --fold second",
    "sexton event schedule t --cron @daily --dialect unix",
    "sexton event schedule t --cron @daily --day-match xor",
    "sexton event schedule t --every 5m --max-runs 0",
    "sexton event backfill e --from 2026-01-01T00:00:00Z",
    "sexton event import",
    "sexton event import --crontab f --systemd g",
    "sexton event import --system-crontab",
    "sexton event import --systemd g --system-crontab",
    "sexton calendar set a",
    "sexton calendar check",
    "sexton limit set acme.x --concurrency 1",
    "sexton limit set type:acme.x --burst 3",
    "sexton limit set type:acme.x --concurrency -1",
    "sexton limit remove",
    "sexton schedule preview @daily --kind moon",
    "sexton retention set",
    "sexton retention set --type t",
    "sexton retention set --max-runs many",
    "sexton alert set a --type t --notify n",
    "sexton alert set a --failed 3 --notify n",
    "sexton alert set a --type t --event e --failed 3 --notify n",
    "sexton alert set a --type t --failed 3 --late 5m --notify n",
    "sexton alert set a --type t --failed 3",
];

const RIGHT: &[&str] = &[
    "sexton event schedule t --in 5s --priority -3",
    "sexton event schedule --from -",
    "sexton event schedule t --cron @daily --tz Europe/Paris --output json --host /s",
    "sexton --host /s run list --event x --since 1h --limit 5",
    "sexton run logs x.1 --attempt 2 -f",
    "sexton plugin log-level p debug",
    "sexton plugin place p in-process",
    "sexton plugin rollback p --to 12 --force",
    "sexton plugin reload p --force",
    "sexton plugin load f --force",
    "sexton plugin diff f --output ndjson",
    "sexton plugin history p --limit 3",
    "sexton audit --subject p --verb plugin.",
    "sexton audit --actor cli: --since 1h --limit 3",
    "sexton retention set --keep 30d --keep-failed 90d --max-runs 5 --type t",
    "sexton retention show --type t",
    "sexton retention clear",
    "sexton retention prune --dry-run --output json",
    "sexton event-type stats",
    "sexton event-type stats t --since 7d --output ndjson",
    "sexton alert set a --event e --did-not-run 2h --notify n --args {} --again 1h",
    "sexton alert list",
    "sexton schedule preview @daily -n 3 --kind cron --after 2026-01-01T00:00:00Z --output json",
    "sexton action run uid --matches f --non-matches g --settings {} --bot b",
    "sexton plugin unload p --abandon --wait 5s --yes",
    "sexton plugin check f --placement in-process --signatures warn --signature-keys d",
    "sexton plugin sign f --key k --password-file p",
    "sexton plugin keygen --out d --no-password",
    "sexton serve --signatures enforce --signature-keys d",
    "sexton serve --listen 1:2",
    "sexton completions bash",
    "sexton event cancel --type t --bot b --label k=v --state paused --dry-run",
    "sexton event cancel a b",
    "sexton run cancel --plugin p --type t --label k=v",
    "sexton run cancel --event e",
    "sexton run cancel a.1 b.2",
    "sexton run list --running --type t",
    "sexton run list --code timeout",
    "sexton run retry e.1",
    "sexton dead-letter list --type t --event e --since 2h --reason x --code panic --bot b --label k=v",
    "sexton dead-letter requeue --reason x --dry-run",
    "sexton dead-letter requeue a.1 b.2",
    "sexton dead-letter discard --all",
    "sexton event schedule t --cron @daily --tz UTC --start a --end b --max-runs 3 --expires 5m --jitter 5s --exclude a --exclude b --only c",
    "sexton event schedule t --cron @daily --misfire all --catch-up 5h --gap skip --fold both --dialect quartz --day-match and",
    "sexton event edit e --rrule FREQ=DAILY --tz Europe/Paris --misfire skip",
    "sexton event backfill e --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z --dry-run",
    "sexton event import --crontab - --system-crontab --type a.b --tz UTC --dry-run --skip --label a=b",
    "sexton event import --systemd a.timer a.service b.timer --dry-run",
    "sexton calendar set a --from f.ics --tz UTC",
    "sexton calendar check --from - --at 2026-01-01T00:00:00Z --output json",
    "sexton limit set key:db --concurrency 3 --rate 10/1m --burst 2",
    "sexton limit remove plugin:http",
    "sexton limit list --output json",
    "sexton schedule preview @daily --exclude a --calendar a=f --calendar b=g",
    "sexton schedule explain FREQ=DAILY --kind rrule --only a",
    "sexton explain",
];

#[test]
fn wrong_flags_are_usage_errors() {
    for line in WRONG {
        let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    for line in RIGHT {
        assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
    }
}
