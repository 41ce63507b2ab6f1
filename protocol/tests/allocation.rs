//! Hostile input must not make a decoder allocate more than its length justifies.
//!
//! One test only, so that nothing else allocates while it counts.

use std::hint::black_box;

use kafka_wire::message::{
    ApiVersionsRequest, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse,
    MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse, decode_request_header,
    decode_response,
};
use kafka_wire::{ApiKey, MAX_AMPLIFICATION, Message};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[test]
fn decoding_allocates_at_most_a_fixed_multiple_of_the_input() {
    let mut worst = 0.0f64;
    for (api, frames) in GOLDEN {
        for frame in frames.lines().map(Frame::parse) {
            for input in hostile(&frame.bytes) {
                let before = ALLOCATOR.current_usage();
                ALLOCATOR.reset_peak_usage();
                decode(api, frame.direction, frame.version, &input);
                let peak = ALLOCATOR.peak_usage() - before;
                assert!(
                    peak <= MAX_AMPLIFICATION * input.len(),
                    "{} {} {}: {peak} bytes for {}",
                    api.name(),
                    frame.direction,
                    frame.version,
                    input.len(),
                );
                worst = worst.max(peak as f64 / input.len() as f64);
            }
        }
    }
    println!("at most {worst:.1} bytes are allocated per byte of input");
    assert!(
        worst * 2.0 > MAX_AMPLIFICATION as f64,
        "the stated bound is far too high"
    );
}

/// The frame cut off at every place, and there a count that just might fit the filling after it.
fn hostile(frame: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let counts = [1, 2, 3, 5, 6, 10, 18].map(|least| FILLING / least);
    let lies = counts
        .into_iter()
        .flat_map(|count| [compact(count), classic(count)]);
    let lies: Vec<_> = lies
        .chain([compact(u32::MAX as usize), classic(i32::MAX as usize)])
        .collect();
    (0..frame.len()).flat_map(move |cut| {
        let input = |(lie, fill): (&Vec<u8>, u8)| [&frame[..cut], lie, &[fill; FILLING]].concat();
        let fills = lies.iter().flat_map(|lie| [(lie, 0), (lie, 1)]);
        fills.map(input).collect::<Vec<_>>()
    })
}

fn compact(count: usize) -> Vec<u8> {
    let mut rest = count + 1;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn classic(count: usize) -> Vec<u8> {
    (count as i32).to_be_bytes().to_vec()
}

fn decode(api: ApiKey, direction: &str, version: i16, frame: &[u8]) {
    if direction.starts_with("response") {
        match api {
            ApiKey::Produce => {
                let _ = black_box(decode_response::<ProduceResponse<'_>>(api, version, frame));
            }
            ApiKey::Metadata => {
                let _ = black_box(decode_response::<MetadataResponse<'_>>(api, version, frame));
            }
            ApiKey::ApiVersions => {
                let _ = black_box(decode_response::<ApiVersionsResponse<'_>>(
                    api, version, frame,
                ));
            }
            ApiKey::InitProducerId => {
                let _ = black_box(decode_response::<InitProducerIdResponse>(
                    api, version, frame,
                ));
            }
        }
    } else if let Ok((_, mut body)) = decode_request_header(frame) {
        match api {
            ApiKey::Produce => {
                let _ = black_box(ProduceRequest::decode(&mut body, version));
            }
            ApiKey::Metadata => {
                let _ = black_box(MetadataRequest::decode(&mut body, version));
            }
            ApiKey::ApiVersions => {
                let _ = black_box(ApiVersionsRequest::decode(&mut body, version));
            }
            ApiKey::InitProducerId => {
                let _ = black_box(InitProducerIdRequest::decode(&mut body, version));
            }
        }
    }
}

struct Frame {
    direction: &'static str,
    version: i16,
    /// The frame without its size.
    bytes: Vec<u8>,
}

impl Frame {
    fn parse(line: &'static str) -> Self {
        let columns: Vec<_> = line.split(' ').collect();
        let [direction, version, hex] = columns[..] else {
            panic!("three columns")
        };
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hex digits");
        Self {
            direction,
            version: version.parse().expect("a version"),
            bytes: (8..hex.len()).step_by(2).map(byte).collect(),
        }
    }
}

const FILLING: usize = 3000;

/// See `codec/golden.rs` for what is in them.
const GOLDEN: [(ApiKey, &str); 4] = [
    (ApiKey::ApiVersions, include_str!("golden/api_versions.hex")),
    (ApiKey::Metadata, include_str!("golden/metadata.hex")),
    (ApiKey::Produce, include_str!("golden/produce.hex")),
    (
        ApiKey::InitProducerId,
        include_str!("golden/init_producer_id.hex"),
    ),
];
