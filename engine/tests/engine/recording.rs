//! The flight recorder: what the engine was told is enough to have another one do the same.

use std::ops::Range;

use kafka_engine::Purge;
use kafka_engine::recording::{Recording, RecordingError, ReplayError, replay};
use kafka_engine::settings::{Settings, TopicCodec, TopicSettings};
use kafka_sim::{Cluster, Fault, Message, World, millis, secs};
use kafka_wire::ApiKey::Produce;
use kafka_wire::{Codec, ErrorCode};

/// The format's mark and version, and the checksum behind it.
const MARK: usize = 24;
const CHECKSUM: Range<usize> = MARK..MARK + 4;

fn recorded(bytes: usize, settings: Settings) -> World {
    let settings = Settings {
        recording: Some(bytes),
        ..settings
    };
    World::new(Cluster::new(3).with_topic("t", 2), settings)
}

/// A run with a bit of everything, to its end.
fn eventful() -> World {
    let mut world = recorded(
        1 << 20,
        Settings {
            idempotence: true,
            max_in_flight: 5,
            batch_messages: 10,
            ..Settings::default()
        },
    );
    let packed = TopicSettings {
        codec: TopicCodec::Own(Some(Codec::Zstd)),
        message_timeout: Some(secs(20)),
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &packed);
    let too_far = world.publish(&topic, &Message::of(10).to(7));
    for id in 1..=3 {
        let faults = [
            Fault::Refuse(ErrorCode::MESSAGE_TOO_LARGE),
            Fault::AppendThenClose,
        ];
        world.cluster.broker(id).script(Produce, faults);
    }
    world.publish_many(&topic, 25, &Message::of(500).key("call-1"));
    world.publish(&topic, &Message::of(0).waited_for());
    world.run_for(millis(200));
    assert!(world.outcomes[&too_far].result.is_err());
    let unknown = world.topic("never");
    world.publish(&unknown, &Message::default());
    world.begin_flush();
    world.run_dry(secs(60));
    world.accumulator.end_flush();
    world.publish_many(&topic, 3, &Message::of(5));
    world.purge(Purge {
        queued: true,
        in_flight: true,
    });
    world.run_for(secs(1));
    world.close();
    world
}

/// The checksum as a file's content wants it.
fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&file[CHECKSUM.end..]);
    file[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    file
}

#[test]
fn what_was_recorded_has_another_engine_do_the_same() {
    let mut world = eventful();
    world.verify();
    world.verify_replay();
}

#[test]
fn what_another_engine_does_otherwise_is_named_with_its_step() {
    let file = eventful().accumulator.recording().unwrap();
    // As if the engine that was recorded had sent other numbers.
    let wrong = |file: &[u8], from: &[u8], to: &[u8]| {
        let places = file.windows(from.len()).enumerate();
        let mut places = places.filter(|(_, window)| *window == from);
        let (at, _) = places.nth(1).expect("it is there");
        let mut file = file.to_vec();
        file[at..at + to.len()].copy_from_slice(to);
        sealed(file)
    };
    let file = wrong(&file, b"sequence 0", b"sequence 1");
    let recording = Recording::read(&file).unwrap();
    let replayed = replay(&recording, |_| ()).unwrap();
    let divergence = replayed.divergence.expect("it is noticed");
    assert_eq!(divergence.step, replayed.steps, "and the end");
    let (recorded, replayed) = (divergence.recorded.unwrap(), divergence.replayed.unwrap());
    assert_eq!(recorded, replayed.replace("sequence 0", "sequence 1"));
    assert!(
        divergence.told.starts_with("connection "),
        "{}",
        divergence.told
    );
}

#[test]
fn a_full_recorder_drops_the_oldest_and_its_recording_tells_the_rest() {
    const LIMIT: usize = 20_000;
    let mut world = recorded(LIMIT, Settings::default());
    let topic = world.topic("t");
    for _ in 0..500 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(10));
    }
    world.close();
    let file = world.accumulator.recording().unwrap();
    assert!(
        (LIMIT / 2..LIMIT + 1000).contains(&file.len()),
        "{}",
        file.len()
    );
    let recording = Recording::read(&file).unwrap();
    let lost = recording.lost();
    assert!(lost > 100, "{lost}");
    let Err(error) = replay(&recording, |_| ()) else {
        panic!("nobody knows where it begins")
    };
    assert_eq!(error, ReplayError::NoBeginning { lost });
    let lines: Vec<String> = recording.lines().map(|(_, line)| line).collect();
    assert_eq!(lines.last().unwrap(), "close");
    assert!(
        lines.iter().any(|line| line.contains("messages to t/")),
        "{lines:#?}"
    );
}

#[test]
fn a_recorder_with_little_memory_holds_nothing_rather_than_more() {
    for limit in [0, 1, 100] {
        let mut world = recorded(limit, Settings::default());
        let topic = world.topic("t");
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(1));
        let file = world.accumulator.recording().unwrap();
        let recording = Recording::read(&file).unwrap();
        let lines: usize = recording.lines().map(|(_, line)| line.len()).sum();
        assert!(lines <= 4 * limit, "{lines} characters");
        assert!(recording.lost() > 0);
    }
}

#[test]
fn a_recording_holds_no_content_of_messages() {
    let mut world = recorded(1 << 20, Settings::default());
    let topic = world.topic("t");
    let message = Message::of(200).key("a secret key");
    let opaque = world.publish_many(&topic, 100, &message)[99];
    world.run_dry(secs(1));
    let file = world.accumulator.recording().unwrap();
    let holds = |part: &[u8]| file.windows(part.len()).any(|window| window == part);
    assert!(!holds(b"secret"));
    assert!(!holds(&[opaque as u8; 20]), "the value");
    assert!(!holds(b"opaque"), "the header");
    world.verify_replay();
}

#[test]
fn without_a_recorder_there_is_no_recording() {
    let world = World::new(Cluster::new(1), Settings::default());
    assert_eq!(world.accumulator.recording(), None);
}

#[test]
fn a_file_that_is_none_or_damaged_is_an_error() {
    let file = eventful().accumulator.recording().unwrap();
    let read = |bytes: &[u8]| Recording::read(bytes).err();
    assert_eq!(read(&file), None);
    for none in [&b""[..], b"x", b"GET / HTTP/1.1\r\n\r\n and so on and on"] {
        assert_eq!(read(none), Some(RecordingError::NoRecording));
    }
    for len in (0..file.len()).step_by(7).chain(0..CHECKSUM.end) {
        assert!(read(&file[..len]).is_some(), "{len}");
    }
    for at in (CHECKSUM.start..file.len()).step_by(11) {
        let mut file = file.clone();
        file[at] ^= 0x10;
        assert_eq!(read(&file), Some(RecordingError::Damaged), "{at}");
    }
    let mut other = file;
    other[MARK - 1] = 7;
    assert_eq!(
        read(&other),
        Some(RecordingError::OtherVersion { found: 7 })
    );
}

#[test]
fn a_forged_recording_is_an_error_or_diverges() {
    let file = eventful().accumulator.recording().unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut unlike = 0;
    for _ in 0..500 {
        let mut forged = file.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(CHECKSUM.end..file.len());
            forged[at] = random.u8(..);
        }
        let Ok(recording) = Recording::read(&sealed(forged)) else {
            unlike += 1;
            continue;
        };
        // Nor does a panic of the engine reach who replays it: it is what may have been recorded.
        if let Ok(played) = kafka_sim::replay::replay(&recording) {
            unlike += u32::from(played.replay.divergence.is_some());
        } else {
            unlike += 1;
        }
    }
    assert!(unlike > 250, "{unlike}");
}
