//! What the demo shows, and that it is so.

mod command;

use std::collections::BTreeMap;

use command::{Ended, Running, next_line, run};

/// A row of a table: its cells, which are parted by two blanks or more.
type Row = Vec<String>;

fn demo() -> Ended {
    let ended = run(&["demo"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    ended
}

/// The lines of the part whose title begins so.
fn part<'a>(shown: &'a str, title: &str) -> Vec<&'a str> {
    let lines = shown.lines().skip_while(|line| !line.starts_with(title));
    let part: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    assert!(!part.is_empty(), "there is no {title:?} in\n{shown}");
    part
}

/// The rows of a part's table, by their cells under these heads.
fn table<const N: usize>(lines: &[&str], heads: [&str; N]) -> Vec<[String; N]> {
    let cells = |line: &str| -> Row {
        let cells = line.split("  ").map(str::trim);
        cells
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut lines = lines.iter().map(|line| cells(line));
    let all = lines
        .by_ref()
        .find(|row| row.iter().any(|cell| cell == heads[0]));
    let all = all.unwrap_or_else(|| panic!("there is no head {heads:?}"));
    let columns = heads.map(|head| all.iter().position(|cell| cell == head).expect(head));
    lines
        .filter(|row| row.len() == all.len())
        .map(|row| columns.map(|column| row[column].clone()))
        .collect()
}

#[test]
fn every_event_is_shown_with_what_became_of_it() {
    let shown = demo().stdout;
    let raised = table(
        &part(&shown, "1. EVENTS IN"),
        ["#", "EVENT", "KEY (CALL-ID)"],
    );
    let events: BTreeMap<_, _> = raised
        .into_iter()
        .map(|[number, event, key]| (number, (event, key)))
        .collect();
    assert!(events.len() >= 5, "{shown}");

    let records = table(
        &part(&shown, "2. RECORDS OUT"),
        ["#", "KEY", "METHOD", "REPORT", "PARTITION", "OFFSET"],
    );
    assert_eq!(records.len(), events.len(), "{shown}");
    let mut last_of_key = BTreeMap::new();
    for [number, key, method, report, partition, offset] in records {
        assert_eq!(events[&number], (method, key.clone()));
        assert!(report.starts_with("delivered in "), "{report}");
        let place: (i32, i64) = (partition.parse().unwrap(), offset.parse().unwrap());
        let number: u32 = number.parse().unwrap();
        if let Some((before, (its_partition, its_offset))) =
            last_of_key.insert(key, (number, place))
        {
            assert_eq!(place.0, its_partition, "one key, one partition");
            assert!(before < number && its_offset < place.1, "in their order");
        }
    }
    let keys = last_of_key.len();
    assert!(
        (2..events.len()).contains(&keys),
        "some share a key: {shown}"
    );

    let away = table(&part(&shown, "3. THE BROKER GOES AWAY"), ["REPORT"]);
    assert!(!away.is_empty(), "{shown}");
    for [report] in away {
        assert!(report.starts_with("delivered in "), "{report}");
    }
}

#[test]
fn the_failure_is_one_and_explained() {
    let shown = demo().stdout;
    let part = part(&shown, "4. ONE EVENT FAILS");
    let reports = table(&part, ["REPORT"]).concat();
    let [failed, delivered] = &reports[..] else {
        panic!("two events: {reports:?}")
    };
    assert_eq!(failed, "failed");
    assert!(delivered.starts_with("delivered in "), "{delivered}");
    let explanation = part.join("\n");
    for words in [
        "TOPIC_AUTHORIZATION_FAILED (29): ",
        "an ACL must grant it",
        "in flight",
        "attempts: 1",
        "In Kafka?     no",
    ] {
        assert!(
            explanation.contains(words),
            "{words:?} is not in\n{explanation}"
        );
    }
    assert!(shown.contains(" + 1 failed + "), "{shown}");
}

#[test]
fn it_fits_a_terminal_and_a_file() {
    let shown = demo()
        .stdout
        .replace(env!("CARGO_BIN_EXE_event-kafka"), "event-kafka");
    assert!(shown.lines().count() <= 40, "{shown}");
    for line in shown.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(!shown.contains('\x1b'), "a pipe gets no colours");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut running = Running::start(&["demo"]);
    let mut stdout = running.stdout();
    assert!(next_line(&mut stdout).contains("SIP"));
    drop(stdout);
    let ended = running.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn the_readme_shows_what_it_prints() {
    let readme = include_str!("../../README.md");
    let (_, pasted) = readme
        .split_once("$ cargo run --release -- demo\n")
        .expect("the README begins with it");
    let (pasted, _) = pasted.split_once("```").expect("the block ends");
    let program = env!("CARGO_BIN_EXE_event-kafka");
    let shown = demo().stdout.replace(program, "target/release/event-kafka");
    assert_eq!(without_numbers(pasted), without_numbers(&shown));
}

/// Ports, times, and where an event without a key went differ from run to run, and so may the width
/// of a column.
fn without_numbers(text: &str) -> Vec<String> {
    let lines = text.trim_end().lines();
    lines
        .map(|line| {
            let words = line.split_whitespace();
            let words = words.map(|word| word.replace(|c: char| c.is_ascii_digit(), ""));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}
