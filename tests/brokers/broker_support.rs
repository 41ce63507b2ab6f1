//! The tests' own broker and reader, checked against kcat.

use std::net::TcpStream;
use std::path::Path;

use crate::support::{self, Needs};

#[test]
fn records_written_by_kcat_are_read_back_whole() {
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    let topic = support::unique_name("support-whole");
    cluster.create_topic(&topic, 1);

    cluster.kcat_with_input(
        &["-P", "-t", &topic, "-k", "caller", "-H", "h=1"],
        "first\nsecond\n",
    );

    let records = cluster.read_all(&topic);
    let values: Vec<_> = records
        .iter()
        .map(|record| record.value.as_deref().unwrap())
        .collect();
    assert_eq!(values, [b"first".as_slice(), b"second"]);
    assert_eq!(
        records
            .iter()
            .map(|record| record.offset)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    let first = &records[0];
    assert_eq!(first.key.as_deref(), Some(b"caller".as_slice()));
    assert_eq!(first.headers, [("h".to_owned(), Some("1".into()))]);
    assert!(first.timestamp > 1_700_000_000_000, "{}", first.timestamp);
}

#[test]
fn every_partition_is_read_to_its_end() {
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    let topic = support::unique_name("support-partitions");
    cluster.create_topic(&topic, 5);
    let lines: String = (0..1000).map(|n| format!("key{n}:{n}\n")).collect();

    cluster.kcat_with_input(&["-P", "-t", &topic, "-K", ":"], &lines);

    let records = cluster.read_all(&topic);
    let ends = cluster.end_offsets(&topic);
    assert_eq!(records.len(), 1000);
    assert_eq!(ends.len(), 5);
    assert_eq!(ends.values().sum::<i64>(), 1000);
    let by_kcat = cluster.kcat(&["-C", "-t", &topic, "-e", "-q", "-f", "%p %o %s\n"]);
    let mut by_kcat: Vec<_> = by_kcat.lines().map(str::to_owned).collect();
    let mut by_us: Vec<_> = records.iter().map(line).collect();
    by_kcat.sort();
    by_us.sort();
    assert_eq!(by_us, by_kcat);
}

#[test]
fn more_bytes_than_one_fetch_carries_are_read_whole() {
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    let topic = support::unique_name("support-large");
    cluster.create_topic(&topic, 1);
    let line = "x".repeat(100_000);
    let lines = format!("{line}\n").repeat(60);

    cluster.kcat_with_input(&["-P", "-t", &topic], &lines);

    let records = cluster.read_all(&topic);
    assert_eq!(records.len(), 60);
    assert!(
        records
            .iter()
            .all(|record| record.value.as_deref() == Some(line.as_bytes()))
    );
}

#[test]
fn a_deleted_topic_can_be_created_again_empty() {
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    let topic = support::unique_name("support-deleted");
    cluster.create_topic(&topic, 2);
    cluster.kcat_with_input(&["-P", "-t", &topic], "gone\n");

    cluster.delete_topic(&topic);
    cluster.create_topic(&topic, 3);

    assert_eq!(
        cluster
            .end_offsets(&topic)
            .into_values()
            .collect::<Vec<_>>(),
        [0, 0, 0]
    );
}

#[test]
fn a_moved_leader_is_another_one() {
    let Some(cluster) = support::cluster(Needs::nodes(3)) else {
        return;
    };
    let topic = support::unique_name("support-leader");
    cluster.create_topic(&topic, 1);
    let before = cluster.leaders(&topic)[&0];
    let after = cluster.move_leader(&topic, 0);
    assert_ne!(before, after);
    assert_eq!(cluster.leaders(&topic)[&0], after);
}

#[test]
fn a_private_cluster_keeps_its_records_over_stops_and_kills_and_leaves_nothing() {
    let Some(mut cluster) = support::private_cluster(Needs::ANY.kcat()) else {
        return;
    };
    let topic = support::unique_name("support-restart");
    cluster.create_topic(&topic, 1);
    cluster.kcat_with_input(&["-P", "-t", &topic], "before\n");

    let node = cluster.leaders(&topic)[&0];
    let process = cluster.process_ids();
    cluster.stop(node);
    cluster.restart(node);
    assert!(process.is_empty() || process != cluster.process_ids());
    cluster.kcat_with_input(&["-P", "-t", &topic], "between\n");
    cluster.kill_all();
    assert!(cluster.process_ids().is_empty());
    cluster.restart_all();

    let records = cluster.read_all(&topic).into_iter();
    let values: Vec<_> = records.map(|record| record.value.unwrap()).collect();
    assert_eq!(values, ["before", "between"]);

    let processes = cluster.process_ids().into_iter();
    let processes: Vec<_> = processes
        .map(|id| Path::new("/proc").join(id.to_string()))
        .collect();
    assert!(processes.iter().all(|process| process.exists()));
    let address = cluster.bootstrap().to_owned();
    drop(cluster);
    assert!(!processes.iter().any(|process| process.exists()));
    for address in address.split(',') {
        assert!(TcpStream::connect(address).is_err(), "{address} answers");
    }
}

fn line(record: &support::Record) -> String {
    let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
    format!("{} {} {value}", record.partition, record.offset)
}
