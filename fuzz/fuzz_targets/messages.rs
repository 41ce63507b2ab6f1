//! No input makes a decoder panic, or allocate more than its length justifies.

#![no_main]

use kafka_wire::message::*;
use kafka_wire::{ApiKey, Message, Reader};
use kafka_wire_fuzz::{Case, bounded, with_message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = bounded(data, || {
        decode_request_header(data).map(|(header, _)| header)
    });
    let Some(case) = Case::of(data) else { return };
    macro_rules! decode {
        ($type:ident, $_name:ident) => {{
            let body = || $type::decode(&mut Reader::new(case.body), case.version).is_ok();
            bounded(case.body, body);
            let frame = || decode_response::<$type>(case.api, case.version, case.body).is_ok();
            bounded(case.body, frame);
        }};
    }
    with_message!(case, decode);
});
