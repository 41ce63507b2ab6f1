//! What stands in the log, read by kcat, which shares nothing with the program under test.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use xtask::{Error, Result};

use super::message;
use crate::command::output;

/// A record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// The message; `None` if it is none of ours.
    pub(super) n: Option<u64>,
}

/// All records of the topic, once all nodes hold all of it.
pub(super) fn whole_topic(
    bootstrap: &str,
    topic: &str,
    partitions: usize,
    nodes: usize,
) -> Result<Vec<Entry>> {
    wait_until_in_sync(bootstrap, topic, partitions, nodes)?;
    let kcat = Error::io("running kcat");
    let mut child = Command::new("kcat")
        .args(["-b", bootstrap, "-C", "-t", topic])
        .args(["-o", "beginning", "-e", "-q", "-f", "%p %o %k %s\n"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(kcat)?;
    let stdout = child.stdout.take().expect("it is a pipe");
    let mut log = Vec::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.map_err(Error::io("reading what kcat prints"))?;
        let line = String::from_utf8_lossy(&line);
        let entry = parse(&line)
            .ok_or_else(|| Error::Failed(format!("kcat printed `{line}`, which is no record")))?;
        log.push(entry);
    }
    let status = child.wait().map_err(Error::io("waiting for kcat"))?;
    if !status.success() {
        return Err(Error::Failed(format!(
            "kcat could not read {topic} ({status})"
        )));
    }
    Ok(log)
}

fn parse(line: &str) -> Option<Entry> {
    let mut parts = line.splitn(4, ' ');
    let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let n = message::recognise(parts.next()?, parts.next()?);
    Some(Entry {
        partition,
        offset,
        n,
    })
}

/// A leader that was elected a moment ago may not know yet how much of its log may be read.
fn wait_until_in_sync(bootstrap: &str, topic: &str, partitions: usize, nodes: usize) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    let deadline = Instant::now() + LIMIT;
    loop {
        let list = output(Command::new("kcat").args(["-b", bootstrap, "-L", "-t", topic]))?;
        if in_sync(&list, nodes) == partitions {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let limit = LIMIT.as_secs();
            return Err(Error::Failed(format!(
                "replicas were not in sync after {limit} s:\n{list}"
            )));
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// How many partitions have so many replicas in sync, in what `kcat -L` prints.
fn in_sync(list: &str, nodes: usize) -> usize {
    let isrs = list.lines().filter_map(|line| line.split_once("isrs: "));
    isrs.filter(|(_, isrs)| isrs.split(',').count() == nodes)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_record_is_read_and_not_recognised() {
        let entry = Entry {
            partition: 3,
            offset: 17,
            n: None,
        };
        assert_eq!(parse("3 17  "), Some(entry), "no key, no value");
        assert_eq!(parse("3 17 key a b c"), Some(entry));
        assert_eq!(parse("% ERROR: no"), None);
    }

    #[test]
    fn partitions_with_all_replicas_in_sync_are_counted() {
        let list = "\
  topic \"chaos\" with 3 partitions:
    partition 0, leader 3, replicas: 3,1,2, isrs: 3,1,2
    partition 1, leader 1, replicas: 1,2,3, isrs: 1,3
    partition 2, leader 1, replicas: 2,3,1, isrs: 1,2,3
";
        assert_eq!(in_sync(list, 3), 2);
    }
}
