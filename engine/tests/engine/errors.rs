//! Every error code in an answer to Produce, at the first, a middle and the last of five batches on
//! the wire, with and without idempotence: what becomes of that batch and of the others.
//!
//! `docs/errors.md` is written from what happens here; [`WRITE`] writes it anew.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;

use kafka_engine::error::{DeliveryError, Persisted};
use kafka_engine::settings::Settings;
use kafka_wire::ApiKey::Produce;
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Fault, Message, World, millis, secs};

/// Set this variable to have the document written.
const WRITE: &str = "WRITE_DOCS";

/// The codes of Kafka 4.4, and one that a later Kafka may have.
fn codes() -> impl Iterator<Item = ErrorCode> {
    let known = (-1..=136).filter(|code| *code != 0);
    known.chain([999]).map(ErrorCode)
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It counts as delivered at once.
    Delivered,
    Retried,
    /// It goes again under other sequence numbers.
    Renumbered,
    Split,
    Failed,
    /// It fails, and the producer with it.
    Fatal,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Renumbered => "retried, renumbered",
            Self::Split => "split",
            Self::Failed => "failed",
            Self::Fatal => "fatal",
        })
    }
}

/// What is done about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Treatment {
    plain: Fate,
    idempotent: Fate,
    persisted: Mark,
}

/// What is said of a batch whose last attempt is answered so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    No,
    Maybe,
    Yes,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Maybe => "maybe",
            Self::Yes => "yes",
        })
    }
}

#[test]
fn every_error_code_is_treated_alike_wherever_it_comes_and_as_the_document_says() {
    let treatments: BTreeMap<ErrorCode, Treatment> =
        codes().map(|code| (code, observe(code))).collect();
    check_against_others(&treatments);
    let document = document(&treatments);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &document).expect("docs/errors.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == document,
        "docs/errors.md is not what happens; {WRITE}=1 cargo test --package kafka-engine --test \
         engine errors:: writes it anew"
    );
}

fn observe(code: ErrorCode) -> Treatment {
    let fate = |idempotence| {
        let fates = [0, 2, 4].map(|nth| fate(code, nth, idempotence));
        assert!(
            fates.iter().all(|fate| *fate == fates[0]),
            "{code}: {fates:?}"
        );
        fates[0]
    };
    let persisted = [false, true].map(|idempotence| persisted(code, idempotence));
    assert_eq!(persisted[0], persisted[1], "{code}");
    Treatment {
        plain: fate(false),
        idempotent: fate(true),
        persisted: persisted[0],
    }
}

/// Five batches of two messages on their way, of which one is answered with the code.
fn five_batches(code: ErrorCode, nth: usize, settings: Settings) -> World {
    let settings = Settings {
        batch_messages: 2,
        ..settings
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish_many(&topic, 2, &Message::of(10));
    world.run_dry(secs(1));
    world.cluster.produced.clear();
    world.cluster.broker(1).latency = millis(10);
    let fault = match code {
        // It would be a lie otherwise.
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Fault::AppendThenRefuse(code),
        _ => Fault::Refuse(code),
    };
    let script = [vec![Fault::Obey; nth], vec![fault]].concat();
    world.cluster.broker(1).script(Produce, script);
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(10));
    world
}

/// What becomes of the `nth` of five batches; the others are delivered, unless nothing is any more.
fn fate(code: ErrorCode, nth: usize, idempotence: bool) -> Fate {
    let settings = Settings {
        idempotence,
        ..Settings::default()
    };
    let mut world = five_batches(code, nth, settings);
    world.verify();
    world.verify_once();
    if idempotence {
        world.verify_order();
    }
    let first = 2 + 2 * nth as u64;
    let others = (2..12).filter(|opaque| opaque / 2 != first / 2);
    let fatal = world.accumulator.fatal_error().map(|fatal| fatal.error);
    for opaque in others {
        let delivered = world.outcomes[&opaque].result.is_ok();
        let lost = fatal.is_some() && opaque > first;
        assert_eq!(delivered, !lost, "{code}: message {opaque}");
        assert!(delivered || world.failure(opaque).error == DeliveryError::Broker(code));
    }
    let outcomes = [first, first + 1].map(|opaque| world.outcomes[&opaque].result.is_ok());
    assert_eq!(outcomes[0], outcomes[1], "{code}: one fate for a batch");
    if fatal.is_some() {
        return Fate::Fatal;
    }
    if !outcomes[0] {
        return Fate::Failed;
    }
    let batches = world.cluster.produced.iter().flat_map(|request| {
        let batches = request.batches.iter().map(|(_, _, count, _)| *count);
        batches.zip(request.sequences.iter().map(|(_, epoch, _)| *epoch))
    });
    let (counts, epochs): (Vec<usize>, Vec<i16>) = batches.unzip();
    if counts.contains(&1) {
        Fate::Split
    } else if counts.len() == 5 {
        Fate::Delivered
    } else if epochs.iter().any(|epoch| *epoch > 0) {
        Fate::Renumbered
    } else {
        Fate::Retried
    }
}

/// What a report says of a batch that was answered so, if that was its last attempt.
fn persisted(code: ErrorCode, idempotence: bool) -> Mark {
    let settings = Settings {
        idempotence,
        max_retries: 0,
        ..Settings::default()
    };
    let world = five_batches(code, 0, settings);
    // Parts of a batch that is split are other batches.
    let split = world.cluster.produced.iter().flat_map(|r| &r.batches);
    let split = split.clone().any(|(_, _, count, _)| *count == 1);
    match &world.outcomes[&2].result {
        Ok(_) if split => Mark::No,
        Ok(_) => Mark::Yes,
        Err(failure) if failure.persisted == Persisted::Maybe => Mark::Maybe,
        Err(_) => Mark::No,
    }
}

/// What others do about a code: Kafka's own client without and with idempotence, and whether
/// librdkafka takes the batch to be in the log perhaps.
struct Others {
    code: i16,
    java: [Fate; 2],
    librdkafka: Mark,
    /// Why we do otherwise, if we do.
    why: Option<&'static str>,
}

const AFTER_APPEND: &str = "a leader may say so after it has appended: it was deposed, or its disk \
                            failed, before the answer";
const TRANSACTIONS_ONLY: &str = "no answer to a producer without transactions, and no reason to end \
                                 one";
const NO_ANSWER: &str = "no answer to Produce: a broker closes the connection over a version that it \
                         lacks";

fn others() -> Vec<Others> {
    use Fate::{Delivered, Failed, Fatal, Renumbered, Retried, Split};
    use Mark::{Maybe, No, Yes};
    let row = |code, java, librdkafka| Others {
        code,
        java,
        librdkafka,
        why: None,
    };
    let but = |code, java, librdkafka, why| Others {
        why: Some(why),
        ..row(code, java, librdkafka)
    };
    vec![
        but(-1, [Failed; 2], No, AFTER_APPEND),
        row(2, [Retried; 2], No),
        row(3, [Retried; 2], No),
        row(5, [Retried; 2], No),
        but(6, [Retried; 2], No, AFTER_APPEND),
        row(7, [Retried; 2], Maybe),
        row(8, [Failed; 2], No),
        row(9, [Retried; 2], No),
        row(10, [Split; 2], No),
        row(13, [Retried; 2], No),
        row(17, [Failed; 2], No),
        row(18, [Failed; 2], No),
        row(19, [Retried; 2], No),
        row(20, [Retried; 2], Maybe),
        row(21, [Failed; 2], No),
        row(29, [Failed; 2], No),
        row(31, [Failed, Fatal], No),
        row(32, [Failed; 2], No),
        but(35, [Failed, Fatal], No, NO_ANSWER),
        row(43, [Failed; 2], No),
        row(44, [Failed; 2], No),
        row(45, [Failed, Renumbered], No),
        row(46, [Delivered; 2], Yes),
        row(47, [Failed; 2], No),
        but(49, [Failed, Fatal], No, TRANSACTIONS_ONLY),
        row(51, [Retried; 2], No),
        but(53, [Failed, Fatal], No, TRANSACTIONS_ONLY),
        but(56, [Retried; 2], No, AFTER_APPEND),
        row(59, [Failed, Renumbered], No),
        row(74, [Retried; 2], No),
        row(75, [Retried; 2], No),
        row(76, [Failed; 2], No),
        row(87, [Failed; 2], No),
        row(89, [Retried; 2], No),
        row(90, [Failed, Fatal], No),
        row(100, [Retried; 2], No),
        row(103, [Retried; 2], No),
        row(120, [Failed; 2], No),
    ]
}

/// Who does otherwise has a reason, and who has a reason does otherwise.
fn check_against_others(treatments: &BTreeMap<ErrorCode, Treatment>) {
    let mut rest = treatments.clone();
    for others in others() {
        let code = ErrorCode(others.code);
        let ours = rest.remove(&code).expect("every code was tried");
        let same_fates = [ours.plain, ours.idempotent] == others.java;
        let same = same_fates && ours.persisted == others.librdkafka;
        assert_eq!(same, others.why.is_none(), "{code}: {ours:?}");
    }
    for (code, ours) in rest {
        let fate = match code.is_retriable() {
            true => Fate::Retried,
            false => Fate::Failed,
        };
        let expected = Treatment {
            plain: fate,
            idempotent: fate,
            persisted: Mark::No,
        };
        assert_eq!(ours, expected, "{code}");
    }
}

fn document(treatments: &BTreeMap<ErrorCode, Treatment>) -> String {
    let mut text = String::from(HEAD);
    for others in others() {
        let code = ErrorCode(others.code);
        let ours = treatments[&code];
        let [plain, idempotent] = others.java;
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {} | {} | {plain} | {idempotent} | {} | {} |",
            code.0,
            code.name(),
            ours.plain,
            ours.idempotent,
            ours.persisted,
            others.librdkafka,
            others.why.unwrap_or_default(),
        );
    }
    let listed: Vec<i16> = others().iter().map(|others| others.code).collect();
    let unlisted = treatments
        .iter()
        .filter(|(code, _)| !listed.contains(&code.0));
    let retried = unlisted.filter(|(_, ours)| ours.plain == Fate::Retried);
    let names: Vec<String> = retried
        .map(|(code, _)| format!("`{}` ({})", code.name(), code.0))
        .collect();
    text.push_str(TAIL);
    for name in names {
        let _ = writeln!(text, "- {name}");
    }
    text
}

const HEAD: &str = "\
# Errors in answers to Produce

What becomes of a batch whose answer has an error code: without and with `enable.idempotence`, and whether its messages,
should they fail with it, are reported as perhaps in the log (`persisted`). Beside that what Kafka's own client does, and
what librdkafka believes of the log.

- *delivered*: the log has it already; its offset is not known.
- *retried*: it is sent again, unless `retries` or `message.timeout.ms` forbid; *renumbered*: under another epoch, once
  nothing that is numbered before may be in the log any more.
- *split*: it is sent again in parts; a batch of one message fails.
- *failed*: it fails, or only the records that the answer names (KIP-467), and the others go again without them; what
  follows goes on under another epoch. With `enable.gapless.guarantee` the producer ends instead.
- *fatal*: the producer ends, and all that it holds fails with the same error.

This file is written by the test that tries every code at the first, the third and the last of five batches on the wire
(`WRITE_DOCS=1 cargo test --package kafka-engine --test engine errors::`), and the test fails when it is not up to date.
`cargo test --package event-kafka --test errors` demands the same of the whole producer, over TCP from `kafka-mock`.

| code | name | without | with idempotence | persisted | Java without | Java with | librdkafka: persisted | why otherwise |
|---|---|---|---|---|---|---|---|---|
";

const TAIL: &str = "
Every other code is no answer to Produce. Should one come all the same, its batch has failed and is not persisted, but for
those that Java takes for passing, which are retried:

";
