//! The embedded broker, as somebody who tries things out meets it.

mod command;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{ChildStdout, Command};

use command::{Ended, Running, next_line, run, run_with_input, skip};
use serde_json::Value;

/// A running broker at a port of its own.
struct Broker {
    running: Running,
    stdout: BufReader<ChildStdout>,
    address: String,
    /// What it printed when it was up.
    greeting: Vec<String>,
}

impl Broker {
    fn start(options: &[&str]) -> Self {
        let listen = ["broker", "--listen", "127.0.0.1:0"];
        let mut running = Running::start(&[&listen[..], options].concat());
        let mut stdout = running.stdout();
        let mut greeting = Vec::new();
        while !greeting
            .last()
            .is_some_and(|line: &String| line.contains("Ctrl-C"))
        {
            let line = next_line(&mut stdout);
            assert!(!line.is_empty(), "it ended: {:?}", running.end());
            greeting.push(line);
        }
        let address = greeting[0].split(' ').find_map(|word| {
            let address = word.trim_end_matches(['.', ',']);
            address
                .starts_with("127.0.0.1:")
                .then(|| address.to_owned())
        });
        Self {
            running,
            stdout,
            address: address.expect("it says where it is"),
            greeting,
        }
    }

    /// The command of the greeting that begins with this word.
    fn advice(&self, word: &str) -> Vec<String> {
        let lines = self.greeting.iter();
        let mut commands = lines.filter_map(|line| line.trim().strip_prefix(word));
        let command = commands.next().expect("it gives advice");
        command.split_whitespace().map(str::to_owned).collect()
    }

    fn publish(&self, topic: &str, lines: &str) {
        let socket = format!("{}/{topic}", self.address);
        let ended = run_with_input(&["publish", &socket], lines.as_bytes());
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    }

    /// Ctrl-C; returns the table that it printed then.
    fn interrupt(self) -> (Vec<Vec<String>>, Ended) {
        self.running.interrupt();
        let summary = self.stdout.lines().map(|line| line.expect("it is text"));
        let rows = summary.filter(|line| !line.is_empty()).map(|line| {
            let cells = line.split_whitespace();
            cells.map(str::to_owned).collect()
        });
        (rows.collect(), self.running.end())
    }
}

/// What kcat prints. `None` after saying that the test is skipped, without kcat.
fn kcat(arguments: &[&str]) -> Option<String> {
    match Command::new("kcat").args(arguments).output() {
        Ok(output) => {
            assert!(output.status.success(), "kcat {arguments:?}: {output:?}");
            Some(String::from_utf8(output.stdout).expect("kcat prints text"))
        }
        Err(_) => {
            skip("kcat is not installed");
            None
        }
    }
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn its_advice_is_good_and_ctrl_c_prints_what_it_holds() {
    let broker = Broker::start(&["--partitions", "3"]);
    let publish = broker.advice("publish");
    let ended = run(&words(&publish[1..]));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    broker.publish("other", "one\ntwo\n");

    let (rows, ended) = broker.interrupt();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(
        rows[0],
        ["TOPIC", "PARTITIONS", "RECORDS", "BYTES", "DROPPED"]
    );
    assert_eq!(rows[1][..3], ["other", "3", "2"]);
    assert_eq!(rows[2][..3], ["sip", "3", "1"]);
    assert!(rows[2][3].parse::<usize>().unwrap() > EVENT.len());
}

#[test]
fn kcat_reads_what_was_published() {
    let broker = Broker::start(&[]);
    let ended = run(&words(&broker.advice("publish")[1..]));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let read = broker.advice("read");
    assert_eq!(read[0], "kcat");
    let Some(records) = kcat(&words(&read[1..])) else {
        return;
    };
    assert_eq!(records.trim_end(), EVENT);
}

#[test]
fn a_consumer_group_is_told_what_to_do_instead() {
    let broker = Broker::start(&[]);
    broker.publish("sip", "one\n");
    let group = ["-b", &broker.address, "-G", "group", "sip"];
    for _ in 0..2 {
        let Ok(kcat) = Running::of("kcat", &group) else {
            return skip("kcat is not installed");
        };
        let ended = kcat.end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("JoinGroup failed"), "{ended:?}");
    }
    let (_, ended) = broker.interrupt();
    let told = &ended.stderr;
    assert_eq!(told.lines().count(), 1, "the log says it once: {told}");
    for words in ["no consumer groups", "assign partitions", "kcat -C"] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn one_that_held_nothing_says_so() {
    let (rows, ended) = Broker::start(&[]).interrupt();
    assert_eq!(ended.code, Some(0));
    assert_eq!(rows, [["It", "held", "nothing."]]);
}

#[test]
fn the_oldest_records_make_room() {
    let broker = Broker::start(&["--partitions", "1", "--retain", "1K"]);
    // They go by whole batches.
    for n in 0..20 {
        broker.publish("sip", &format!("{n:0100}"));
    }
    let (rows, _) = broker.interrupt();
    let [held, dropped] = [2, 4].map(|column| rows[1][column].parse::<u32>().unwrap());
    assert!((1..20).contains(&held), "{rows:?}");
    assert_eq!(held + dropped, 20, "{rows:?}");
}

#[test]
fn several_nodes_lead_partitions() {
    let broker = Broker::start(&["--nodes", "3", "--partitions", "6"]);
    let lines: String = (0..100).map(|n| format!("{n}\n")).collect();
    broker.publish("sip", &lines);

    let Some(metadata) = kcat(&["-b", &broker.address, "-L", "-J", "-t", "sip"]) else {
        return;
    };
    let metadata: Value = serde_json::from_str(&metadata).expect("kcat prints JSON");
    let partitions = metadata["topics"][0]["partitions"].as_array().unwrap();
    let leaders: BTreeSet<_> = partitions.iter().map(|p| p["leader"].as_i64()).collect();
    assert_eq!((partitions.len(), leaders.len()), (6, 3), "{metadata}");
    let (rows, _) = broker.interrupt();
    assert_eq!(rows[1][..3], ["sip", "6", "100"]);
}

#[test]
fn a_port_that_is_taken_is_one_line_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&["broker", "--listen", &address]);
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for words in [&*address, "end the broker that runs there", "--listen"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

/// What the advice publishes.
const EVENT: &str = r#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"192.0.2.1"}}"#;
