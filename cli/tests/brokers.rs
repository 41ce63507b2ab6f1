//! The command line against a broker of any kind (`support` says how to name one); what arrived is read
//! back by independent clients.

mod command;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use command::{Running, file, next_line, run, run_with_input};
use kafka_sim::replay::{Recording, replay};
use serde_json::Value;
use support::Needs;

#[test]
fn an_event_arrives_as_opensips_writes_it_and_is_reported_where_it_is() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("event");
    cluster.create_topic(&topic, 3);
    let socket = format!("kafka:{}/{topic}", cluster.bootstrap());

    let ended = run(&[
        "publish",
        &socket,
        "--event",
        "E_PIKE_BLOCKED",
        "--param",
        "ip=127.0.0.1",
        "--param",
        "hits=16",
        "--report",
        "json",
    ]);

    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let [record] = &cluster.read_all(&topic)[..] else {
        panic!("one record is there")
    };
    assert_eq!(
        record.value.as_deref().unwrap(),
        br#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"127.0.0.1","hits":16}}"#
    );
    assert_eq!((&record.key, &record.headers[..]), (&None, &[][..]));
    let report = &ended.reports()[0];
    let head = format!(
        "{{\"n\":0,\"status\":\"delivered\",\"topic\":\"{topic}\",\"partition\":{},\"offset\":{},\
         \"timestamp\":{},\"latency_us\":",
        record.partition, record.offset, record.timestamp
    );
    assert!(
        ended.stdout.starts_with(&head),
        "{} is not {head}",
        ended.stdout
    );
    assert!(report["latency_us"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn the_sockets_key_and_files_are_obeyed_and_key_on_the_command_line_goes_over_it() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("socket");
    cluster.create_topic(&topic, 1);
    let properties = format!("# brokers\nbootstrap.servers = {}\n", cluster.bootstrap());
    let config = file(&format!("{topic}.conf"), properties.as_bytes());
    let wait = file(&format!("{topic}.wait"), b"1\n");
    let socket = format!(
        "kafka:/{topic}?config={}&t.acks=\"all\"&g.linger.ms=@file:{}&key=param:ip",
        config.display(),
        wait.display()
    );
    let event = [
        "--event",
        "E",
        "--param",
        "ip=192.0.2.1",
        "--param",
        "hits=3",
    ];
    for more in [
        &event[..],
        &[&event[..], &["--key", "k"]].concat(),
        &["plain"],
    ] {
        let ended = run(&[&["publish", &*socket], more].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // Whoever publishes no event is told that the key is in vain.
        let is_told = ended.stderr.contains("key= has no effect");
        assert_eq!(is_told, *more == ["plain"], "{}", ended.stderr);
    }
    let records = cluster.read_all(&topic);
    let keys: Vec<_> = records.iter().map(|record| record.key.as_deref()).collect();
    assert_eq!(keys, [Some(&b"192.0.2.1"[..]), Some(b"k"), None]);

    let ended = run(&["bench", &socket, "--messages", "10", "--warmup", "0"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let settings = ended.reports()[0]["settings"].to_string();
    assert!(
        settings.contains("t.acks=all") && settings.contains("config="),
        "{settings}"
    );
    assert_eq!(cluster.read_all(&topic).len(), 13);
}

#[test]
fn the_sockets_headers_payload_and_members_are_obeyed() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("members");
    cluster.create_topic(&topic, 1);
    let socket = format!(
        "kafka:{}/{topic}?header.source=sip&payload=raw&members=id,timestamp,node",
        cluster.bootstrap()
    );
    let event = ["--event", "E", "--param", "n=1", "--header", "by=cli"];
    let ended = run(&[&["publish", &*socket], &event[..]].concat());
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let ended = run(&["publish", &socket, "plain"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for name in ["payload=", "members="] {
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
    }

    let [raised, plain] = &cluster.read_all(&topic)[..] else {
        panic!("two records are there")
    };
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned().into()));
    assert_eq!(
        raised.headers,
        [header("source", "sip"), header("by", "cli")]
    );
    assert_eq!(plain.headers, [header("source", "sip")]);
    assert_eq!(plain.value.as_deref(), Some(&b"plain"[..]));
    let payload: Value = serde_json::from_slice(raised.value.as_deref().unwrap()).unwrap();
    assert_eq!(payload["id"].as_str().unwrap().len(), 32, "{payload}");
    assert!(!payload["node"].as_str().unwrap().is_empty(), "{payload}");
    let apart = raised
        .timestamp
        .abs_diff(payload["timestamp"].as_i64().unwrap());
    assert!(
        apart < 60_000,
        "{payload} has the time of {}",
        raised.timestamp
    );
}

#[test]
fn keyed_lines_arrive_once_in_order_where_librdkafka_puts_them() {
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    let (ours, theirs) = (
        support::unique_name("lines"),
        support::unique_name("lines-kcat"),
    );
    cluster.create_topic(&ours, 6);
    cluster.create_topic(&theirs, 6);
    let lines: String = (0..5000)
        .map(|n| format!("call-{}|{n}\n", n % 97))
        .collect();
    let path = file(&ours, lines.as_bytes());

    let socket = format!("{}/{ours}?t.acks=all", cluster.bootstrap());
    let path = path.to_str().unwrap();
    let ended = run(&[
        "publish",
        &socket,
        "--file",
        path,
        "--key-separator",
        "|",
        "--report",
        "json",
    ]);
    cluster.kcat_with_input(&["-P", "-t", &theirs, "-K", "|"], &lines);

    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let (ours, theirs) = (cluster.read_all(&ours), cluster.read_all(&theirs));
    let placed = |records: &[support::Record]| -> Vec<(i32, String)> {
        let line = |r: &support::Record| format!("{}|{}", text(&r.key), text(&r.value));
        records
            .iter()
            .map(|record| (record.partition, line(record)))
            .collect()
    };
    assert_eq!(
        placed(&ours),
        placed(&theirs),
        "same records, same partitions, same order"
    );

    let reported: BTreeSet<_> = ended.reports().iter().map(place_and_number).collect();
    let expected: BTreeSet<_> = ours
        .iter()
        .map(|record| {
            (
                record.partition,
                record.offset,
                text(&record.value).parse().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        reported, expected,
        "every report names the place of its record"
    );
}

#[test]
fn a_message_that_is_too_large_fails_alone() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("large");
    cluster.create_topic(&topic, 1);
    let socket = format!("{}/{topic}?g.message.max.bytes=1000", cluster.bootstrap());

    let long = "x".repeat(100_000);
    // A line may be too long already, or only with its batch around it.
    let lines = ["first", &long[..990], &long[..1001], &long, "last"].join("\n");
    let ended = run_with_input(&["publish", &socket], lines.as_bytes());

    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(told.len(), 3, "{}", ended.stderr);
    for (line, n) in told.iter().zip(1..) {
        for word in [&format!("message {n} failed"), "message.max.bytes", "1000"] {
            assert!(line.contains(word), "{line}");
        }
    }
    let values: Vec<_> = cluster
        .read_all(&topic)
        .iter()
        .map(|record| text(&record.value))
        .collect();
    assert_eq!(values, ["first", "last"]);
}

#[test]
fn key_headers_partition_and_tombstone_arrive() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("envelope");
    cluster.create_topic(&topic, 4);
    let socket = format!("{}/{topic}", cluster.bootstrap());

    let envelope = [
        "--key",
        "k",
        "--header",
        "a=1",
        "--header",
        "empty=",
        "--partition",
        "2",
    ];
    let full = run(&[&["publish", &socket, "body"][..], &envelope].concat());
    let tombstone = run(&[
        "publish",
        &socket,
        "--null",
        "--key",
        "k",
        "--partition",
        "2",
    ]);

    assert_eq!(
        (full.code, tombstone.code),
        (Some(0), Some(0)),
        "{full:?} {tombstone:?}"
    );
    let [record, dead] = &cluster.read_all(&topic)[..] else {
        panic!("two records are there")
    };
    assert_eq!((record.partition, dead.partition), (2, 2));
    assert_eq!(
        (text(&record.key), text(&record.value)),
        ("k".into(), "body".into())
    );
    assert_eq!(
        record.headers,
        [
            ("a".to_owned(), Some("1".into())),
            ("empty".to_owned(), Some("".into()))
        ]
    );
    assert_eq!((text(&dead.key), &dead.value), ("k".into(), &None));
}

#[test]
fn lines_are_bytes_and_only_the_line_feed_is_taken_off() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("bytes");
    cluster.create_topic(&topic, 1);
    let socket = format!("{}/{topic}", cluster.bootstrap());

    let ended = run_with_input(&["publish", &socket], b"a\r\n\n\xff\0b");

    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let records = cluster.read_all(&topic);
    let values: Vec<_> = records
        .iter()
        .map(|record| record.value.as_deref().unwrap())
        .collect();
    assert_eq!(values, [&b"a\r"[..], b"", b"\xff\0b"]);
}

#[test]
fn a_full_queue_waits_and_drops_nothing() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("full");
    cluster.create_topic(&topic, 1);
    let limits = "g.queue.buffering.max.messages=3&g.linger.ms=0";
    let socket = format!("{}/{topic}?{limits}", cluster.bootstrap());

    let lines: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    for report in ["none", "errors", "json"] {
        let arguments = ["publish", &socket, "--report", report];
        let ended = run_with_input(&arguments, lines.join("\n").as_bytes());
        assert_eq!(
            (ended.code, &*ended.stderr),
            (Some(0), ""),
            "--report {report}"
        );
    }

    let values: Vec<_> = cluster
        .read_all(&topic)
        .iter()
        .map(|record| text(&record.value))
        .collect();
    assert_eq!(values, [&lines[..], &lines, &lines].concat());
}

#[test]
fn a_reader_of_reports_that_leaves_costs_no_message() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("reader");
    cluster.create_topic(&topic, 1);
    let socket = format!("{}/{topic}", cluster.bootstrap());
    let mut running = Running::start(&["publish", &socket, "--report", "json"]);
    let (mut stdin, mut stdout) = (running.stdin(), running.stdout());

    writeln!(stdin, "first").unwrap();
    assert!(next_line(&mut stdout).contains("delivered"));
    drop(stdout);
    for n in 0..1000 {
        writeln!(stdin, "{n}").unwrap();
    }
    drop(stdin);

    let ended = running.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(cluster.read_all(&topic).len(), 1001);
}

#[test]
fn an_interrupt_while_waiting_for_input_ends_well() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("interrupt");
    cluster.create_topic(&topic, 1);
    // What lingers is sent before the end.
    let socket = format!(
        "{}/{topic}?g.linger.ms=600000&t.message.timeout.ms=0",
        cluster.bootstrap()
    );
    let mut running = Running::start(&["publish", &socket, "--report", "json", "--partition", "0"]);
    let (mut stdin, mut stdout) = (running.stdin(), running.stdout());

    let too_large = "x".repeat(1_100_000);
    write!(stdin, "lingers\n{too_large}\n").unwrap();
    assert!(
        next_line(&mut stdout).contains("MSG_SIZE_TOO_LARGE"),
        "the line before is accepted"
    );
    running.interrupt();

    assert!(next_line(&mut stdout).contains("\"n\":0,\"status\":\"delivered\""));
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(!ended.stderr.contains("not delivered"), "{}", ended.stderr);
    assert_eq!(cluster.read_all(&topic).len(), 1);
}

#[test]
fn brokers_may_come_from_a_file_and_the_socket_goes_over_it() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("config");
    cluster.create_topic(&topic, 1);
    let text = format!(
        "# test\nbootstrap.servers = {}\nmessage.max.bytes=1000\n",
        cluster.bootstrap()
    );
    let path = file(&topic, text.as_bytes());
    let config = ["--config", path.to_str().unwrap()];
    let large = "x".repeat(2000);

    let of_the_file = format!("/{topic}");
    let refused = run(&[&["publish", &of_the_file, &large, "small"][..], &config].concat());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let over_it = format!("/{topic}?g.message.max.bytes=10000");
    let accepted = run(&[&["publish", &over_it, &large][..], &config].concat());
    assert_eq!((accepted.code, &*accepted.stderr), (Some(0), ""));
    assert_eq!(cluster.read_all(&topic).len(), 2);
}

#[test]
fn brokers_that_come_later_get_every_line() {
    let Some(mut cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("later");
    cluster.create_topic(&topic, 2);
    cluster.kill_all();
    // The queue is full for as long as the brokers are away.
    let socket = format!(
        "{}/{topic}?g.queue.buffering.max.messages=100",
        cluster.bootstrap()
    );
    let mut running = Running::start(&["publish", &socket, "--report", "json"]);
    let mut stdin = running.stdin();
    for n in 0..500 {
        writeln!(stdin, "{n}").unwrap();
    }
    drop(stdin);

    cluster.restart_all();
    let ended = running.end();

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let numbers: BTreeMap<u64, usize> =
        ended.reports().iter().fold(BTreeMap::new(), |mut all, r| {
            *all.entry(r["n"].as_u64().unwrap()).or_default() += 1;
            all
        });
    assert_eq!(
        numbers,
        (0..500).map(|n| (n, 1)).collect(),
        "one report each"
    );
    let arrived: BTreeSet<_> = cluster
        .read_all(&topic)
        .iter()
        .map(|record| text(&record.value))
        .collect();
    assert_eq!(arrived.len(), 500);
}

#[test]
fn a_topic_that_nobody_creates_fails_with_the_remedy() {
    let Some(cluster) = support::private_cluster(Needs::ANY.auto_create(false)) else {
        return;
    };
    let soon = "g.topic.metadata.propagation.max.ms=500";
    let socket = format!("{}/nobody-made-it?{soon}", cluster.bootstrap());

    let ended = run(&["publish", &socket, "x"]);

    assert_eq!(ended.code, Some(1), "{ended:?}");
    for word in ["message 0 failed", "no such topic; create it"] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn bench_prints_the_keys_of_its_mode() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("bench");
    cluster.create_topic(&topic, 2);
    let payload = file(&topic, &[b'x'; 1000]);
    let common = [
        "bench",
        "--bootstrap",
        cluster.bootstrap(),
        "--topic",
        &topic,
        "--messages",
        "3000",
        "--size",
        "100",
        "--acks",
        "-1",
        "--linger-ms",
        "0",
        "--compression",
        "none",
        "--idempotence",
        "0",
        "--key",
        "10",
        "--rate",
        "0",
        "--threads",
        "2",
        "--warmup",
        "500",
        "--tune",
        "tuned",
        "--seconds",
        "0.1",
        "--copy",
        "1",
        "--payload",
    ];
    let cases = [
        (
            "run",
            "cpu_ns_per_msg cpu_percent cpu_sys_s cpu_user_s delivered delivery_p50_us \
             delivery_p999_us delivery_p99_us failed first_delivery_unix_ns max_rss_kb mb_per_s \
             messages mode msgs_per_s peer produce_p50_ns produce_p999_ns produce_p99_ns settings \
             version voluntary_switches wall_s warmup",
        ),
        (
            "idle",
            "idle_cpu_ms idle_s idle_switches max_rss_kb mode peer settings version",
        ),
        (
            "queued",
            "mode peer produce_p50_ns produce_p999_ns produce_p99_ns queued rss_after_kb \
             rss_before_kb rss_bytes_per_msg settings version",
        ),
    ];
    for (mode, keys) in cases {
        let rest = [payload.to_str().unwrap(), "--mode", mode];
        let ended = run(&[&common[..], &rest].concat());
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{mode}");
        let [result] = &ended.reports()[..] else {
            panic!("one line: {}", ended.stdout)
        };
        let names: BTreeSet<_> = result
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(names, keys.split_whitespace().collect(), "{mode}");
        assert_eq!(result["mode"], mode);
        if mode == "run" {
            assert_eq!(
                (&result["delivered"], &result["failed"]),
                (&3000.into(), &0.into())
            );
            let records = cluster.read_all(&topic);
            assert_eq!(
                records.len(),
                3500,
                "warm-up and measured events are in the log"
            );
            let keys: BTreeSet<_> = records.iter().map(|record| text(&record.key)).collect();
            assert_eq!(keys.len(), 10);
        }
    }
}

fn text(bytes: &Option<bytes::Bytes>) -> String {
    String::from_utf8_lossy(bytes.as_deref().expect("not null")).into_owned()
}

fn place_and_number(report: &Value) -> (i32, i64, u64) {
    let number = |name: &str| {
        report[name]
            .as_i64()
            .unwrap_or_else(|| panic!("{name}: {report}"))
    };
    (
        number("partition") as i32,
        number("offset"),
        number("n") as u64,
    )
}

#[test]
fn a_recorded_run_with_a_killed_broker_is_replayed_with_the_reports_that_it_had() {
    let Some(mut cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("record");
    cluster.create_topic(&topic, 3);
    let recording = file(&format!("{topic}.recording"), b"");
    let socket = format!(
        "{}/{topic}?g.enable.idempotence=true&g.compression.codec=zstd&g.linger.ms=1",
        cluster.bootstrap()
    );
    let mut running = Running::start(&[
        "publish",
        &socket,
        "--report",
        "json",
        "--record",
        recording.to_str().unwrap(),
    ]);
    let (mut stdin, mut stdout) = (running.stdin(), running.stdout());
    let mut reports: Vec<Value> = Vec::new();
    let mut publish = |count: usize| stdin.write_all("SIP/2.0 200 OK\n".repeat(count).as_bytes());
    let mut take = |count: usize| {
        for _ in 0..count {
            reports.push(serde_json::from_str(&next_line(&mut stdout)).unwrap());
        }
    };
    publish(500).unwrap();
    take(500);
    let leader = cluster.leaders(&topic)[&0];
    cluster.kill(leader);
    publish(500).unwrap();
    cluster.restart(leader);
    take(500);
    drop(stdin);
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let file = std::fs::read(&recording).unwrap();
    let replayed = replay(&Recording::read(&file).unwrap()).unwrap();
    assert_eq!(replayed.replay.divergence, None);
    let places = replayed.reports.iter().map(|report| {
        let delivered = report.outcome.as_ref().unwrap();
        let place = (i64::from(delivered.partition), delivered.offset.unwrap());
        (report.opaque, place)
    });
    let number = |report: &Value, name: &str| report[name].as_i64().unwrap();
    let told = reports.iter().map(|report| {
        let place = (number(report, "partition"), number(report, "offset"));
        (report["n"].as_u64().unwrap(), place)
    });
    let (places, told): (Vec<_>, Vec<_>) = (places.collect(), told.collect());
    assert_eq!(told.len(), 1000);
    assert_eq!(places, told, "in this order, too");
}
