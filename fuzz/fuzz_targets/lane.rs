//! Whatever a process writes into its own lane, the worker goes on, and the messages in another lane
//! arrive unharmed.

#![no_main]

#[allow(dead_code, reason = "a part of it is tested")]
#[path = "../../ffi/src/shared/mod.rs"]
mod shared;

use std::time::Duration;

use event_kafka::{Record, check_topic_name};
use libfuzzer_sys::fuzz_target;

use shared::area::{Area, Sizes};
use shared::record::Message;
use shared::worker::Worker;

const SIZES: Sizes = Sizes {
    lanes: 2,
    lane_bytes: 4096,
    sockets: 1,
    socket_bytes: 64,
    report_slots: 2,
    report_bytes: 1024,
};
const HONEST: u32 = 0;
const HOSTILE: usize = 1;
/// As [`Area::scribble`] counts them.
const TAIL: usize = 0;
const WORDS_OF_CONTROL: usize = 5;

fuzz_target!(|data: &[u8]| {
    let area = Area::create(&SIZES).expect("there is memory");
    let mut worker = Worker::attach(&area).expect("there is none yet");
    let socket = area.sockets().insert("host/topic").expect("it is empty");
    let message = Message {
        socket,
        route: 0,
        topic: Some("other"),
        record: Record::new("honest"),
    };
    drop(area.lane().expect("it is free"));
    area.sit_at(HOSTILE);

    let (mut sent, mut seen) = (0, 0);
    let mut serve = |sent: u64| {
        worker.serve(1024, |asker, found, _| {
            // Whoever wrote it: a topic of this name is opened.
            assert!(
                found
                    .topic
                    .is_none_or(|topic| check_topic_name(topic).is_ok())
            );
            if asker.seat == HONEST {
                let record = &found.record;
                assert_eq!((record.value, record.opaque), (message.record.value, seen));
                assert_eq!(found.topic, message.topic);
                seen += 1;
            }
        });
        // One turn has room for all that is sent between two.
        assert_eq!(seen, sent);
    };
    let mut input = Input(data);
    while let Some(step) = input.byte() {
        match step % 8 {
            // It says where it is: somewhere, or where it could be.
            0 => area.scribble(HOSTILE, input.number(1), input.word()),
            1 => area.scribble(HOSTILE, TAIL, input.number(2) as u64 * 8),
            // It writes something, anywhere.
            2..=5 => {
                let at = WORDS_OF_CONTROL + input.number(2);
                for n in 0..usize::from(step >> 3) {
                    area.scribble(HOSTILE, at + n, input.word());
                }
            }
            6 => {
                let record = message.record.opaque(sent);
                let published = area.publish(&Message { record, ..message }, Duration::ZERO);
                published.expect("what is sent is soon seen");
                sent += 1;
                serve(sent);
            }
            _ => serve(sent),
        }
    }
    serve(sent);
});

/// Numbers from the bytes at hand, and zeroes behind their end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self, bytes: u32) -> usize {
        (0..bytes).fold(0, |number, _| {
            number << 8 | usize::from(self.byte().unwrap_or(0))
        })
    }

    fn word(&mut self) -> u64 {
        self.number(8) as u64
    }
}
