//! `event-kafka broker`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::mpsc;

use clap::Args;
use kafka_mock::{Cluster, Profile, TopicSummary};

use crate::columns::Head::{Left, Right};
use crate::columns::table;
use crate::console::Console;
use crate::error::{Error, Exit};
use crate::{interrupt, program};

/// Run a broker for trying things out; Ctrl-C ends it and prints what it holds
///
/// It keeps records in memory only, creates a topic at its first use, asks nobody for a password,
/// and knows no consumer groups: consumers name the partitions that they read, and no offsets are
/// kept for them.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Where it listens; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9092")]
    #[arg(value_parser = parse_address)]
    listen: SocketAddr,
    /// Partitions of every topic
    #[arg(long, value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=1000))]
    partitions: i32,
    /// Nodes of the cluster; those after the first listen at free ports
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=9))]
    nodes: i32,
    /// Which broker's protocol it speaks, such as kafka-2.8; a name that is none lists them all
    #[arg(long, value_name = "NAME", default_value_t = Profile::KAFKA_4_4)]
    profile: Profile,
    /// What each partition keeps, such as 512K, 16M or 1G; the oldest records make room
    #[arg(long, value_name = "BYTES", default_value = "16M", value_parser = parse_size)]
    retain: usize,
}

const EXAMPLES: &str = "\
Examples:
  event-kafka broker
  event-kafka broker --listen 127.0.0.1:0 --partitions 12 --nodes 3
  event-kafka broker --profile kafka-2.8 --retain 1M";

pub(crate) fn run(options: &Options, console: &Console) -> Result<Exit, Error> {
    let cluster = start(options)?;
    let (told, end) = mpsc::channel();
    interrupt::watch(move || {
        let _ = told.send(());
    })
    .map_err(Error::Signals)?;
    if let Some(warning) = warning(options.listen) {
        console.line(&warning);
    }
    print(&greeting(options, &cluster))?;
    // An error would mean the same: nobody will say any more that this is to end.
    let _ = end.recv();
    print(&format!("\n{}", summary(&cluster.topics())))?;
    Ok(Exit::Well)
}

fn start(options: &Options) -> Result<Cluster, Error> {
    let cluster = Cluster::builder()
        .listen(options.listen)
        .nodes(options.nodes)
        .profile(options.profile)
        .auto_create(Some(options.partitions))
        .retain_bytes(options.retain);
    cluster.start().map_err(|error| Error::Listen {
        address: options.listen,
        error,
    })
}

fn greeting(options: &Options, cluster: &Cluster) -> String {
    let (brokers, program) = (cluster.bootstrap(), program());
    format!(
        "A broker is up at {brokers}. It speaks as {profile} does and keeps records in memory only.\n\
         \n  \
           publish  {program} publish {brokers}/sip --event E_PIKE_BLOCKED --param ip=192.0.2.1\n  \
           read     kcat -b {brokers} -C -t sip -e\n  \
           end      Ctrl-C, which prints what it holds",
        profile = options.profile,
    )
}

fn warning(listen: SocketAddr) -> Option<String> {
    (!listen.ip().is_loopback()).then(|| {
        format!(
            "whoever reaches {listen} may publish and read there, for nobody is asked for a password; \
             leave --listen out to be reached from this machine only"
        )
    })
}

/// What the topics hold, one a line.
fn summary(topics: &[TopicSummary]) -> String {
    if topics.is_empty() {
        return "It held nothing.".to_owned();
    }
    let heads = [
        Left("TOPIC"),
        Right("PARTITIONS"),
        Right("RECORDS"),
        Right("BYTES"),
        Right("DROPPED"),
    ];
    let rows = topics.iter().map(|topic| {
        let partitions = &topic.partitions;
        let held = partitions.iter().map(|p| p.end_offset - p.start_offset);
        let bytes = partitions.iter().map(|p| p.bytes);
        [
            topic.name.clone(),
            partitions.len().to_string(),
            held.sum::<i64>().to_string(),
            bytes.sum::<usize>().to_string(),
            partitions
                .iter()
                .map(|p| p.start_offset)
                .sum::<i64>()
                .to_string(),
        ]
    });
    table(heads, rows, usize::MAX).join("\n")
}

fn print(text: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{text}").map_err(Error::Output)
}

fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "it is no address with a port; write one as 127.0.0.1:9092")?;
    if address.ip().is_unspecified() {
        return Err("clients are told this address and cannot connect to it; \
                    write one of this machine's, as 127.0.0.1:9092");
    }
    Ok(address)
}

fn parse_size(text: &str) -> Result<usize, &'static str> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let unit: usize = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err(NO_SIZE),
    };
    let number: usize = digits.parse().map_err(|_| NO_SIZE)?;
    match number.checked_mul(unit) {
        Some(size) if size > 0 => Ok(size),
        _ => Err(NO_SIZE),
    }
}

const NO_SIZE: &str = "it is no size; write a number of bytes from 1, or one with K, M or G";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("1"), Ok(1));
        assert_eq!(parse_size("512K"), Ok(512 * 1024));
        assert_eq!(parse_size("3G"), Ok(3 << 30));
        for wrong in [
            "",
            "0",
            "K",
            "-1",
            "1KK",
            "1k",
            "1 M",
            "18446744073709551615G",
        ] {
            assert_eq!(parse_size(wrong), Err(NO_SIZE), "{wrong:?}");
        }
    }

    #[test]
    fn only_an_address_for_others_is_warned_of() {
        let warning = |address| warning(parse_address(address).unwrap());
        assert_eq!(warning("127.0.0.1:9092"), None);
        assert_eq!(warning("[::1]:9092"), None);
        let told = warning("192.0.2.1:9092").unwrap();
        assert!(
            told.contains("192.0.2.1:9092") && told.contains("--listen"),
            "{told}"
        );
    }
}
