//! The list behind `bootstrap.servers`.

use std::fmt;
use std::net::Ipv6Addr;

use kafka_engine::settings::Endpoint;

/// Reads a list of brokers: `[PLAINTEXT://]host[:port]`, parted by commas. A host is a name, an
/// IPv4 address or an IPv6 address in brackets; the port is 9092 unless given. Blanks around
/// entries and empty entries are skipped.
///
/// # Errors
/// The first entry that is malformed, with its place in `list`.
pub fn parse_brokers(list: &str) -> Result<Vec<Endpoint>, BrokersError> {
    let mut offset = 0;
    let mut endpoints = Vec::new();
    for piece in list.split(',') {
        let entry = piece.trim_ascii();
        if !entry.is_empty() {
            let endpoint = parse_broker(entry).map_err(|problem| BrokersError {
                offset: offset + (piece.len() - piece.trim_ascii_start().len()),
                entry: readable(entry),
                problem,
            })?;
            endpoints.push(endpoint);
        }
        offset += piece.len() + 1;
    }
    Ok(endpoints)
}

/// A list of brokers that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokersError {
    /// Where the entry begins, in bytes from the start of the list.
    pub offset: usize,
    /// The entry, without what may be a secret: what stands before an `@`, and what no host has.
    pub entry: String,
    /// What is wrong with it.
    pub problem: BrokersProblem,
}

/// What is wrong with one broker of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokersProblem {
    /// A prefix other than `PLAINTEXT://`.
    Protocol,
    /// Something before an `@`.
    Credentials,
    /// No host before the port.
    NoHost,
    /// A character that no host has.
    BadHost,
    /// An IPv6 address without brackets, or too many colons.
    TooManyColons,
    /// A `[` without its `]`.
    NoClosingBracket,
    /// What is between the brackets is no IPv6 address.
    BadIpv6,
    /// Something other than `:port` follows the `]`.
    AfterBracket,
    /// The port is no number.
    PortNoNumber,
    /// The port is not from 1 to 65535.
    PortOutOfRange,
}

impl fmt::Display for BrokersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, remedy) = self.problem.explain();
        write!(f, "broker {:?}: {reason}; {remedy}", self.entry)
    }
}

impl std::error::Error for BrokersError {}

impl BrokersProblem {
    fn explain(self) -> (&'static str, &'static str) {
        match self {
            Self::Protocol => (
                "the protocol is not supported",
                "write PLAINTEXT:// or nothing",
            ),
            Self::Credentials => (
                "there is an '@' in it",
                "write host:port, and who you are in sasl.username and sasl.password",
            ),
            Self::NoHost => ("there is no host", "write host:port"),
            Self::BadHost => (
                "the host contains a blank or one of / ? & =",
                "part brokers by commas, as in a:9092,b:9092",
            ),
            Self::TooManyColons => (
                "there is more than one colon",
                "write an IPv6 address as [::1]:9092",
            ),
            Self::NoClosingBracket => ("the ']' is missing", "write [::1]:9092"),
            Self::BadIpv6 => (
                "no IPv6 address is between the brackets",
                "write [::1]:9092",
            ),
            Self::AfterBracket => ("only a port may follow the ']'", "write [::1]:9092"),
            Self::PortNoNumber => ("the port is no number", "write host:port, as in kafka:9092"),
            Self::PortOutOfRange => ("the port is out of range", "give a port from 1 to 65535"),
        }
    }
}

fn parse_broker(entry: &str) -> Result<Endpoint, BrokersProblem> {
    let address = strip_protocol(entry)?;
    if address.contains('@') {
        return Err(BrokersProblem::Credentials);
    }
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => split_ipv6(rest)?,
        None => split_name(address)?,
    };
    let port = port.map_or(Ok(DEFAULT_PORT), parse_port)?;
    Ok(Endpoint {
        host: host.to_owned(),
        port,
    })
}

fn strip_protocol(entry: &str) -> Result<&str, BrokersProblem> {
    match entry.split_once("://") {
        None => Ok(entry),
        Some((protocol, rest)) if protocol.eq_ignore_ascii_case("PLAINTEXT") => Ok(rest),
        Some(_) => Err(BrokersProblem::Protocol),
    }
}

fn split_ipv6(after_bracket: &str) -> Result<(&str, Option<&str>), BrokersProblem> {
    let (host, rest) = after_bracket
        .split_once(']')
        .ok_or(BrokersProblem::NoClosingBracket)?;
    // A zone (`fe80::1%eth0`) is the resolver's business.
    let address = host
        .split_once('%')
        .map_or(host, |(address, _zone)| address);
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(BrokersProblem::BadIpv6);
    }
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(BrokersProblem::AfterBracket),
    }
}

fn split_name(address: &str) -> Result<(&str, Option<&str>), BrokersProblem> {
    let (host, port) = match address.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    if port.is_some_and(|port| port.contains(':')) {
        Err(BrokersProblem::TooManyColons)
    } else if host.is_empty() {
        Err(BrokersProblem::NoHost)
    } else if host.contains(is_foreign) {
        Err(BrokersProblem::BadHost)
    } else {
        Ok((host, port))
    }
}

/// What no host has, but a socket that is written wrongly.
fn is_foreign(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '&' | '=')
}

fn readable(entry: &str) -> String {
    let (user, address) = match entry.rsplit_once('@') {
        Some((_, address)) => ("...@", address),
        None => ("", entry),
    };
    let protocol = address.find("://").map_or(0, |at| at + "://".len());
    match address[protocol..].find(is_foreign) {
        Some(end) => format!("{user}{}...", &address[..protocol + end]),
        None => format!("{user}{address}"),
    }
}

fn parse_port(text: &str) -> Result<u16, BrokersProblem> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BrokersProblem::PortNoNumber);
    }
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(BrokersProblem::PortOutOfRange),
    }
}

const DEFAULT_PORT: u16 = 9092;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(list: &str) -> Vec<String> {
        parse_brokers(list)
            .unwrap()
            .iter()
            .map(Endpoint::to_string)
            .collect()
    }

    #[test]
    fn names_and_addresses_with_and_without_port() {
        assert_eq!(
            shown("kafka,kafka_1.example:1,127.0.0.1:65535,[::1],[fe80::1%eth0]:9093"),
            [
                "kafka:9092",
                "kafka_1.example:1",
                "127.0.0.1:65535",
                "[::1]:9092",
                "[fe80::1%eth0]:9093"
            ]
        );
    }

    #[test]
    fn blanks_around_and_empty_entries_are_skipped() {
        assert_eq!(shown(" a:1,  b:2 ,,c:3,"), ["a:1", "b:2", "c:3"]);
        assert_eq!(shown(""), [""; 0]);
    }

    #[test]
    fn plaintext_prefix_is_taken_in_any_case() {
        assert_eq!(
            shown("PLAINTEXT://a:1,plaintext://[::1]:2"),
            ["a:1", "[::1]:2"]
        );
    }

    #[test]
    fn every_malformed_entry_is_named_with_its_place() {
        use BrokersProblem::*;
        for (list, offset, problem) in [
            ("SSL://a:1", 0, Protocol),
            ("a:1, :2", 5, NoHost),
            ("a:1,user:secret@b:1", 4, Credentials),
            ("a b:1", 0, BadHost),
            ("a&b=c", 0, BadHost),
            ("a?b", 0, BadHost),
            ("a:1,b/c", 4, BadHost),
            ("::1", 0, TooManyColons),
            ("a:1:2", 0, TooManyColons),
            ("a:1,[::1:9092", 4, NoClosingBracket),
            ("[localhost]:1", 0, BadIpv6),
            ("[::1]9092", 0, AfterBracket),
            ("a:http", 0, PortNoNumber),
            ("a:", 0, PortNoNumber),
            ("a:-1", 0, PortNoNumber),
            ("a:+1", 0, PortNoNumber),
            ("a:0", 0, PortOutOfRange),
            ("a:1,b:65536", 4, PortOutOfRange),
            ("a:99999999999999999999", 0, PortOutOfRange),
        ] {
            let error = parse_brokers(list).unwrap_err();
            assert_eq!((error.offset, error.problem), (offset, problem), "{list:?}");
        }
    }

    #[test]
    fn error_says_entry_reason_and_remedy() {
        assert_eq!(
            parse_brokers("a:1,b:http").unwrap_err().to_string(),
            r#"broker "b:http": the port is no number; write host:port, as in kafka:9092"#
        );
    }

    #[test]
    fn of_a_malformed_entry_nothing_is_shown_that_may_be_a_secret() {
        for (list, entry) in [
            ("user:secret@a:1", "...@a:1"),
            ("SSL://user:secret@a:1", "...@a:1"),
            ("SSL://a:1", "SSL://a:1"),
            ("a&sasl.password=secret", "a..."),
            ("a:1/t?secret", "a:1..."),
            ("a:http", "a:http"),
        ] {
            assert_eq!(parse_brokers(list).unwrap_err().entry, entry, "{list:?}");
        }
    }
}
