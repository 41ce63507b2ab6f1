//! `event-kafka demo`: the whole way of SIP events, with a broker inside this process.

mod events;
mod outlet;
mod page;

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use event_kafka::opensips::Value;
use event_kafka::{Delivered, Failure};
use kafka_mock::{ApiKey, Cluster, Fault, Record, ResponseError, Rule};
use serde::Deserialize;

use crate::columns::Head::{Left, Right};
use crate::console::Console;
use crate::error::{Error, Exit};
use crate::program;
use events::Event;
use outlet::{Outlet, Raised};
use page::Page;

pub(crate) fn run(console: &Console) -> Result<Exit, Error> {
    let cluster = Cluster::start().map_err(Error::Broker)?;
    cluster.create_topic(TOPIC, PARTITIONS);
    let broker = cluster.bootstrap();
    let socket = format!("kafka:{broker}/{TOPIC}?t.acks=all&key=callid");
    let demo = Demo {
        page: Page::new(),
        cluster: &cluster,
        socket: &socket,
        outlet: Outlet::open(&socket)?,
    };
    match demo.play(console) {
        // A reader who has seen enough, as `head` has.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Well),
        ending => ending,
    }
}

struct Demo<'a> {
    page: Page,
    cluster: &'a Cluster,
    socket: &'a str,
    outlet: Outlet<'a>,
}

impl Demo<'_> {
    fn play(mut self, console: &Console) -> Result<Exit, Error> {
        self.introduce()?;
        self.show_events_in()?;
        self.show_records_out()?;
        self.show_an_outage()?;
        self.show_a_failure()?;
        self.conclude(console)
    }

    fn introduce(&self) -> Result<(), Error> {
        let broker = self.cluster.bootstrap();
        self.page.line(&format!(
            "event-kafka publishes a SIP server's events to Kafka and says of each where it went. Here the\n\
             broker is inside the program, at {broker}; all the rest is as with any other broker."
        ))
    }

    fn show_events_in(&mut self) -> Result<(), Error> {
        self.raise(events::WHILE_ALL_IS_WELL)?;
        self.page.part(
            "1. EVENTS IN",
            ", as OpenSIPS raises them on an event socket; each becomes a JSON-RPC message",
        )?;
        self.page.line(&format!("   {}", self.socket))?;
        let heads = [
            Right("#"),
            Left("EVENT"),
            Left("KEY (CALL-ID)"),
            Left("PARAMETERS"),
        ];
        let rows = self.outlet.raised().iter().map(|raised| {
            let [number, name, key] = identity(raised);
            [number, name, key, parameters(raised.event)]
        });
        self.page.table(heads, rows)
    }

    fn show_records_out(&mut self) -> Result<(), Error> {
        self.outlet.take_reports();
        self.page.part(
            "2. RECORDS OUT",
            ": what the broker holds, beside what the producer reported for each event",
        )?;
        let heads = [
            Right("PARTITION"),
            Right("OFFSET"),
            Left("KEY"),
            Left("METHOD"),
            Right("#"),
            Left("REPORT"),
        ];
        let records = self.cluster.records(TOPIC);
        let rows = records.iter().map(|record| {
            let raised = self.raised_as(record);
            [
                record.partition.to_string(),
                record.offset.to_string(),
                text(record.key.as_deref()),
                method(record),
                raised.map_or("?".into(), |raised| raised.number.to_string()),
                raised.map_or("none".into(), report),
            ]
        });
        self.page.table(heads, rows)?;
        let shortest = records.iter().filter_map(|record| record.value.as_deref());
        let shortest = text(shortest.min_by_key(|value| value.len()));
        self.page.line(&format!(
            "   The events of a call have one key, so they share a partition and stay in order.\n   \
             One value in full: {shortest}"
        ))
    }

    fn show_an_outage(&mut self) -> Result<(), Error> {
        let before = self.outlet.raised().len();
        let node = self.cluster.node_ids()[0];
        self.cluster.stop_node(node).map_err(Error::Broker)?;
        self.raise(events::WHILE_THE_BROKER_IS_AWAY)?;
        thread::sleep(OUTAGE);
        self.cluster.start_node(node).map_err(Error::Broker)?;
        self.outlet.take_reports();
        let away = OUTAGE.as_millis();
        self.page.part(
            "3. THE BROKER GOES AWAY",
            &format!(" for {away} ms; events that are raised meanwhile wait, and none is lost"),
        )?;
        self.show_reports(&self.outlet.raised()[before..])
    }

    fn show_a_failure(&mut self) -> Result<(), Error> {
        let before = self.outlet.raised().len();
        let refusal = Rule::new(Fault::Error(ResponseError::TopicAuthorizationFailed));
        self.cluster.inject(refusal.api(ApiKey::Produce).times(1));
        for event in events::AROUND_A_REFUSAL {
            self.outlet.raise(event)?;
            self.outlet.take_reports();
        }
        self.page.part(
            "4. ONE EVENT FAILS",
            ": the broker was told to refuse the next one, as if an ACL were missing",
        )?;
        let raised = &self.outlet.raised()[before..];
        self.show_reports(raised)?;
        for raised in raised {
            if let Some(failure) = raised.failure() {
                self.page.line(&explanation(raised.number, failure))?;
            }
        }
        Ok(())
    }

    fn raise(&mut self, events: &'static [Event]) -> Result<(), Error> {
        events.iter().try_for_each(|event| self.outlet.raise(event))
    }

    fn show_reports(&self, raised: &[Raised]) -> Result<(), Error> {
        let heads = [
            Right("#"),
            Left("EVENT"),
            Left("KEY"),
            Right("PARTITION"),
            Right("OFFSET"),
            Left("REPORT"),
        ];
        let rows = raised.iter().map(|raised| {
            let [number, name, key] = identity(raised);
            let [partition, offset] = place(raised.delivered());
            [number, name, key, partition, offset, report(raised)]
        });
        self.page.table(heads, rows)
    }

    fn conclude(&self, console: &Console) -> Result<Exit, Error> {
        let balance = self.outlet.balance();
        let records = self.cluster.records(TOPIC);
        let as_raised = records.iter().filter(|record| {
            let raised = self.raised_as(record);
            raised.is_some_and(|raised| is_same(raised, record))
        });
        let (held, as_raised) = (records.len() as u64, as_raised.count() as u64);
        self.page.line(&format!(
            "\n{} events = {} delivered + {} failed + {} waiting; \
             the broker holds {held} records, {as_raised} of them as raised.",
            balance.accepted, balance.delivered, balance.failed, balance.held
        ))?;
        self.page.line(&format!(
            "Go on with: {program} broker          a broker like this one, to publish to\n            \
                         {program} publish --help  events of your own",
            program = program()
        ))?;
        if (balance.failed, balance.held) == (1, 0) && [held, as_raised] == [balance.delivered; 2] {
            return Ok(Exit::Well);
        }
        console.line("one event was to fail and all others to arrive; please report this");
        Ok(Exit::SomeFailed)
    }

    /// The event that was reported to be where this record is.
    fn raised_as(&self, record: &Record) -> Option<&Raised> {
        let place = (record.partition, Some(record.offset));
        self.outlet.raised().iter().find(|raised| {
            let delivered = raised.delivered();
            delivered.is_some_and(|delivered| (delivered.partition, delivered.offset) == place)
        })
    }
}

fn is_same(raised: &Raised, record: &Record) -> bool {
    record.key.as_deref() == raised.key.as_deref()
        && record.value.as_deref() == Some(&*raised.payload)
}

fn identity(raised: &Raised) -> [String; 3] {
    [
        raised.number.to_string(),
        raised.event.name.to_owned(),
        text(raised.key.as_deref()),
    ]
}

/// The event's name, as a consumer finds it.
fn method(record: &Record) -> String {
    #[derive(Deserialize)]
    struct Call {
        method: String,
    }
    let value = record.value.as_deref().unwrap_or_default();
    serde_json::from_slice(value).map_or(NOTHING.into(), |Call { method }| method)
}

fn parameters(event: &Event) -> String {
    let params = event.params.iter().map(|(name, value)| {
        let value = match value {
            Value::Null => NOTHING.to_owned(),
            Value::Text(value) => String::from_utf8_lossy(value).into_owned(),
            Value::Integer(number) => number.to_string(),
        };
        format!("{}={value}", String::from_utf8_lossy(name))
    });
    params.collect::<Vec<_>>().join(" ")
}

fn place(delivered: Option<&Delivered>) -> [String; 2] {
    let partition = delivered.map(|delivered| i64::from(delivered.partition));
    let offset = delivered.and_then(|delivered| delivered.offset);
    [partition, offset].map(|number| number.map_or(NOTHING.into(), |number| number.to_string()))
}

fn report(raised: &Raised) -> String {
    match &raised.report {
        None => "none".to_owned(),
        Some(report) => match &report.outcome {
            Ok(_) => format!("delivered in {} ms", report.after.as_millis()),
            Err(_) => "failed".to_owned(),
        },
    }
}

fn explanation(number: usize, failure: &Failure) -> String {
    let Failure {
        error,
        place,
        attempts,
        persisted,
        ..
    } = failure;
    let (name, code) = (error.name(), error.code());
    format!(
        "   Why {number} failed  {name} ({code}): {error}\n   \
            Where it was  {place}, attempts: {attempts}; trying again would not change this answer\n   \
            In Kafka?     {persisted}"
    )
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or(NOTHING.into(), |bytes| {
        String::from_utf8_lossy(bytes).into_owned()
    })
}

const TOPIC: &str = "sip-events";
const PARTITIONS: i32 = 3;
const OUTAGE: Duration = Duration::from_millis(300);
const NOTHING: &str = "-";
