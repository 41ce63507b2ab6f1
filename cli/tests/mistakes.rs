//! What the command line says when something is wrong. No broker is needed.

mod command;

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::process::{ChildStdin, ChildStdout};

use command::{Running, file, next_line, run, run_with_input};
use serde_json::json;

/// A listener that lets connect and never answers: a broker that hangs.
fn silent_broker() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    (listener, address)
}

#[test]
fn every_mistake_is_one_line_with_its_place_and_a_remedy_and_exits_2() {
    const MOST: &str = "18446744073709551615";
    let latin1 = file("latin1.conf", b"client.id=\xe9");
    let wrong = file(
        "wrong.conf",
        b"# brokers\nbootstrap.servers=a:1\n\nlinger.ms=soon\n",
    );
    let short = file("short.bin", b"x");
    let (latin1, wrong) = (latin1.to_str().unwrap(), wrong.to_str().unwrap());
    let short = short.to_str().unwrap();
    let unreadable = format!("{latin1}.not-there");
    let cases: &[(&[&str], &[&str])] = &[
        (&["publish"], &["<SOCKET>", "--help"]),
        (&["publsh"], &["publsh", "publish"]),
        (
            &["publish", "127.0.0.1:9092"],
            &["byte 14", "no topic", "write brokers/topic"],
        ),
        (
            &["publish", "kafka:127.0.0.1:9092/", "x"],
            &["byte 21", "topic", "choose"],
        ),
        (
            &["publish", "a:1,b:http/t", "x"],
            &["byte 4", "b:http", "no number", "host:port"],
        ),
        (
            &["publish", "a:99999/t", "x"],
            &["out of range", "1 to 65535"],
        ),
        (
            &["publish", "a/t?g.bogus=1", "x"],
            &["byte 4", "g.bogus", "no such property"],
        ),
        (
            &["publish", "a/t?linger.ms=1", "x"],
            &["byte 4", "did you mean g.linger.ms?"],
        ),
        (
            &["publish", "a/t?g.client.id=\"x", "x"],
            &["byte 16", "closing quote"],
        ),
        (
            &["publish", "a/t?g.client.id=@file:/nowhere", "x"],
            &["byte 16", "/nowhere", "readable file"],
        ),
        (
            &["bench", "a/t?g.client.id=@env:EVENT_KAFKA_NOWHERE"],
            &["byte 16", "EVENT_KAFKA_NOWHERE is not set"],
        ),
        (
            &["publish", &format!("a/t?config={wrong}"), "x"],
            &["byte 11", &format!("{wrong}:4:"), "linger.ms"],
        ),
        (&["bench", "a/t", "--topic", "t"], &["cannot be used with"]),
        (
            &["publish", "a/t?g.lingr.ms=1", "x"],
            &["did you mean linger.ms?"],
        ),
        (
            &["publish", "a/t?t.acks=7", "x"],
            &["byte 11", "\"7\"", "0, 1 or all"],
        ),
        (
            &["publish", "a/t?t.linger.ms=1", "x"],
            &["byte 4", "belongs to the producer"],
        ),
        (
            &["publish", "/t", "x"],
            &["metadata.broker.list", "give a broker"],
        ),
        (
            &["publish", "a/t?g.linger.ms=9&t.message.timeout.ms=9", "x"],
            &[
                "t.message.timeout.ms (message.timeout.ms), byte 18",
                "greater than",
                "g.linger.ms",
                "byte 4",
            ],
        ),
        (
            &["publish", "a/t", "--file", &unreadable],
            &[&unreadable, "readable file"],
        ),
        (
            &["publish", "a/t", "--file", "/"],
            &["cannot read /", "readable file"],
        ),
        (
            &["publish", "a/t", "x", "--record", "/"],
            &["cannot write /", "can be written"],
        ),
        (
            &["publish", "a/t", "x", "--config", &unreadable],
            &[&unreadable, "readable file"],
        ),
        (
            &["publish", "a/t", "x", "--config", latin1],
            &[latin1, "UTF-8"],
        ),
        (
            &["publish", "a/t", "x", "--config", wrong],
            &[wrong, ":4:", "linger.ms", "0 to 900000"],
        ),
        (
            &["publish", "a/t", "x", "--header", "h"],
            &["--header", "NAME=VALUE"],
        ),
        (
            &["publish", "a/t", "x", "--partition", "-1"],
            &["--partition", "0..="],
        ),
        (&["publish", "a/t", "--null"], &["--key"]),
        (
            &["broker", "--listen", "9092"],
            &["9092", "no address", "127.0.0.1:9092"],
        ),
        (
            &["broker", "--listen", "0.0.0.0:9092"],
            &["cannot connect to it", "this machine's"],
        ),
        (
            &["broker", "--profile", "kafka-9"],
            &["no profile \"kafka-9\"", "kafka-4.4", "kafka-0.11"],
        ),
        (
            &["broker", "--partitions", "0"],
            &["--partitions", "1..=1000"],
        ),
        (&["broker", "--retain", "1X"], &["--retain", "K, M or G"]),
        (&["demo", "faster"], &["faster"]),
        (
            &["publish", "a/t", "x", "--file", "y"],
            &["cannot be used with"],
        ),
        (&["publish", "a/t", "--param", "a=1"], &["--event"]),
        (
            &[
                "publish", "a/t", "--event", "E", "--param", "a=1", "--param", "b",
            ],
            &["NAME=VALUE"],
        ),
        (
            &["publish", "a/t", "x", "--report", "xml"],
            &["none, errors, json"],
        ),
        (
            &["publish", "a/t", "--key-separator", ""],
            &["--key-separator", "one character"],
        ),
        (
            &["bench", "--compression", "brotli"],
            &["compression.codec", "gzip, snappy, lz4"],
        ),
        (
            &["bench", "--idempotence", "1"],
            &["--idempotence 1", "give --idempotence 0"],
        ),
        (&["bench", "--messages", "0"], &["--messages", "0"]),
        (
            &["bench", "--messages", MOST],
            &["--messages", "1..=1000000000"],
        ),
        (&["bench", "--warmup", MOST], &["--warmup", "..=1000000000"]),
        (&["bench", "--threads", MOST], &["--threads", "1..=1000"]),
        (&["bench", "--size", MOST], &["--size", "1..=1000000000"]),
        (
            &["bench", "--linger-ms", "x"],
            &["linger.ms", "0 to 900000"],
        ),
        (
            &["bench", "--topic", "a b"],
            &["topic", "choose another name"],
        ),
        (
            &["bench", "--payload", short],
            &[short, "100 bytes", "--size"],
        ),
    ];
    for (arguments, words) in cases {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert_eq!(
            ended.stderr.lines().count(),
            1,
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(
            ended.stderr.starts_with("event-kafka: "),
            "{arguments:?}: {}",
            ended.stderr
        );
        for word in *words {
            assert!(
                ended.stderr.contains(word),
                "{arguments:?}: no {word:?} in {}",
                ended.stderr
            );
        }
    }
}

#[test]
fn values_of_unknown_properties_are_not_shown() {
    let ended = run(&["publish", "a/t?g.sasl.password=hunter2", "x"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("g.sasl.password"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn help_and_version_are_no_mistakes() {
    for arguments in [
        &["--help"][..],
        &["publish", "--help"],
        &["bench", "-h"],
        &["--version"],
    ] {
        let ended = run(arguments);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
        assert!(
            ended.stdout.contains("event-kafka"),
            "{arguments:?}: {}",
            ended.stdout
        );
    }
}

#[test]
fn a_message_that_times_out_is_named_and_exits_1() {
    let (_listener, address) = silent_broker();
    let socket = format!("{address}/t?t.message.timeout.ms=200");
    let ended = run(&["publish", &socket, "x"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("message 0 failed: "),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("no metadata"), "{}", ended.stderr);
}

#[test]
fn a_failed_message_is_a_line_of_json_if_asked_for() {
    let (_listener, address) = silent_broker();
    let socket = format!("{address}/t?t.message.timeout.ms=200");
    let ended = run(&["publish", &socket, "x", "--report", "json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let head = r#"{"n":0,"status":"failed","topic":"t","error":{"code":-192,"name":"_MSG_TIMED_OUT","text":""#;
    let tail = "\",\"where\":\"no metadata\",\"attempts\":0,\"persisted\":\"no\"}}\n";
    assert!(
        ended.stdout.starts_with(head) && ended.stdout.ends_with(tail),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("1 of 1 messages failed"),
        "{}",
        ended.stderr
    );
}

#[test]
fn without_reports_failures_are_counted() {
    let (_listener, address) = silent_broker();
    let socket = format!("{address}/t?t.message.timeout.ms=200");
    let ended = run(&["publish", &socket, "x", "y", "--report", "none"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
    assert!(
        ended.stderr.contains("2 of 2 messages failed"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_message_that_can_never_fit_the_queue_does_not_wait_for_ever() {
    let (_listener, address) = silent_broker();
    let socket = format!("{address}/t?g.queue.buffering.max.kbytes=1");
    let ended = run(&["publish", &socket, &"x".repeat(5000)]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("queue.buffering.max.kbytes"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_line_without_the_separator_is_refused_and_the_rest_goes_on() {
    let (_listener, address) = silent_broker();
    let socket = format!("{address}/t?t.message.timeout.ms=200");
    let arguments = [
        "publish",
        &socket,
        "--key-separator",
        "|",
        "--report",
        "json",
    ];
    let ended = run_with_input(&arguments, b"k|v\nnone\nk|w\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let mut reports = ended.reports();
    reports.sort_by_key(|report| report["n"].as_u64());
    let names: Vec<_> = reports
        .iter()
        .map(|report| &report["error"]["name"])
        .collect();
    assert_eq!(names, ["_MSG_TIMED_OUT", "_INVALID_ARG", "_MSG_TIMED_OUT"]);
    assert_eq!(reports[1]["error"]["where"], json!("not accepted"));
}

#[test]
fn a_bench_whose_first_event_fails_exits_1_in_every_mode() {
    let (_listener, address) = silent_broker();
    let arguments = [
        "bench",
        "--bootstrap",
        &address,
        "--messages",
        "1",
        "--size",
    ];
    let too_large = ["2000000", "--warmup", "0", "--seconds", "0", "--mode"];
    for mode in ["run", "idle", "queued"] {
        let ended = run(&[&arguments[..], &too_large, &[mode]].concat());
        assert_eq!(ended.code, Some(1), "{mode}: {ended:?}");
        assert_eq!(ended.reports()[0]["mode"], mode);
        assert!(
            ended.stderr.contains("the first failure: "),
            "{mode}: {}",
            ended.stderr
        );
    }
}

/// A run with one message that waits for a silent broker, and handlers in place: the reports of
/// messages that are refused, before and after it, have come.
fn with_one_message_waiting(broker: &str) -> (Running, ChildStdin, BufReader<ChildStdout>) {
    let socket = &format!("{broker}/t?g.message.max.bytes=1000");
    let mut running = Running::start(&["publish", socket, "--report", "json"]);
    let mut stdin = running.stdin();
    let too_large = "x".repeat(2000);
    write!(stdin, "{too_large}\nwaits\n{too_large}\n").expect("it reads");
    let mut stdout = running.stdout();
    for n in [0, 2] {
        let line = next_line(&mut stdout);
        assert!(
            line.starts_with(&format!("{{\"n\":{n},\"status\":\"failed\"")),
            "{line}"
        );
        assert!(line.contains("MSG_SIZE_TOO_LARGE"), "{line}");
    }
    (running, stdin, stdout)
}

#[test]
fn an_interrupt_says_what_was_not_delivered_and_exits_130() {
    let (_listener, address) = silent_broker();
    let (running, _stdin, _stdout) = with_one_message_waiting(&address);
    running.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        ended.stderr.contains("not delivered: 1 to t (no metadata"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let (_listener, address) = silent_broker();
    let (mut running, _stdin, _stdout) = with_one_message_waiting(&address);
    let mut stderr = running.stderr();
    running.interrupt();
    let line = next_line(&mut stderr);
    assert!(line.contains("interrupted; 5 s more"), "{line}");
    running.interrupt();
    assert_eq!(running.end().code, Some(130));
    assert_eq!(next_line(&mut stderr), "", "it said nothing more");
}
