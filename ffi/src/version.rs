//! Which library this is.

/// The version of the library that is in use, to compare with EVENT_KAFKA_VERSION, the version of
/// this header: major << 16 | minor << 8 | patch. The interface of versions 0.x may change with
/// every minor version.
///
/// Any thread, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn event_kafka_version() -> u32 {
    VERSION
}

const VERSION: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
    | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
    | number(env!("CARGO_PKG_VERSION_PATCH"));

const fn number(digits: &str) -> u32 {
    let digits = digits.as_bytes();
    let (mut value, mut at) = (0, 0);
    while at < digits.len() {
        value = value * 10 + (digits[at] - b'0') as u32;
        at += 1;
    }
    value
}
