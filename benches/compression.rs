//! What each codec makes of SIP events at its usual level, and what that costs its thread, as a table:
//! `cargo bench --bench compression`.

use event_kafka::opensips::Value::{self, Integer, Text};
use event_kafka::opensips::{Event, Params, Payload};
use fastrand::Rng;
use kafka_wire::compression::{Codec, Compressor};
use kafka_wire::record::{Header, RecordFields};
use nix::time::{ClockId, clock_gettime};

/// Messages in a batch: those of a quiet partition, of a busy one, and of one that was away.
const BATCHES: [usize; 3] = [10, 100, 1_000];

/// Different ones, so that no codec meets a batch that its tables have just seen.
const DISTINCT: usize = 50;

/// So many messages are compressed before the clock is read and while it runs.
const WARM_UP: usize = 20_000;
const MEASURED: usize = 200_000;

fn main() {
    for messages in BATCHES {
        let mut rng = Rng::with_seed(messages as u64);
        let batches: Vec<_> = (0..DISTINCT).map(|_| batch(messages, &mut rng)).collect();
        let bytes: usize = batches.iter().map(Vec::len).sum();
        let plain = bytes as f64 / (DISTINCT * messages) as f64;
        println!("\nbatches of {messages} messages of {plain:.0} bytes each\n");
        println!("| codec | bytes per message | of 100 bytes are left | CPU per message |");
        println!("|---|---:|---:|---:|");
        for codec in Codec::ALL {
            let mut compressor = Compressor::new();
            run(&mut compressor, codec, &batches, WARM_UP / messages);
            let start = cpu_ns();
            let (left, count) = run(&mut compressor, codec, &batches, MEASURED / messages);
            let spent = (cpu_ns() - start) as f64 / (count * messages) as f64;
            let left = left as f64 / (count * messages) as f64;
            let share = 100.0 * left / plain;
            println!("| {codec} | {left:.0} | {share:.0} | {spent:.0} ns |");
        }
    }
}

/// Compresses so many batches, and returns how many bytes are left of how many batches.
fn run(
    compressor: &mut Compressor,
    codec: Codec,
    batches: &[Vec<u8>],
    count: usize,
) -> (usize, usize) {
    let batches = batches.iter().cycle().take(count);
    let left = batches.map(|batch| {
        let compressed = compressor.compress(codec, None, [&batch[..]]);
        let compressed = compressed.expect("it does not fail");
        compressed.map_or(batch.len(), <[u8]>::len)
    });
    (left.sum(), count)
}

/// Records of events, one after the other.
fn batch(messages: usize, rng: &mut Rng) -> Vec<u8> {
    let mut records = Vec::new();
    for n in 0..messages {
        let call = Call::draw(rng);
        let mut value = Vec::new();
        call.write_event(rng.u8(0..4), &mut value);
        let no_headers: &[Header<'_>] = &[];
        RecordFields {
            timestamp_delta: n as i64 / 10,
            offset_delta: n as i32,
            key: Some(call.id.as_bytes()),
            value: Some(&value),
            headers: no_headers,
        }
        .encode(&mut records);
    }
    records
}

/// What differs from call to call.
struct Call {
    id: String,
    caller: String,
    callee: String,
    gateway: String,
    tag: String,
    duration: i32,
}

impl Call {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            id: format!("{:032x}@10.0.{}.{}", rng.u128(..), rng.u8(..4), rng.u8(..)),
            caller: format!("sip:+4930{:07}@sip.example.com", rng.u32(..10_000_000)),
            callee: format!("sip:+4989{:07}@sip.example.com", rng.u32(..10_000_000)),
            gateway: format!("sip:203.0.113.{}:5060", rng.u8(..32)),
            tag: format!("{:08x}", rng.u32(..)),
            duration: rng.i32(1..3_600),
        }
    }

    fn write_event(&self, kind: u8, out: &mut Vec<u8>) {
        let id = (&b"callid"[..], Text(self.id.as_bytes()));
        let caller = (&b"from_uri"[..], Text(self.caller.as_bytes()));
        let callee = (&b"to_uri"[..], Text(self.callee.as_bytes()));
        match kind {
            0 => write(
                b"E_ACC_CDR",
                &[
                    (b"method", Text(b"INVITE")),
                    (b"from_tag", Text(self.tag.as_bytes())),
                    id,
                    (b"sip_code", Text(b"200")),
                    (b"sip_reason", Text(b"OK")),
                    caller,
                    callee,
                    (b"gateway", Text(self.gateway.as_bytes())),
                    (b"duration", Integer(self.duration)),
                    (b"setuptime", Integer(self.duration % 20)),
                ],
                out,
            ),
            1 => write(
                b"E_DLG_STATE_CHANGED",
                &[
                    (b"hash_entry", Integer(self.duration)),
                    (b"old_state", Integer(3)),
                    (b"new_state", Integer(4)),
                    id,
                    caller,
                    callee,
                ],
                out,
            ),
            2 => write(
                b"E_UL_CONTACT_INSERT",
                &[
                    (b"domain", Text(b"location")),
                    (b"aor", Text(self.caller.as_bytes())),
                    (b"address", Text(self.gateway.as_bytes())),
                    id,
                    (b"expires", Integer(3600)),
                ],
                out,
            ),
            _ => write(
                b"E_ACC_MISSED_EVENT",
                &[
                    (b"method", Text(b"INVITE")),
                    (b"from_tag", Text(self.tag.as_bytes())),
                    id,
                    (b"sip_code", Text(b"486")),
                    (b"sip_reason", Text(b"Busy Here")),
                    caller,
                    callee,
                ],
                out,
            ),
        }
    }
}

fn write<'a>(name: &'a [u8], params: &'a [(&'a [u8], Value<'a>)], out: &mut Vec<u8>) {
    Event::new(name, Params::Named(params)).write(Payload::Json, out);
}

/// What this thread has had of a processor, which others on a busy machine do not add to.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every kernel has it");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}
