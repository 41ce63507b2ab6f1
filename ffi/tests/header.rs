//! The committed header is the one that the crate's source makes, and C and C++ understand it.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use cbindgen::{Builder, Config, Language, Style};

/// In the order in which a reader wants to meet what they export.
const SOURCES: [&str; 10] = [
    "version.rs",
    "codes.rs",
    "producer.rs",
    "publish.rs",
    "reports.rs",
    "counters.rs",
    "log.rs",
    "area.rs",
    "event.rs",
    "worker.rs",
];

const NAMES: [(&str, &str); 20] = [
    ("ProducerHandle", "event_kafka_producer_t"),
    ("TopicHandle", "event_kafka_topic_t"),
    ("Property", "event_kafka_property_t"),
    ("MessageHeader", "event_kafka_header_t"),
    ("Message", "event_kafka_message_t"),
    ("DeliveryReport", "event_kafka_report_t"),
    ("Counters", "event_kafka_counters_t"),
    ("LogLine", "event_kafka_log_line_t"),
    ("AreaHandle", "event_kafka_area_t"),
    ("SocketHandle", "event_kafka_socket_t"),
    ("AreaSizes", "event_kafka_area_sizes_t"),
    ("LaneReport", "event_kafka_lane_report_t"),
    ("SocketStatus", "event_kafka_socket_status_t"),
    ("SocketChange", "event_kafka_socket_change_t"),
    ("AreaOverview", "event_kafka_area_overview_t"),
    ("WriteValue", "event_kafka_write_t"),
    ("EventParam", "event_kafka_param_t"),
    ("Event", "event_kafka_event_t"),
    ("WorkerHandle", "event_kafka_worker_t"),
    ("WorkerCounters", "event_kafka_worker_counters_t"),
];

const INTRODUCTION: &str = "\
/*
 * event_kafka: publishes to Apache Kafka. Made from ffi/src: do not edit.
 *
 * A producer is created from librdkafka's properties or from an OpenSIPS socket, gives topics, and is
 * published to. What became of each message is told by a report, exactly one for every message that
 * was accepted. event_kafka(3) has an example.
 *
 * Every function returns EVENT_KAFKA_OK (0) or another code (but for event_kafka_version()). Where
 * there is a text parameter, a failure is told there, too, in words; it may be NULL, and is left
 * alone on success. text_size counts the bytes of that buffer: 256 are enough for most, and a
 * longer text is cut. Results are written on success only, unless said otherwise. Besides the errors
 * that are listed with it, any function may return EVENT_KAFKA_ERR_FORKED, EVENT_KAFKA_ERR_INTERNAL
 * and, at its first use, EVENT_KAFKA_ERR_SYSTEM.
 *
 * Nothing here calls back, but event_kafka_area_publish_in_place() before it returns, and no handle
 * is an address: a function that is given one that was freed returns EVENT_KAFKA_ERR_BAD_HANDLE.
 *
 * Fork first: in a child of a process that has called one of these functions before, they all return
 * EVENT_KAFKA_ERR_FORKED at once, and the parent goes on undisturbed. Not so event_kafka_version() and
 * the functions of an area, event_kafka_area_...(): with them, processes that a host forks publish
 * through one of their own, the worker, that has the producers. Make the area, fork, attach the worker
 * in one child.
 */
";

#[test]
fn the_committed_header_is_what_the_source_says() {
    let made = made_header();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("event_kafka.h");
    if std::env::var_os("EVENT_KAFKA_WRITE_HEADER").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == made,
        "event_kafka.h is stale; write it anew with: EVENT_KAFKA_WRITE_HEADER=1 \
         cargo test --package event-kafka-ffi --test header"
    );
}

#[test]
fn the_header_is_c99_c11_and_cpp17() {
    let source = support::scratch("includes_only.c");
    let declares =
        "#include <event_kafka.h>\nextern int unused;\nint unused = EVENT_KAFKA_VERSION;\n";
    fs::write(&source, declares).unwrap();
    for (compiler, standard) in [("gcc", "c99"), ("gcc", "c11"), ("g++", "c++17")] {
        let mut command = Command::new(compiler);
        command
            .arg(format!("-std={standard}"))
            .args("-Wall -Wextra -Wpedantic -Werror -fsyntax-only".split(' '))
            .args(["-I", env!("CARGO_MANIFEST_DIR"), "-x"])
            .arg(if compiler == "gcc" { "c" } else { "c++" })
            .arg(&source);
        support::run(&mut command);
    }
}

#[test]
fn the_manual_and_the_package_are_of_this_version_and_whole() {
    let manual = include_str!("../event_kafka.3");
    let version = env!("CARGO_PKG_VERSION");
    assert!(manual.starts_with(&format!(".TH EVENT_KAFKA 3 \"\" \"event-kafka {version}\"")));
    assert_eq!(support::package_field("Version"), version);
    for function in support::declared_functions() {
        let declaration = format!(" {function}(");
        assert!(manual.contains(&declaration), "the manual lacks {function}");
    }
}

fn made_header() -> String {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        usize_is_size_t: true,
        style: Style::Both,
        line_length: 100,
        include_guard: Some("EVENT_KAFKA_H".to_owned()),
        header: Some(INTRODUCTION.to_owned()),
        after_includes: Some(macros()),
        no_includes: true,
        sys_includes: ["stddef.h", "stdint.h"].map(str::to_owned).to_vec(),
        ..Config::default()
    };
    config.export.rename = NAMES
        .map(|(rust, c)| (rust.to_owned(), c.to_owned()))
        .into();
    config.function.sort_by = None;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let builder = SOURCES
        .iter()
        .fold(Builder::new().with_config(config), |builder, file| {
            builder.with_src(source.join(file))
        });
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

/// What Rust cannot say.
fn macros() -> String {
    let [major, minor, patch] = [
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    ];
    format!(
        "
/* The version of this header; event_kafka_version() is that of the library. */
#define EVENT_KAFKA_VERSION_MAJOR {major}
#define EVENT_KAFKA_VERSION_MINOR {minor}
#define EVENT_KAFKA_VERSION_PATCH {patch}
#define EVENT_KAFKA_VERSION \\
  (EVENT_KAFKA_VERSION_MAJOR << 16 | EVENT_KAFKA_VERSION_MINOR << 8 | EVENT_KAFKA_VERSION_PATCH)

/* What an event_kafka_message_t begins with: nothing in it, any partition, the time of publishing. */
#define EVENT_KAFKA_MESSAGE_INIT \\
  {{ NULL, 0, NULL, 0, NULL, 0, EVENT_KAFKA_TIMESTAMP_NOW, 0, EVENT_KAFKA_PARTITION_ANY }}
"
    )
}
