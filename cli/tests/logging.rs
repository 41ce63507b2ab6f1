//! What reaches standard error of what the producer says.

mod command;

use command::run;

const NOWHERE: &str = "127.0.0.1:1/t?t.message.timeout.ms=200";

/// Whether a run says that it connects, which is a detail, and whether that it cannot, which is a
/// warning.
fn said(options: &[&str], properties: &str) -> [bool; 2] {
    let socket = format!("{NOWHERE}{properties}");
    let stderr = run(&[options, &["publish", &socket, "x"]].concat()).stderr;
    ["DEBUG event_kafka::broker", "WARN event_kafka::broker"].map(|line| stderr.contains(line))
}

#[test]
fn details_are_told_to_who_asks_on_the_command_line_or_by_a_property() {
    assert_eq!(said(&[], ""), [false, true]);
    assert_eq!(said(&["-v"], ""), [false, true]);
    assert_eq!(said(&["-vv"], ""), [true, true]);
    assert_eq!(said(&[], "&g.debug=broker"), [true, true]);
    assert_eq!(said(&["-vv"], "&g.debug=msg"), [false, true]);
    assert_eq!(said(&[], "&g.log_level=3"), [false, false]);
}
