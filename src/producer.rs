//! The producer: started from properties, flushed, closed.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_engine::accumulator::Accumulator;
use kafka_engine::signal::Listener;
use kafka_engine::{Purge, Undelivered, say};
use parking_lot::Mutex;

use crate::config::{Config, ConfigError, Finished};
use crate::driver::{Driver, Rouser, wait_for};
use crate::settings::{Settings, TopicSettings};
use crate::topic_name::{TopicNameError, check_topic_name};
use crate::{Balance, Contact, FatalError, ReportMode, Reports, Room, Topic};

/// Configures a [`Producer`].
#[derive(Clone, Debug, Default)]
pub struct ProducerBuilder {
    config: Config,
    report_mode: Option<ReportMode>,
    report_records: bool,
    recording: Option<usize>,
}

impl ProducerBuilder {
    /// Sets a librdkafka property, of the producer or of its topics.
    ///
    /// # Errors
    /// An unknown name, or a value that is malformed or out of range.
    ///
    /// ```
    /// # use event_kafka::Producer;
    /// let error = Producer::builder().set("lingr.ms", "20").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "property lingr.ms: no such property; did you mean linger.ms?"
    /// );
    /// ```
    pub fn set(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        self.config.set(name, value)?;
        Ok(self)
    }

    /// Takes a whole configuration, in place of what was set before.
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Which outcomes are reported. Without this, all are, or only failures if
    /// `delivery.report.only.error` says so.
    pub fn report_mode(self, mode: ReportMode) -> Self {
        Self {
            report_mode: Some(mode),
            ..self
        }
    }

    /// Whether reports carry the record. Its memory is then held until the report is dropped.
    pub fn report_records(self, report_records: bool) -> Self {
        Self {
            report_records,
            ..self
        }
    }

    /// Keeps what the producer is told by brokers, clocks and application, and what it makes of that,
    /// in at most so many bytes of memory, for [`Producer::recording`]. What is oldest goes first; a
    /// message takes a few dozen bytes, whatever its size. Without this, nothing is
    /// kept.
    pub fn record(self, bytes: usize) -> Self {
        Self {
            recording: Some(bytes),
            ..self
        }
    }

    /// Starts the producer and its I/O thread, which looks for the cluster at once. That no broker
    /// is there is no error: messages wait for it.
    ///
    /// # Errors
    /// Properties that are missing or contradict each other, or a system out of threads.
    pub fn start(self) -> Result<Producer, StartError> {
        let Finished {
            mut settings,
            topic_settings,
            warnings,
            ..
        } = self.config.finish().map_err(StartError::Config)?;
        for warning in warnings {
            say!(settings, WARN Conf, "{warning}");
        }
        settings.reports = self.report_mode.unwrap_or(settings.reports);
        settings.report_records = self.report_records;
        settings.recording = self.recording;
        Producer::start(settings, topic_settings)
    }
}

/// A producer. Clones are handles of the same one; the last to go closes it.
#[derive(Clone, Debug)]
pub struct Producer {
    shared: Arc<Shared>,
    topic_settings: TopicSettings,
}

/// What the handles of a producer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) accumulator: Arc<Accumulator>,
    pub(crate) rouser: Rouser,
    /// `None` once closed.
    driver: Mutex<Option<Driver>>,
}

impl Producer {
    /// A producer to configure.
    pub fn builder() -> ProducerBuilder {
        ProducerBuilder::default()
    }

    /// One whose settings are complete.
    pub(crate) fn start(
        settings: Settings,
        topic_settings: TopicSettings,
    ) -> Result<Self, StartError> {
        let accumulator = Accumulator::new(settings, fastrand::u64(..));
        let driver = Driver::start(&accumulator).map_err(StartError::System)?;
        Ok(Self {
            shared: Arc::new(Shared {
                accumulator,
                rouser: driver.rouser(),
                driver: Mutex::new(Some(driver)),
            }),
            topic_settings,
        })
    }

    /// A topic, with the topic properties that the producer was given. Its partitions are looked
    /// up at once; messages may be published before they are known.
    ///
    /// # Errors
    /// A name that no broker accepts.
    pub fn topic(&self, name: &str) -> Result<Topic, TopicNameError> {
        self.topic_with(name, &self.topic_settings)
    }

    /// A topic with properties of its own.
    pub(crate) fn topic_with(
        &self,
        name: &str,
        settings: &TopicSettings,
    ) -> Result<Topic, TopicNameError> {
        check_topic_name(name)?;
        let (topic, wake) = self.shared.accumulator.topic(name, settings);
        self.shared.rouser.rouse(wake);
        Ok(Topic::new(topic, Arc::clone(&self.shared)))
    }

    /// The reports of all its messages. They count against the queue limits until they are taken.
    pub fn reports(&self) -> Reports {
        Reports::new(Arc::clone(&self.shared.accumulator))
    }

    /// A place among those who wait for room in a full queue, for
    /// [`Topic::poll_publish`](crate::Topic::poll_publish).
    pub fn room(&self) -> Room {
        Room::new(&self.shared)
    }

    /// Sends without lingering, and waits until every message has its outcome.
    ///
    /// # Errors
    /// The time is over; says how many messages are left, which are not affected.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use event_kafka::{Producer, Record};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// # let producer = Producer::builder().set("bootstrap.servers", brokers)?.start()?;
    /// # let topic = producer.topic("sip-events")?;
    /// # cluster.stop_node(1)?;
    /// // The broker is away.
    /// topic.publish(Record::new("BYE"))?;
    /// let error = producer.flush(Duration::from_millis(50)).unwrap_err();
    /// assert_eq!(error.remaining, 1);
    ///
    /// // It is back.
    /// # cluster.start_node(1)?;
    /// producer.flush(Duration::from_secs(30))?;
    /// assert_eq!(producer.balance().delivered, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.begin_flush().wait(timeout)
    }

    /// Sends without lingering for as long as the answer is kept.
    pub(crate) fn begin_flush(&self) -> Flush<'_> {
        self.stop_lingering();
        Flush {
            producer: &self.shared,
        }
    }

    /// Sends without lingering until [`Producer::linger_again`] was called as often as this.
    pub(crate) fn stop_lingering(&self) {
        let producer = &self.shared;
        producer.rouser.rouse(producer.accumulator.begin_flush());
    }

    pub(crate) fn linger_again(&self) {
        self.shared.accumulator.end_flush();
    }

    /// Fails messages without waiting for their delivery. Each gets its report.
    pub fn purge(&self, purge: Purge) {
        if let Some(driver) = &*self.shared.driver.lock() {
            driver.purge(purge);
        }
    }

    /// Flushes, then ends the producer, its I/O thread and its connections, for all handles.
    /// Reports can still be taken.
    ///
    /// # Errors
    /// Messages that were not delivered in time, by topic and reason. Each has failed with a
    /// report of its own.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use event_kafka::{Producer, Record};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// # cluster.stop_node(1)?;
    /// # let producer = Producer::builder().set("bootstrap.servers", brokers)?.start()?;
    /// # let topic = producer.topic("sip-events")?;
    /// // No broker is there.
    /// topic.publish(Record::new("BYE").opaque(7))?;
    /// let reports = producer.reports();
    /// let error = producer.close(Duration::from_millis(50)).unwrap_err();
    ///
    /// let lost = &error.undelivered[0];
    /// assert_eq!((&*lost.topic, lost.count), ("sip-events", 1));
    /// assert_eq!(reports.take().next().unwrap().opaque, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(self, timeout: Duration) -> Result<(), CloseError> {
        // What is left is counted below, together with what comes meanwhile.
        let _ = self.flush(timeout);
        let undelivered = self.shared.end();
        if undelivered.is_empty() {
            Ok(())
        } else {
            Err(CloseError { undelivered })
        }
    }

    /// What ended this producer, if something did. It accepts nothing any more then
    /// ([`PublishError::Fatal`](crate::PublishError::Fatal)), and what it held has failed with the
    /// same error. Only idempotent producers can fail like this: fenced, not allowed, or behind a
    /// gap that `enable.gapless.guarantee` forbids. All there is to do is to close it and to start
    /// another one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use event_kafka::{Producer, PublishError, Record};
    /// # use kafka_mock::{ApiKey, Fault, ResponseError, Rule};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// let producer = Producer::builder()
    ///     .set("bootstrap.servers", brokers)?
    ///     .set("enable.idempotence", "true")?
    ///     .start()?;
    /// let topic = producer.topic("sip-events")?;
    /// # let fenced = Fault::Error(ResponseError::ProducerFenced);
    /// # cluster.inject(Rule::new(fenced).api(ApiKey::Produce).times(1));
    /// // A broker takes this producer for one that has been replaced.
    /// topic.publish(Record::new("INVITE"))?;
    /// let report = producer.reports().wait(Duration::from_secs(5)).next().unwrap();
    /// assert_eq!(report.outcome.unwrap_err().error.name(), "PRODUCER_FENCED");
    ///
    /// let error = producer.fatal_error().unwrap();
    /// assert_eq!(error.error.name(), "PRODUCER_FENCED");
    /// let refused = topic.publish(Record::new("BYE")).unwrap_err();
    /// assert!(matches!(refused, PublishError::Fatal { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fatal_error(&self) -> Option<FatalError> {
        self.shared.accumulator.fatal_error().cloned()
    }

    /// How this producer stands with its cluster.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use event_kafka::{Contact, Producer, Record};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// let producer = Producer::builder().set("bootstrap.servers", brokers)?.start()?;
    /// producer.topic("sip-events")?.publish(Record::new("INVITE"))?;
    /// producer.flush(Duration::from_secs(5))?;
    /// assert_eq!(producer.contact(), Contact::Up);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn contact(&self) -> Contact {
        self.shared.accumulator.contact()
    }

    /// A place to wait until that changes.
    pub(crate) fn contact_listener(&self) -> Listener {
        self.shared.accumulator.contact_changed().listener()
    }

    /// What was [recorded](ProducerBuilder::record) so far, as the content of a file; `None` if
    /// nothing is. It can be asked for at any time, also after a [fatal error](Self::fatal_error) or,
    /// by another handle, after the end. `cargo xtask sim --replay FILE` then has an engine live
    /// through the same once more, and says whether it does the same.
    ///
    /// Of messages it holds lengths, timestamps and opaque values, and nothing of their content. It
    /// holds names of topics, addresses of brokers and what they answered, and the settings.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use event_kafka::{Producer, Record};
    /// # use kafka_engine::recording::{Recording, replay};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// let producer = Producer::builder()
    ///     .set("bootstrap.servers", brokers)?
    ///     .record(64 << 20)
    ///     .start()?;
    /// producer.topic("sip-events")?.publish(Record::new("INVITE"))?;
    /// producer.flush(Duration::from_secs(5))?;
    /// let recording = producer.recording().expect("it records");
    /// # let file = std::env::temp_dir().join(format!("{}.recording", std::process::id()));
    /// std::fs::write(&file, recording)?;
    /// # let recording = Recording::read(&std::fs::read(&file)?)?;
    /// # std::fs::remove_file(&file)?;
    /// # let mut reports = Vec::new();
    /// # assert_eq!(replay(&recording, |report| reports.push(report))?.divergence, None);
    /// # assert_eq!(reports[0].outcome.as_ref().unwrap().offset, Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recording(&self) -> Option<Vec<u8>> {
        self.shared.accumulator.recording()
    }

    /// Messages accepted since the start, and what became of them.
    pub fn balance(&self) -> Balance {
        self.shared.accumulator.balance()
    }
}

impl Shared {
    fn end(&self) -> Vec<Undelivered> {
        self.driver
            .lock()
            .take()
            .map(Driver::close)
            .unwrap_or_default()
    }
}

/// A flush that is under way until this is dropped.
pub(crate) struct Flush<'a> {
    producer: &'a Shared,
}

impl Flush<'_> {
    pub(crate) fn wait(&self, timeout: Duration) -> Result<(), FlushError> {
        let accumulator = &self.producer.accumulator;
        let held = || accumulator.balance().held;
        let flushed = wait_for(accumulator.settled(), timeout, || {
            (held() == 0).then_some(())
        });
        flushed.ok_or_else(|| FlushError { remaining: held() })
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        self.producer.accumulator.end_flush();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for lost in self.end() {
            let settings = self.accumulator.settings();
            say!(settings, WARN Generic, "producer dropped without close: {lost}");
        }
    }
}

/// Why a producer could not be started.
#[derive(Debug)]
pub enum StartError {
    /// A property is missing, or contradicts another.
    Config(ConfigError),
    /// The system gave no thread or no event queue.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::System(error) => write!(f, "cannot start the I/O thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::System(error) => Some(error),
        }
    }
}

/// A flush took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushError {
    /// Messages that have no outcome yet.
    pub remaining: u64,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages are still on their way; flush again or give it longer",
            self.remaining
        )
    }
}

impl std::error::Error for FlushError {}

/// A producer was closed before everything was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseError {
    /// What was not, by topic and reason.
    pub undelivered: Vec<Undelivered>,
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: u64 = self.undelivered.iter().map(|lost| lost.count).sum();
        write!(f, "{count} messages were not delivered")?;
        self.undelivered
            .iter()
            .try_for_each(|lost| write!(f, "; {lost}"))
    }
}

impl std::error::Error for CloseError {}
