//! The messages: of every one its key and number can be told from what arrives.

use std::io::{self, Write};

/// Calls to which messages belong, in turn; a call is the key of its messages.
pub(super) const CALLS: u64 = 1000;

/// What parts key and value on the way to the command line.
pub(super) const SEPARATOR: &str = "|";

const FILLER: &str = concat!(
    "                                                                                          ",
    "                                                                                          ",
);

/// Writes message `n` as a line for the command line: about 200 bytes, as an event of SIP has.
pub(super) fn write_line(output: &mut impl Write, n: u64) -> io::Result<()> {
    writeln!(output, "{}{SEPARATOR}{n}{FILLER}.", key(n))
}

/// Which message this is; `None` if it is none of ours or not as it was written.
pub(super) fn recognise(key_read: &str, value: &str) -> Option<u64> {
    let n = value
        .strip_suffix('.')?
        .strip_suffix(FILLER)?
        .parse()
        .ok()?;
    (key_read == key(n)).then_some(n)
}

/// The call that a message belongs to.
pub(super) fn call(n: u64) -> u64 {
    n % CALLS
}

fn key(n: u64) -> String {
    format!("call-{}", call(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_recognised_by_key_and_value() {
        let mut line = Vec::new();
        write_line(&mut line, 1234).unwrap();
        let line = String::from_utf8(line).unwrap();
        let (key, value) = line.trim_end_matches('\n').split_once(SEPARATOR).unwrap();

        assert_eq!(recognise(key, value), Some(1234));
        assert_eq!(recognise("call-1", value), None, "a wrong key");
        assert_eq!(recognise(key, &value[..value.len() - 1]), None, "cut off");
    }
}
