//! The C interface, as C sees it: the cases of `abi.c`, and what a broker holds after them.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kafka_mock::{ApiKey, Cluster, Fault, ResponseError, Rule};
use object::elf::DT_SONAME;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol};

use support::{Linked, SONAME, libraries, program, run};

/// How long a case may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn all_cases_hold() {
    let cluster = all_cases(Linked::Dynamically);
    let parts = cluster.records("parts");
    let [few, many, tombstone, empty] = &parts[..] else {
        panic!("four records, not {parts:?}");
    };
    for (record, count) in [(few, 2), (many, 12)] {
        assert_eq!(record.value.as_deref(), Some(&b"bin\0ary"[..]));
        assert_eq!(record.key.as_deref(), Some(&b"call\0id"[..]));
        assert_eq!((record.partition, record.timestamp), (2, 1_700_000_000_123));
        let mut headers = vec![("name".to_owned(), Some("va\0lue".into())); count];
        headers[0].1 = None;
        headers[1].1 = Some("".into());
        assert_eq!(record.headers, headers);
    }
    assert_eq!(
        (&tombstone.value, tombstone.key.as_deref()),
        (&None, Some(&b"call"[..]))
    );
    let nothing = Some(&b""[..]);
    assert_eq!(
        (empty.value.as_deref(), empty.key.as_deref()),
        (nothing, nothing)
    );
    assert_eq!(cluster.records("threads").len(), 20_000);
}

#[test]
fn all_cases_hold_under_address_sanitizer() {
    all_cases(Linked::Sanitized);
}

#[test]
fn a_producer_that_is_fenced_says_so() {
    for case in [
        "a_fatal_error_is_shown",
        "a_fatal_error_of_a_socket_is_shown",
    ] {
        let cluster = Cluster::start().unwrap();
        let fenced = Fault::Error(ResponseError::ProducerFenced);
        cluster.inject(Rule::new(fenced).api(ApiKey::Produce).times(1));
        run(program("tests/abi.c", Linked::Sanitized).args([case, &cluster.bootstrap()]));
    }
}

#[test]
fn the_example_delivers_its_events_however_it_is_linked() {
    for linked in [Linked::Dynamically, Linked::Statically, Linked::Sanitized] {
        let cluster = Cluster::start().unwrap();
        let mut example = program("examples/publish.c", linked);
        let socket = format!("kafka:{}/sip-events?t.acks=all", cluster.bootstrap());
        let said = run(example.args([&socket, "INVITE", "BYE"]));
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(
            said.contains("2 accepted = 2 delivered + 0 failed + 0 held"),
            "{said}"
        );
        let mut values: Vec<_> = cluster
            .records("sip-events")
            .into_iter()
            .map(|record| record.value.unwrap())
            .collect();
        values.sort();
        assert_eq!(values, ["BYE", "INVITE"]);
    }
}

#[test]
fn the_example_that_forks_tells_each_process_of_its_messages_however_it_is_linked() {
    for linked in [Linked::Dynamically, Linked::Statically, Linked::Sanitized] {
        let cluster = Cluster::start().unwrap();
        let socket = format!("kafka:{}/sip-events", cluster.bootstrap());
        let mut example = program("examples/fork.c", linked);
        let said = run(example.args([&socket, "3", "5"]));
        let said = String::from_utf8(said.stdout).unwrap();
        let reports = said.lines().filter(|line| line.contains(" is at offset "));
        assert_eq!(reports.count(), 15, "{said}");
        assert!(
            said.contains("15 accepted = 15 delivered + 0 failed + 0 held"),
            "{said}"
        );
        let records = cluster.records("sip-events");
        let values = records.iter().map(|record| record.value.clone().unwrap());
        let values: std::collections::BTreeSet<_> = values.collect();
        assert_eq!(values.len(), 15);
    }
}

#[test]
fn the_example_says_what_is_wrong() {
    let mut example = program("examples/publish.c", Linked::Dynamically);
    let output = example.args(["host/a b", "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("only letters, digits"), "{said}");
}

#[test]
fn the_shared_library_exports_the_interface_and_nothing_else() {
    let file = fs::read(libraries().join("libevent_kafka.so")).unwrap();
    let library = object::File::parse(&*file).unwrap();
    let mut exported: Vec<&str> = library
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global())
        .map(|symbol| symbol.name().unwrap())
        .collect();
    exported.sort();
    assert_eq!(exported, support::declared_functions());
}

#[test]
fn the_shared_library_is_known_by_a_name_with_the_number_of_its_interface() {
    let file = fs::read(libraries().join("libevent_kafka.so")).unwrap();
    let library = ElfFile64::<Endianness>::parse(&*file).unwrap();
    let table = library.elf_dynamic_table().unwrap();
    let soname = table.iter().find(|entry| entry.tag == DT_SONAME);
    let soname = soname.expect("it has a soname").string(table.strings());
    assert_eq!(soname.unwrap(), SONAME.as_bytes());
}

/// Runs each case in a process of its own, and panics with all that failed.
fn all_cases(linked: Linked) -> Cluster {
    let cluster = Cluster::start().unwrap();
    let list = run(&mut program("tests/abi.c", linked));
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(!list.is_empty());
    let failed: Vec<String> = list
        .lines()
        .filter_map(|case| {
            let mut command = program("tests/abi.c", linked);
            let log = support::scratch(&format!("{case}-{linked:?}.log"));
            fails(command.args([case, &cluster.bootstrap()]), case, &log)
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    cluster
}

/// How a case fails, if it does.
fn fails(command: &mut Command, case: &str, log: &Path) -> Option<String> {
    let said = fs::File::create(log).unwrap();
    let mut child = command
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.to_string(),
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                child.wait().unwrap();
                break format!("not done within {PATIENCE:?}");
            }
            // The end of a process is told to nobody who wants to wait for so long only.
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let said = fs::read_to_string(log).unwrap();
    (status != "exit status: 0").then(|| format!("{case}: {status}\n{said}"))
}
