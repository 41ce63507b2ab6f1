//! The OpenSIPS module in `opensips/testhost`, a host of our own: what it does for scripts, events
//! and reports, and what a broker holds after that.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kafka_mock::{ApiKey, Cluster, Fault, Record, ResponseError, Rule};

use support::{libraries, run, scratch};

#[test]
fn a_message_needs_neither_key_nor_route() {
    let cluster = after("without_key_and_route");
    let all: Vec<_> = records(&cluster, "published")
        .iter()
        .map(|record| (text(&record.key), text(&record.value)))
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        all,
        [
            (None, some("alone")),
            (some("call"), some("keyed")),
            (None, some("routed")),
            (some("empty"), some("")),
            (None, some("empty key")),
        ]
    );
    assert_eq!(values(&cluster, "second"), ["elsewhere"]);
}

#[test]
fn a_message_may_have_a_topic_headers_a_partition_or_no_value_and_what_makes_none_is_refused() {
    let cluster = after("with_all_that_a_message_has");
    let header = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let told = |topic: &str| -> Vec<_> {
        let told = |record: &Record| {
            let headers = record.headers.iter();
            let headers = headers.map(|(name, value)| (name.clone(), text(value)));
            (
                text(&record.key),
                text(&record.value),
                headers.collect::<Vec<_>>(),
            )
        };
        records(&cluster, topic).iter().map(told).collect()
    };
    let call = || Some("call".to_owned());
    assert_eq!(
        told("another"),
        [
            (
                call(),
                Some("whole".to_owned()),
                vec![header("first", Some("1")), header("second", Some("-42"))]
            ),
            (
                call(),
                None,
                vec![header("first", None), header("second", None)]
            ),
        ]
    );
    assert_eq!(
        told("published"),
        [(call(), Some(String::new()), vec![]), (None, None, vec![])]
    );
}

#[test]
fn a_header_without_a_value_has_none_and_one_without_a_name_is_none() {
    let cluster = after("headers_without_values");
    let [record] = &records(&cluster, "published")[..] else {
        panic!("one record");
    };
    let headers = record.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (&**name, text(value)))
        .collect();
    let one = Some("1".to_owned());
    assert_eq!(headers, [("first", one), ("second", None)]);
}

#[test]
fn a_message_that_is_refused_later_is_told_with_where_it_was_for() {
    after("no_such_partition");
}

#[test]
fn topics_without_end_are_told_of_and_hinder_no_other_socket() {
    let cluster = after("careless_topics");
    assert_eq!(values(&cluster, "published"), ["living"]);
}

#[test]
fn who_waits_for_room_is_not_refused_before_the_time_is_over() {
    let cluster = after("full_is_waited_for");
    assert_eq!(values(&cluster, "published").len(), 5000);
    after("full_is_not_waited_for_without_end");
}

#[test]
fn ids_have_no_part_in_how_strict_a_socket_is() {
    let cluster = after("lenient_with_ids");
    assert_eq!(values(&cluster, "published"), ["taken"]);
    assert_eq!(values(&cluster, "second"), ["taken"]);
}

#[test]
fn a_report_route_finds_all_in_its_avps_and_leaves_those_of_others() {
    after("reports_have_all");
}

#[test]
fn unknown_names_stop_the_start_or_refuse_the_message() {
    let cluster = after("unknown_names");
    assert_eq!(values(&cluster, "published"), ["known"]);
}

#[test]
fn a_failure_is_told_with_its_code_and_in_words() {
    after("failures_are_told");
}

#[test]
fn what_a_producer_says_is_in_the_log_of_the_host() {
    let (_, log) = after_all("failures_are_told", |_| ());
    // As the host writes its own lines.
    assert!(
        log.contains("] WARNING:127.0.0.1:1: cannot connect"),
        "{log}"
    );
    let (_, log) = after_all("failures_are_told_quietly", |_| ());
    assert!(!log.contains("] WARNING:"), "{log}");
}

#[test]
fn a_report_route_that_is_gone_is_survived() {
    let cluster = after("gone_route_is_survived");
    assert_eq!(values(&cluster, "published").len(), 3);
}

#[test]
fn a_full_queue_refuses_and_every_accepted_message_has_its_report() {
    after("full_is_refused");
}

#[test]
fn only_failures_are_reported_where_that_is_wanted() {
    let cluster = after("only_failures_are_reported");
    assert_eq!(values(&cluster, "published").len(), 100);
    assert_eq!(values(&cluster, "status").len(), 100);
}

#[test]
fn what_was_accepted_before_the_end_is_delivered() {
    let cluster = after("burst_before_the_end");
    let expected: Vec<_> = (0..20_000).map(|number: u32| number.to_string()).collect();
    assert_eq!(values(&cluster, "published"), expected);
}

#[test]
fn what_was_accepted_is_delivered_though_the_end_comes_before_the_worker_begins() {
    let cluster = after("end_before_the_worker_begins");
    assert_eq!(values(&cluster, "published"), ["before the end"]);
}

#[test]
fn what_was_accepted_is_delivered_though_nobody_takes_reports_any_more() {
    let cluster = after("reports_that_nobody_takes");
    assert_eq!(values(&cluster, "published").len(), 20_000);
}

#[test]
fn a_stray_sigterm_does_not_end_the_worker() {
    let cluster = after("stray_sigterm_is_ignored");
    assert_eq!(values(&cluster, "published"), ["after SIGTERM"]);
}

#[test]
fn more_processes_than_there_are_lanes_can_publish_one_after_another() {
    let cluster = after("many_processes");
    assert_eq!(values(&cluster, "published").len(), 200);
}

#[test]
fn a_wrong_broker_id_stops_the_start() {
    after("wrong_broker");
    after("same_id");
}

#[test]
fn sockets_are_as_strict_as_the_module_unless_they_say_so_themselves() {
    let (cluster, log) = after_all("lenient_sockets", |_| ());
    assert_eq!(values(&cluster, "published"), ["taken"]);
    assert_eq!(values(&cluster, "second"), ["taken"]);
    assert!(log.contains("ignored, as strict=0 says"), "{log}");
    after("lenient_but_strict");
}

#[test]
fn a_parameter_out_of_its_bounds_stops_the_start() {
    after("wrong_strictness");
    after("wrong_log_level");
}

#[test]
fn events_are_told_byte_for_byte() {
    let cluster = after("payloads");
    let many: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let many = format!(
        r#"{{"jsonrpc":"2.0","method":"E_MANY","params":[{}]}}"#,
        many.join(",")
    );
    assert_eq!(
        values(&cluster, "events"),
        [
            r#"{"jsonrpc":"2.0","method":"E_C0"}"#,
            r#"{"jsonrpc":"2.0","method":"E_C0","params":["first",42,"third"]}"#,
            r#"{"jsonrpc":"2.0","method":"E_C0","params":{"n1":"q\"uo\\te/ sl","n2":2147483647,"n3":-7}}"#,
            r#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"127.0.0.1"}}"#,
            r#"{"jsonrpc":"2.0","method":"E_C0","params":{"k\"ey":0,"dup":"","dup":"x"}}"#,
            "{\"jsonrpc\":\"2.0\",\"method\":\"E_C0\",\"params\":[\"é€😀\\t\\n\\r\\b\\f\\u0001\\u001f\u{7f}/\"]}",
            "{\"jsonrpc\":\"2.0\",\"method\":\"E_C0\",\"params\":{\"body\":\"inv \u{fffd}\u{fffd} bytes\",\"nul\":\"nul \\u0000 after\"}}",
            r#"{"jsonrpc":"2.0","method":"E_C0","params":{"none":null}}"#,
            &many,
        ]
    );
    let raw = &records(&cluster, "raw")[0];
    let expected = b"{\"jsonrpc\":\"2.0\",\"method\":\"E_C0\",\"params\":{\"body\":\"inv \xff\xfe bytes\",\"nul\":\"nul \"}}";
    assert_eq!(raw.value.as_deref(), Some(&expected[..]));
    assert!(
        records(&cluster, "events")
            .iter()
            .all(|record| record.key.is_none())
    );
}

#[test]
fn the_key_of_an_event_is_what_its_socket_says() {
    let cluster = after("keys");
    let keys: Vec<_> = records(&cluster, "by-call")
        .iter()
        .map(|record| text(&record.key))
        .collect();
    assert_eq!(keys, [Some("call-1@testhost".to_owned()), None, None]);
    let by_param = &records(&cluster, "by-param")[0];
    assert_eq!(by_param.key.as_deref(), Some(&b"192.0.2.1"[..]));
}

#[test]
fn a_renewed_subscription_is_the_same_one() {
    let cluster = after("subscriptions");
    assert_eq!(
        values(&cluster, "renewed"),
        [r#"{"jsonrpc":"2.0","method":"E_AFTER_RENEWALS"}"#]
    );
}

#[test]
fn a_malformed_socket_is_refused_and_does_no_harm() {
    after("malformed_sockets");
}

#[test]
fn who_raises_an_event_is_told_its_outcome() {
    let cluster = after("event_status");
    assert_eq!(values(&cluster, "status").len(), 1);
}

#[test]
fn operators_see_how_sockets_are_and_no_secrets() {
    after("operators_see_all");
}

#[test]
fn what_lingers_goes_where_an_operator_wants_it() {
    let cluster = after("flushed_without_lingering");
    assert_eq!(values(&cluster, "published"), ["lingers", "lingers again"]);
}

#[test]
fn a_socket_that_changes_is_told_as_an_event_and_each_change_once() {
    after("changes_are_told");
}

#[test]
fn what_is_told_of_sockets_by_sockets_does_not_feed_itself() {
    let cluster = after("news_do_not_feed_themselves");
    let told = [values(&cluster, "events"), values(&cluster, "second")].concat();
    // The dead socket is none of their producer's, and nothing else was told by them.
    let of_dead = |value: &&String| value.contains(r#""broker_id":"dead""#);
    assert!(told.iter().filter(of_dead).count() > 0);
    assert_eq!(told.iter().filter(of_dead).count(), told.len());
}

#[test]
fn messages_for_a_cluster_that_is_away_take_no_shared_memory() {
    after("away_for_long");
}

#[test]
fn clusters_that_are_away_from_the_start_have_their_reports() {
    after("dead_from_the_start");
}

#[test]
fn a_cluster_that_is_away_and_whose_queue_is_full_holds_up_no_other() {
    let cluster = after("full_beside_others");
    assert_eq!(values(&cluster, "published").len(), 100);
}

#[test]
fn events_of_a_subscription_that_is_gone_arrive_and_those_who_raised_them_are_told() {
    let cluster = after("left_with_messages");
    assert_eq!(values(&cluster, "events").len(), 100);
    assert_eq!(values(&cluster, "second").len(), 1);
}

#[test]
fn a_subscription_that_goes_while_its_cluster_is_away_holds_up_no_other() {
    after("left_while_away");
}

#[test]
fn all_processes_can_subscribe_and_unsubscribe_at_once() {
    let cluster = after("many_subscribe");
    assert_eq!(values(&cluster, "events").len(), 1);
}

#[test]
fn sockets_that_come_and_go_leave_the_descriptors_of_the_worker_as_they_were() {
    let cluster = after("descriptors");
    assert_eq!(values(&cluster, "events").len(), 20);
}

#[test]
fn no_thread_of_the_worker_is_interrupted_by_a_signal() {
    after("signals_are_blocked");
}

#[test]
fn where_shared_memory_is_short_nothing_is_lost_but_what_is_told() {
    after("memory_is_short");
    after("no_memory_for_routes");
    after("no_memory_for_worker");
    after("no_memory_for_subscriptions");
}

#[test]
fn what_lies_in_lanes_survives_a_worker_that_is_killed() {
    let cluster = after("kill_worker");
    assert_eq!(values(&cluster, "published").len(), 1001);
    assert_eq!(values(&cluster, "events").len(), 1000);
}

#[test]
fn where_no_worker_is_nobody_waits_and_what_finds_no_room_is_refused() {
    after("killed_and_not_replaced");
}

#[test]
fn sequence_numbers_that_a_broker_does_not_expect_lose_nothing() {
    let unexpected = Fault::Error(ResponseError::OutOfOrderSequenceNumber);
    let cluster = after_with("in_doubt", |cluster| {
        cluster.inject(Rule::new(unexpected).api(ApiKey::Produce).times(3));
    });
    let expected: Vec<_> = (0..100).map(|number: u32| number.to_string()).collect();
    assert_eq!(values(&cluster, "published"), expected);
}

#[test]
fn a_producer_that_has_failed_for_good_is_replaced() {
    let forbidden = Fault::Error(ResponseError::ClusterAuthorizationFailed);
    let cluster = after_with("failed_for_good", |cluster| {
        cluster.inject(Rule::new(forbidden).api(ApiKey::InitProducerId).times(1));
    });
    assert_eq!(values(&cluster, "published").last().unwrap(), "later");
    assert_eq!(values(&cluster, "events").len(), 1);
}

/// Runs a case of the host; what has become of its broker.
fn after(case: &str) -> Cluster {
    after_with(case, |_| ())
}

/// As `after`, with a cluster that something was done to.
fn after_with(case: &str, done: impl FnOnce(&Cluster)) -> Cluster {
    let (cluster, _) = after_all(case, done);
    cluster
}

/// And what was in the log.
fn after_all(case: &str, done: impl FnOnce(&Cluster)) -> (Cluster, String) {
    let cluster = Cluster::builder().start().unwrap();
    done(&cluster);
    for topic in [
        "published",
        "second",
        "events",
        "raw",
        "by-call",
        "renewed",
        "status",
    ] {
        // One partition, so that the order is known.
        cluster.create_topic(topic, 1);
    }
    let (host, module) = built();
    let mut command = Command::new(host);
    let output = run(command.arg(module).args([case, &cluster.bootstrap()]));
    (cluster, String::from_utf8(output.stderr).unwrap())
}

fn records(cluster: &Cluster, topic: &str) -> Vec<Record> {
    cluster.records(topic)
}

fn values(cluster: &Cluster, topic: &str) -> Vec<String> {
    let values = records(cluster, topic).into_iter();
    values.filter_map(|record| text(&record.value)).collect()
}

fn text(bytes: &Option<impl AsRef<[u8]>>) -> Option<String> {
    let bytes = bytes.as_ref()?.as_ref();
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

/// The host and the module, with AddressSanitizer watching both.
fn built() -> &'static (PathBuf, PathBuf) {
    static BUILT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| (build_host(), build_module()))
}

/// The core calls all functions of scripts as if they had eight arguments, whatever they have.
const CHECKED: &str = "-std=gnu11 -g -Wall -Wextra -Wno-cast-function-type -Werror -pthread \
                       -fsanitize=address,undefined -fno-sanitize-recover=all";

fn build_host() -> PathBuf {
    let host = scratch("host");
    let folder = module_folder().join("testhost");
    let mut compile = Command::new("gcc");
    compile
        .args(CHECKED.split_whitespace())
        .args(["-rdynamic", "-o"])
        .arg(&host)
        .args(["host.c", "steps.c", "cases.c", "trouble.c"].map(|source| folder.join(source)));
    run(compile.arg("-ldl"));
    host
}

/// As in a tree of OpenSIPS: below `modules/`, where `../../` has the headers of the core, all of
/// which are one here.
fn build_module() -> PathBuf {
    let tree = scratch("tree");
    let folder = tree.join("modules/event_kafka");
    fs::create_dir_all(&folder).unwrap();
    let core = module_folder().join("testhost/core.h");
    let mut sources = Vec::new();
    for entry in fs::read_dir(module_folder()).unwrap() {
        let path = entry.unwrap().path();
        let Some("c" | "h") = path.extension().and_then(|extension| extension.to_str()) else {
            continue;
        };
        let copy = folder.join(path.file_name().unwrap());
        let source = fs::read_to_string(&path).unwrap();
        for header in source.lines().filter_map(core_header) {
            let header = tree.join(header);
            fs::create_dir_all(header.parent().unwrap()).unwrap();
            fs::write(header, format!("#include \"{}\"\n", core.display())).unwrap();
        }
        fs::write(&copy, source).unwrap();
        sources.extend((path.extension().unwrap() == "c").then_some(copy));
    }
    let module = scratch("event_kafka.so");
    let mut compile = Command::new("gcc");
    compile
        .args(CHECKED.split_whitespace())
        .args(["-shared", "-fPIC", "-DKAFKA_OPENSIPS=306", "-I"])
        .args([env!("CARGO_MANIFEST_DIR"), "-o"])
        .arg(&module)
        .args(sources)
        .arg(libraries().join("libevent_kafka.a"))
        .args("-Wl,-Bsymbolic -Wl,--exclude-libs,ALL".split(' '));
    run(compile.args(support::package_field("Libs.private").split_whitespace()));
    module
}

/// The header of the core that a line includes.
fn core_header(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("#include \"../../")?;
    rest.strip_suffix('"')
}

fn module_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../opensips"))
}
