//! What can be decoded can be encoded, and is then decoded to the same.

#![no_main]

use kafka_wire::message::*;
use kafka_wire::{ApiKey, Message, Reader, Writer};
use kafka_wire_fuzz::{Case, bounded, with_message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::of(data) else { return };
    macro_rules! round_trip {
        ($type:ident, $_name:ident) => {{
            let decode = || $type::decode(&mut Reader::new(case.body), case.version);
            let Ok(message) = bounded(case.body, decode) else {
                return;
            };

            let bytes = encode(&message, case.version);
            let mut reader = Reader::new(&bytes);
            let again = bounded(&bytes, || $type::decode(&mut reader, case.version));
            assert_eq!(again.as_ref(), Ok(&message));
            assert_eq!(reader.remaining(), 0);
            assert_eq!(encode(&message, case.version), bytes);
        }};
    }
    with_message!(case, round_trip);
});

fn encode<'a>(message: &impl Message<'a>, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    message
        .encode(&mut writer, version)
        .expect("what was decoded fits its version");
    writer.into_parts().bytes
}
