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
    if is_read_differently(case) {
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
            let theirs = match theirs::$type::decode(&mut unread, case.version) {
                Ok(theirs) => theirs,
                Err(_) if is_refused_by_them(case) => return,
                Err(error) => panic!("what we accept is refused: {error}"),
            };
            assert_eq!(convert::$name(&theirs), ours);
            assert_eq!(unread.len(), reader.remaining());
        }};
    }
    with_message!(case, compare);
});

/// They read the refusal of a version in the form of the version asked for.
fn is_read_differently(case: Case<'_>) -> bool {
    let refusal = ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes();
    case.api == ApiKey::ApiVersions && !case.is_request && case.body.starts_with(&refusal)
}

/// Version 9 of Produce responses is flexible, but has no tagged fields yet: we skip tag 0, they
/// refuse it.
fn is_refused_by_them(case: Case<'_>) -> bool {
    case.api == ApiKey::Produce && !case.is_request && case.version == 9
}
