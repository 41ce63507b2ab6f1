//! What we accept, the `kafka-protocol` crate accepts too, and it reads the same from it.
//!
//! It is not asked about other inputs, for it allocates what a length announces.

#![no_main]

use bytes::Bytes;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::Decodable;
use kafka_wire::message::*;
use kafka_wire::{ApiKey, ErrorCode, Message, Reader};
use kafka_wire_fuzz::{Case, bounded, with_message};
use libfuzzer_sys::fuzz_target;

#[path = "../../protocol/tests/codec/theirs.rs"]
mod convert;

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::of(data) else { return };
    if is_known_difference(case) {
        return;
    }
    macro_rules! compare {
        ($type:ident, $name:ident) => {{
            let mut reader = Reader::new(case.body);
            let decode = || $type::decode(&mut reader, case.version);
            let Ok(ours) = bounded(case.body, decode) else {
                return;
            };

            let mut unread = Bytes::copy_from_slice(case.body);
            let theirs = theirs::$type::decode(&mut unread, case.version)
                .expect("what we accept is accepted");
            assert_eq!(convert::$name(&theirs), ours);
            assert_eq!(unread.len(), reader.remaining());
        }};
    }
    with_message!(case, compare);
});

fn is_known_difference(case: Case<'_>) -> bool {
    match (case.api, case.is_request) {
        // Version 9 is flexible, but has no tagged fields yet: we skip tag 0, they refuse it.
        (ApiKey::Produce, false) => case.version == 9,
        // They read the refusal of a version in the form of the version asked for.
        (ApiKey::ApiVersions, false) => case
            .body
            .starts_with(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes()),
        _ => false,
    }
}
