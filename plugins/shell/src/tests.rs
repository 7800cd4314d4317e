//! The job `shell.run` on a test host: what comes back, what ends it, what is refused.
//!
//! Not the process group (`process`). What must hold: real commands, no stand-ins.

use super::RunCommand;
use sexton_plugin_api::prelude::*;
use sexton_plugin_api::testing::{TestHost, TestReply};
use sexton_plugin_api::wire::JobEnd;

fn run(args: Value) -> TestReply {
    TestHost::new().args(args).occurrence("0000000000042.7").attempt(2).run::<RunCommand>()
}

fn output(reply: &TestReply) -> &Value {
    reply.output.as_ref().expect("every command that was started leaves an output")
}

fn failure(reply: &TestReply) -> (&str, bool) {
    match &reply.end {
        JobEnd::Failed { message, permanent } => (message, *permanent),
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn argv_is_not_looked_at_by_a_shell() {
    let reply = run(json!({"argv": ["/bin/echo", "$HOME; rm -rf *", "a  b"]}));
    assert_eq!(reply.end, JobEnd::Succeeded);
    assert_eq!(output(&reply)["stdout"], "$HOME; rm -rf * a  b\n");
    assert_eq!((&output(&reply)["exit_code"], &output(&reply)["signal"]), (&json!(0), &Value::Null));
}

#[test]
fn a_script_gets_input_environment_and_directory() {
    let script = "cat; echo $GREETING $SEXTON_OCCURRENCE $SEXTON_ATTEMPT $SEXTON_SCHEDULED_FOR; pwd; echo end >&2";
    let reply = run(json!({"script": script, "stdin": "in\n", "env": {"GREETING": "hello"}, "cwd": "/usr"}));
    assert_eq!(output(&reply)["stdout"], "in\nhello 0000000000042.7 2 2026-01-01T00:00:00+00:00\n/usr\n");
    assert_eq!(output(&reply)["stderr"], "end\n");
    let reply = run(json!({"script": "print $1 + 1", "interpreter": ["/usr/bin/env", "awk"], "stdin": "41\n"}));
    assert_eq!(reply.end, JobEnd::Failed { message: failure(&reply).0.to_owned(), permanent: false }, "awk does not like that script");
    let reply = run(json!({"script": "{ print $1 + 1 }", "interpreter": ["/usr/bin/env", "awk"], "stdin": "41\n"}));
    assert_eq!(output(&reply)["stdout"], "42\n");
}

#[test]
fn the_hosts_environment_stays_with_the_host() {
    let reply = run(json!({"argv": ["/usr/bin/env"]}));
    let names: Vec<&str> = output(&reply)["stdout"].as_str().expect("text").lines().filter_map(|line| line.split('=').next()).collect();
    let known = ["PATH", "HOME", "LANG", "TZ", "SEXTON_OCCURRENCE", "SEXTON_ATTEMPT", "SEXTON_SCHEDULED_FOR"];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}

#[test]
fn exit_codes_decide() {
    let reply = run(json!({"script": "echo no such thing >&2; exit 3"}));
    assert_eq!(failure(&reply), ("`/bin/sh` ended with exit status: 3: no such thing", false));
    assert_eq!(output(&reply)["exit_code"], 3);
    assert_eq!(run(json!({"script": "exit 3", "success_codes": [0, 3]})).end, JobEnd::Succeeded);
    let reply = run(json!({"script": "kill -9 $$"}));
    assert_eq!((&output(&reply)["exit_code"], &output(&reply)["signal"]), (&Value::Null, &json!(9)));
}

#[test]
fn long_output_is_cut_and_says_so() {
    let reply = run(json!({"script": "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done", "max_output": 100}));
    let stdout = output(&reply)["stdout"].as_str().expect("text");
    assert!(stdout.starts_with("line 0\n") && stdout.ends_with("line 1999\n") && stdout.contains("bytes left out"), "{stdout}");
    assert!(output(&reply)["stdout_left_out_bytes"].as_u64() > Some(10_000));
}

#[test]
fn cancel_and_timeout_end_it() {
    let args = json!({"script": "echo begun; sleep 1000", "grace_s": 1});
    let reply = TestHost::new().args(args).cancelled_after(sexton_plugin_api::chrono::Duration::zero()).run::<RunCommand>();
    assert_eq!(reply.end, JobEnd::Cancelled { reason: "`/bin/sh` was stopped".to_owned() });
    let reply = run(json!({"script": "echo begun; sleep 1000", "timeout_s": 1, "grace_s": 1}));
    assert_eq!(failure(&reply), ("`/bin/sh` did not end within 1 s", false));
    assert_eq!(output(&reply)["stdout"], "begun\n");
}

#[test]
fn what_makes_no_sense_is_refused_for_good() {
    for (args, words) in [
        (json!({}), "nothing to run"),
        (json!({"argv": [""]}), "nothing to run"),
        (json!({"argv": ["a"], "script": "b"}), "exclude each other"),
        (json!({"argv": "ls"}), "cannot be read"),
        (json!({"argv": ["ls"], "shell": true}), "unknown field"),
    ] {
        let reply = run(args);
        let (message, permanent) = failure(&reply);
        assert!(message.contains(words) && permanent, "{message}");
    }
    let reply = run(json!({"argv": ["/nonexistent/program"]}));
    let (message, permanent) = failure(&reply);
    assert!(message.contains("`/nonexistent/program` cannot be run") && !permanent, "{message}");
}
