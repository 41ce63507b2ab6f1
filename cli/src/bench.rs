//! `event-kafka bench`: one measurement, one line of JSON.

mod events;
mod measure;
mod tally;

use std::io::{self, Write};
use std::mem;
use std::num::{NonZeroU64, ParseIntError};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use event_kafka::config::Config;
use event_kafka::opensips::Socket;
use event_kafka::{Producer, PublishError, Record, ReportMode, Topic, check_topic_name};
use serde::Serialize;

use crate::console::Console;
use crate::error::{Error, Exit};
use crate::logging;
use crate::socket;
use events::Events;
use measure::{Samples, Usage};
use tally::Tally;

/// Measure publishing and print the result as a line of JSON
///
/// CPU time is that of the whole process. Every 16th call is timed, or every one with --rate.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Where to, instead of --bootstrap and --topic: [kafka:]brokers/topic[?...]
    ///
    /// What it says goes over --linger-ms and all other settings; a key= in it has no effect.
    #[arg(conflicts_with_all = ["bootstrap", "topic"])]
    socket: Option<String>,
    /// The brokers
    #[arg(long, value_name = "HOST:PORT,...", default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// The topic
    #[arg(long, default_value = "yardstick")]
    topic: String,
    /// How many events are measured
    #[arg(long, value_name = "N", default_value = "1000000")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MOST_EVENTS))]
    messages: u64,
    /// Bytes in an event
    #[arg(long, value_name = "BYTES", default_value = "100")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=LARGEST_EVENT))]
    size: usize,
    /// Whose acknowledgement counts: -1, 1 or 0
    #[arg(long, default_value = "-1", allow_hyphen_values = true)]
    acks: String,
    /// How long a batch waits for more events
    #[arg(long, value_name = "MS", default_value = "5")]
    linger_ms: String,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd
    #[arg(long, value_name = "CODEC", default_value = "none")]
    compression: String,
    /// Only 0 until producers can be idempotent
    #[arg(long, value_name = "0|1", default_value = "0")]
    idempotence: String,
    /// How many different keys the events have in turn, or "none"
    #[arg(long, value_name = "N|none", default_value = "none", value_parser = parse_keys)]
    key: Keys,
    /// Events a second; 0 is as fast as it goes
    #[arg(long, value_name = "N", default_value_t = 0)]
    rate: u64,
    /// Threads that publish
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MOST_THREADS))]
    threads: u64,
    /// A file of events of --size bytes, one after the other; without it they are made up
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// Events published before measuring
    #[arg(long, value_name = "N", default_value = "100000")]
    #[arg(value_parser = clap::value_parser!(u64).range(..=MOST_EVENTS))]
    warmup: u64,
    /// Settings for throughput, or the defaults
    #[arg(long, value_name = "HOW", default_value = "tuned")]
    tune: Tune,
    /// What to measure
    #[arg(long, value_name = "WHAT", default_value = "run")]
    mode: Mode,
    /// How long --mode idle lasts
    #[arg(long, value_name = "S", default_value = "10", value_parser = parse_seconds)]
    seconds: Duration,
    /// Whether the event lives only as long as the call; no difference here, publishing copies
    #[arg(long, value_name = "0|1", default_value = "1", value_parser = ["0", "1"])]
    copy: String,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Mode {
    /// Throughput, or latency at --rate
    Run,
    /// The cost of being connected
    Idle,
    /// The memory of events that cannot leave; the broker has to end after the first event
    Queued,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Tune {
    Tuned,
    Default,
}

/// `None`: events have no key.
#[derive(Clone, Copy)]
struct Keys(Option<NonZeroU64>);

const EXAMPLES: &str = "\
Examples:
  event-kafka bench --bootstrap 127.0.0.1:9092 --topic bench --messages 2000000
  event-kafka bench --topic bench --rate 1000 --messages 10000 --linger-ms 0
  event-kafka bench 'broker1,broker2/bench?g.batch.size=500000&config=producer.conf'";

pub(crate) fn run(options: &Options, console: &Console) -> Result<Exit, Error> {
    options.refuse_what_is_missing()?;
    let bench = Bench::start(options, console)?;
    let (measured, failed) = match options.mode {
        Mode::Run => bench.run(),
        Mode::Idle => bench.idle(),
        Mode::Queued => bench.queued(),
    };
    let line = Line {
        peer: "event-kafka",
        version: env!("CARGO_PKG_VERSION"),
        settings: bench.settings.join(" "),
        measured,
    };
    let text = serde_json::to_string(&line).map_err(|error| Error::Output(error.into()))?;
    writeln!(io::stdout(), "{text}").map_err(Error::Output)?;
    // The process ends now: half a million events of a queued run need no failure each.
    mem::forget(bench);
    Ok(if failed == 0 {
        Exit::Well
    } else {
        Exit::SomeFailed
    })
}

#[derive(Serialize)]
struct Line {
    peer: &'static str,
    version: &'static str,
    settings: String,
    #[serde(flatten)]
    measured: Measured,
}

#[derive(Serialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
enum Measured {
    Run(Run),
    Idle(Idle),
    Queued(Queued),
}

#[derive(Serialize)]
struct Run {
    messages: u64,
    delivered: u64,
    failed: u64,
    warmup: u64,
    wall_s: f64,
    cpu_user_s: f64,
    cpu_sys_s: f64,
    cpu_ns_per_msg: f64,
    msgs_per_s: f64,
    mb_per_s: f64,
    cpu_percent: f64,
    voluntary_switches: i64,
    max_rss_kb: u64,
    first_delivery_unix_ns: u64,
    #[serde(flatten)]
    calls: Option<CallTimes>,
    #[serde(flatten)]
    deliveries: Option<DeliveryTimes>,
}

#[derive(Serialize)]
struct Idle {
    idle_s: f64,
    idle_cpu_ms: f64,
    idle_switches: i64,
    max_rss_kb: u64,
}

#[derive(Serialize)]
struct Queued {
    queued: u64,
    rss_before_kb: u64,
    rss_after_kb: u64,
    rss_bytes_per_msg: f64,
    #[serde(flatten)]
    calls: Option<CallTimes>,
}

#[derive(Serialize)]
struct CallTimes {
    produce_p50_ns: u32,
    produce_p99_ns: u32,
    produce_p999_ns: u32,
}

impl From<[u32; 3]> for CallTimes {
    fn from([produce_p50_ns, produce_p99_ns, produce_p999_ns]: [u32; 3]) -> Self {
        Self {
            produce_p50_ns,
            produce_p99_ns,
            produce_p999_ns,
        }
    }
}

#[derive(Serialize)]
struct DeliveryTimes {
    delivery_p50_us: u32,
    delivery_p99_us: u32,
    delivery_p999_us: u32,
}

impl From<[u32; 3]> for DeliveryTimes {
    fn from([delivery_p50_us, delivery_p99_us, delivery_p999_us]: [u32; 3]) -> Self {
        Self {
            delivery_p50_us,
            delivery_p99_us,
            delivery_p999_us,
        }
    }
}

/// A producer under load.
struct Bench<'a> {
    options: &'a Options,
    /// The properties that were set, brokers aside.
    settings: Vec<String>,
    topic: Topic,
    events: Events,
    tally: Arc<Tally>,
}

impl<'a> Bench<'a> {
    fn start(options: &'a Options, console: &Console) -> Result<Self, Error> {
        let events = Events::open(options.payload.as_deref(), options.size, options.key.0)?;
        let (mut config, topic, settings) = options.target()?;
        logging::tell_details(&mut config);
        // A mistake is told before the producer looks for brokers, and logs that it finds none.
        check_topic_name(topic)?;
        let producer = Producer::builder()
            .config(config)
            .report_mode(ReportMode::All)
            .start()?;
        let topic = producer.topic(topic)?;
        let tally = Arc::new(Tally::new(console.clone()));
        tally.follow(producer.reports());
        Ok(Self {
            options,
            settings,
            topic,
            events,
            tally,
        })
    }

    /// The result, and how many events failed; so do all modes.
    fn run(&self) -> (Measured, u64) {
        let Options {
            messages, warmup, ..
        } = *self.options;
        self.warm_up(warmup);
        let (delivered_before, _) = self.tally.counts();

        let samples = self.samples();
        self.tally
            .start_sampling(samples.iter().map(Samples::room).sum());
        let before = Usage::now();
        let started = Instant::now();
        let calls = self.publish_all(samples);
        self.tally.wait_for(warmup + messages);
        let wall_s = started.elapsed().as_secs_f64();
        let used = Usage::now().since(&before);

        let (delivered, failed) = self.tally.counts();
        let cpu_s = used.user_s + used.sys_s;
        let per_second = messages as f64 / wall_s;
        let run = Run {
            messages,
            delivered: delivered - delivered_before,
            failed,
            warmup,
            wall_s,
            cpu_user_s: used.user_s,
            cpu_sys_s: used.sys_s,
            cpu_ns_per_msg: cpu_s / messages as f64 * 1e9,
            msgs_per_s: per_second,
            mb_per_s: per_second * self.options.size as f64 / 1e6,
            cpu_percent: cpu_s / wall_s * 100.0,
            voluntary_switches: used.voluntary_switches,
            max_rss_kb: measure::peak_resident_kb(),
            first_delivery_unix_ns: self.tally.first_delivery_unix_ns(),
            calls: calls.percentiles().map(CallTimes::from),
            deliveries: self
                .tally
                .take_samples()
                .percentiles()
                .map(DeliveryTimes::from),
        };
        (Measured::Run(run), failed)
    }

    fn idle(&self) -> (Measured, u64) {
        let failed = self.connect();
        let before = Usage::now();
        thread::sleep(self.options.seconds);
        let used = Usage::now().since(&before);
        let idle = Idle {
            idle_s: self.options.seconds.as_secs_f64(),
            idle_cpu_ms: (used.user_s + used.sys_s) * 1e3,
            idle_switches: used.voluntary_switches,
            max_rss_kb: measure::peak_resident_kb(),
        };
        (Measured::Idle(idle), failed)
    }

    /// What it queues is not meant to arrive, and no failure.
    fn queued(&self) -> (Measured, u64) {
        let failed = self.connect();
        let samples = self.samples();
        let rss_before_kb = measure::resident_kb();
        let calls = self.publish_all(samples);
        let rss_after_kb = measure::resident_kb();
        let grown = rss_after_kb as f64 - rss_before_kb as f64;
        let queued = Queued {
            queued: self.options.messages,
            rss_before_kb,
            rss_after_kb,
            rss_bytes_per_msg: grown * 1024.0 / self.options.messages as f64,
            calls: calls.percentiles().map(CallTimes::from),
        };
        (Measured::Queued(queued), failed)
    }

    /// One event, delivered; then a second in which everything calms down, or the broker goes.
    /// Returns how many events failed.
    fn connect(&self) -> u64 {
        self.warm_up(1);
        let (_, failed) = self.tally.counts();
        thread::sleep(Duration::from_secs(1));
        failed
    }

    fn warm_up(&self, count: u64) {
        let mut key = Vec::new();
        for index in 0..count {
            self.publish(index, UNTIMED, &mut key);
        }
        self.tally.wait_for(count);
    }

    /// Room for the call times of each thread, made before anything is measured.
    fn samples(&self) -> Vec<Samples> {
        let every = if self.options.rate > 0 {
            1
        } else {
            SAMPLE_EVERY
        };
        let share = |thread| self.share(thread).count().div_ceil(every);
        (0..self.options.threads)
            .map(|thread| Samples::with_room(share(thread)))
            .collect()
    }

    fn share(&self, thread: u64) -> Range<u64> {
        let Options {
            messages, threads, ..
        } = *self.options;
        messages * thread / threads..messages * (thread + 1) / threads
    }

    fn publish_all(&self, mut samples: Vec<Samples>) -> Samples {
        thread::scope(|scope| {
            for (thread, samples) in (0..).zip(&mut samples) {
                scope.spawn(move || self.publish_share(self.share(thread), samples));
            }
        });
        Samples::merged(samples)
    }

    fn publish_share(&self, share: Range<u64>, samples: &mut Samples) {
        let Options { rate, threads, .. } = *self.options;
        let mut key = Vec::new();
        let started = Instant::now();
        for (done, index) in share.enumerate() {
            if rate > 0 {
                let pace = Duration::from_secs_f64(done as f64 * threads as f64 / rate as f64);
                thread::sleep(pace.saturating_sub(started.elapsed()));
            } else if done % SAMPLE_EVERY != 0 {
                self.publish(index, UNTIMED, &mut key);
                continue;
            }
            let called = Instant::now();
            self.publish(index, self.tally.mark(called), &mut key);
            samples.add(called.elapsed().as_nanos());
        }
    }

    /// A full queue is waited for.
    fn publish(&self, index: u64, opaque: u64, key: &mut Vec<u8>) {
        let mut record = Record::new(self.events.value(index)).opaque(opaque);
        if self.events.write_key(index, key) {
            record = record.key(key);
        }
        let mut result = self.topic.publish(record);
        while result.as_ref().is_err_and(PublishError::is_queue_full) {
            result = self.topic.publish_within(record, Duration::from_secs(60));
        }
        if let Err(error) = result {
            self.tally.refuse(&error);
        }
    }
}

impl Options {
    fn refuse_what_is_missing(&self) -> Result<(), Error> {
        if self.idempotence != "0" {
            let (flag, value) = ("--idempotence", self.idempotence.clone());
            let remedy = "this version has no idempotent producer; give --idempotence 0";
            return Err(Error::Unsupported {
                flag,
                value,
                remedy,
            });
        }
        Ok(())
    }

    /// The configuration, the topic, and what was set, without secrets.
    fn target(&self) -> Result<(Config, &str, Vec<String>), Error> {
        let mut config = Config::default();
        let mut settings = Vec::new();
        for (name, value) in self.settings() {
            config.set(name, value)?;
            settings.push(format!("{name}={value}"));
        }
        let Some(socket) = &self.socket else {
            config.set("bootstrap.servers", &self.bootstrap)?;
            return Ok((config, &self.topic, settings));
        };
        let socket = Socket::parse(socket)?;
        socket::configure(&socket, &mut config)?;
        socket::expect_no_events(&socket);
        if !socket.headers.is_empty() {
            tracing::warn!(
                "the messages of bench have no headers; those of the socket have no effect"
            );
        }
        let files = socket.files.iter();
        settings.extend(files.map(|file| format!("config={}", file.path)));
        settings.extend(socket.properties.iter().map(ToString::to_string));
        Ok((config, socket.topic, settings))
    }

    fn settings(&self) -> Vec<(&'static str, &str)> {
        let mut settings = vec![
            ("linger.ms", &*self.linger_ms),
            ("acks", &*self.acks),
            ("compression.codec", &*self.compression),
        ];
        if self.mode == Mode::Queued {
            settings.push(("queue.buffering.max.messages", "0"));
            settings.push(("queue.buffering.max.kbytes", "4194304"));
        } else if self.tune == Tune::Tuned {
            settings.push(("queue.buffering.max.messages", "1000000"));
            settings.push(("batch.num.messages", "100000"));
        }
        settings
    }
}

fn parse_keys(text: &str) -> Result<Keys, ParseIntError> {
    match text {
        "none" => Ok(Keys(None)),
        _ => text.parse().map(|count| Keys(Some(count))),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Shares are computed from events times threads, and samples are held in memory.
const MOST_EVENTS: u64 = 1_000_000_000;
const MOST_THREADS: u64 = 1_000;
/// As much as `message.max.bytes` can allow.
const LARGEST_EVENT: u64 = 1_000_000_000;
const SAMPLE_EVERY: usize = 16;
/// The opaque of an event whose way is not timed.
const UNTIMED: u64 = 0;
