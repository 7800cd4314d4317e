//! The job `http.request` on a test host, against a server on a socket of this process.
//!
//! Not TLS itself (rustls has its own tests): only that a certificate nobody vouches for is refused. What must hold: what the server saw is
//! compared, not what was meant.

use super::SendRequest;
use sexton_plugin_api::prelude::*;
use sexton_plugin_api::testing::{TestHost, TestReply};
use sexton_plugin_api::wire::JobEnd;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

/// Answers each connection in turn with one of the texts; what was asked comes out of the channel.
fn server(answers: Vec<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    let (send, seen) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client comes");
            let mut reader = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).is_ok_and(|n| n > 0) {}
            let length = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).expect("the body is as long as it says");
            request.push_str(&String::from_utf8_lossy(&body));
            let _ = send.send(request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, seen)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nX-Tag: t\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn run(args: Value) -> TestReply {
    TestHost::new().args(args).occurrence("0000000000042.7").run::<SendRequest>()
}

fn failure(reply: &TestReply) -> (&str, bool) {
    match &reply.end {
        JobEnd::Failed { message, permanent } => (message, *permanent),
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn a_get_brings_status_headers_and_body() {
    let (url, seen) = server(vec![answer("200 OK", "hello")]);
    let reply = run(json!({"url": format!("{url}/x?y=1"), "headers": {"X-Asked": "yes"}}));
    assert_eq!(reply.end, JobEnd::Succeeded);
    let output = reply.output.expect("an answer leaves an output");
    assert_eq!(
        (&output["status"], &output["body"], &output["body_truncated"], &output["headers"]["x-tag"]),
        (&json!(200), &json!("hello"), &json!(false), &json!("t"))
    );
    let request = seen.recv().expect("the server saw it").to_ascii_lowercase();
    assert!(request.starts_with("get /x?y=1 http/1.1\r\n") && request.contains("x-asked: yes\r\n"), "{request}");
    assert!(!request.contains("idempotency-key"), "{request}");
}

#[test]
fn a_post_carries_its_body_and_the_occurrence() {
    let (url, seen) = server(vec![answer("201 Created", ""), answer("204 No Content", "")]);
    let reply = run(json!({"url": url, "method": "POST", "json": {"a": [1, 2]}}));
    assert_eq!(reply.end, JobEnd::Succeeded);
    let request = seen.recv().expect("the server saw it").to_ascii_lowercase();
    assert!(request.starts_with("post / http/1.1\r\n") && request.ends_with("\r\n\r\n{\"a\":[1,2]}"), "{request}");
    assert!(
        request.contains("content-type: application/json\r\n") && request.contains("idempotency-key: 0000000000042.7\r\n"),
        "{request}"
    );
    let reply = run(json!({"url": url, "method": "DELETE", "body": "why", "headers": {"Idempotency-Key": "mine"}}));
    assert_eq!(reply.end, JobEnd::Succeeded);
    let request = seen.recv().expect("the server saw it").to_ascii_lowercase();
    assert!(request.contains("idempotency-key: mine\r\n") && request.ends_with("why"), "{request}");
}

#[test]
fn the_status_decides_and_says_whether_to_try_again() {
    for (status, expect, permanent) in [
        ("404 Not Found", json!(null), Some(true)),
        ("429 Too Many Requests", json!(null), Some(false)),
        ("503 Service Unavailable", json!(null), Some(false)),
        ("404 Not Found", json!([200, "400-404"]), None),
        ("200 OK", json!([204]), Some(false)),
    ] {
        let (url, _seen) = server(vec![answer(status, "because")]);
        let mut args = json!({"url": url});
        if !expect.is_null() {
            args["expect"] = expect;
        }
        let reply = run(args);
        assert_eq!(reply.output.as_ref().expect("an answer leaves an output")["body"], "because");
        match permanent {
            None => assert_eq!(reply.end, JobEnd::Succeeded, "{status}"),
            Some(expected) => {
                let (message, permanent) = failure(&reply);
                assert!(message.contains(&status[..3]) && permanent == expected, "{status}: {message}");
            }
        }
    }
}

#[test]
fn a_long_body_is_cut() {
    let (url, _seen) = server(vec![answer("200 OK", &"x".repeat(100_000)), answer("200 OK", "12345")]);
    let reply = run(json!({"url": url, "max_body": 10}));
    let output = reply.output.expect("an answer leaves an output");
    assert_eq!((&output["body"], &output["body_truncated"]), (&json!("xxxxxxxxxx"), &json!(true)));
    let reply = run(json!({"url": url, "max_body": 5}));
    assert_eq!(reply.output.expect("an output")["body_truncated"], false);
}

#[test]
fn redirects_are_followed_within_their_bound() {
    let hop = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let (url, seen) = server(vec![hop("/second"), answer("200 OK", "there"), hop("/a"), hop("/b"), hop("/c")]);
    let reply = run(json!({"url": format!("{url}/first")}));
    let output = reply.output.expect("an output");
    assert_eq!((&output["body"], &output["url"]), (&json!("there"), &json!(format!("{url}/second"))));
    let reply = run(json!({"url": url, "max_redirects": 1}));
    assert!(failure(&reply).0.contains("redirect"), "{:?}", reply.end);
    let reply = run(json!({"url": url, "max_redirects": 0, "expect": [302]}));
    assert_eq!(reply.end, JobEnd::Succeeded);
    assert_eq!(seen.try_iter().count(), 5);
}

#[test]
fn nobody_there_is_tried_again_and_a_silent_server_times_out() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let reply = run(json!({"url": format!("http://127.0.0.1:{port}/")}));
    assert!(!failure(&reply).1, "{:?}", reply.end);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let reply = run(json!({"url": url, "timeout_s": 1}));
    let (message, permanent) = failure(&reply);
    assert!(message.contains("no answer within 1 s") && !permanent, "{message}");
}

#[test]
fn plain_text_where_tls_is_meant_is_refused() {
    let (url, _seen) = server(vec![answer("200 OK", "not tls")]);
    let reply = run(json!({"url": url.replace("http:", "https:"), "timeout_s": 5}));
    assert!(!failure(&reply).1 && reply.output.is_none(), "{:?}", reply.end);
    let settings = json!({"ca_file": "/nonexistent/ca.pem"});
    let reply = TestHost::new().args(json!({"url": "https://localhost/"})).settings(settings).run::<SendRequest>();
    assert!(failure(&reply).0.contains("`ca_file` /nonexistent/ca.pem"), "{:?}", reply.end);
}

#[test]
fn secrets_come_from_the_settings() {
    let (url, seen) = server(vec![answer("200 OK", "")]);
    let settings = json!({"secrets": {"token": "s3cret"}});
    let args = |value: &str| json!({"url": url, "headers": {"Authorization": value}});
    let reply = TestHost::new().args(args("Bearer {secret:token}")).settings(settings.clone()).run::<SendRequest>();
    assert_eq!(reply.end, JobEnd::Succeeded);
    assert!(seen.recv().expect("the server saw it").contains("Bearer s3cret\r\n"));
    for value in ["{secret:other}", "{secret:token"] {
        let reply = TestHost::new().args(args(value)).settings(settings.clone()).run::<SendRequest>();
        assert!(failure(&reply).1, "{:?}", reply.end);
    }
}

#[test]
fn malformed_requests_fail_for_good() {
    for args in [
        json!({"url": "http://"}),
        json!({"url": "ftp://localhost/"}),
        json!({"url": "http://localhost/", "headers": {"bad name": "x"}}),
        json!({"url": "http://localhost/", "headers": {"x": "a\r\nb: c"}}),
        json!({"url": "http://localhost/", "method": "G E T"}),
        json!({"url": "http://localhost/", "body": "a", "json": 1}),
        json!({"url": "http://localhost/", "expect": ["2xx"]}),
    ] {
        let reply = run(args.clone());
        assert!(failure(&reply).1, "{args}: {:?}", reply.end);
    }
}
