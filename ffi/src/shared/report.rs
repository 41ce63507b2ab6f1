//! A report in the report area.
//!
//! ```text
//! length of all that follows u32 | error i32 | opaque u64 | offset i64 | log append time i64
//! latency u64 | slot u32 | generation u32 | route u32 | partition i32 | attempts u32 | place u32
//! maybe persisted u32 | lengths, u32 each: topic, name of the error, its text, key, value
//! key and value as they were published u32, u32
//! topic | name of the error | its text | key | value
//! ```

use super::record::SocketId;
use super::wire::{Get, Put, length};

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report<'a> {
    /// What was published with it.
    pub(crate) opaque: u64,
    pub(crate) socket: SocketId,
    pub(crate) route: u32,
    /// 0: it was delivered. Otherwise a code of Kafka or librdkafka.
    pub(crate) error: i32,
    pub(crate) error_name: &'a str,
    pub(crate) error_text: &'a str,
    pub(crate) topic: &'a str,
    /// -1: none had been chosen.
    pub(crate) partition: i32,
    /// -1: it is not known, or there is none.
    pub(crate) offset: i64,
    /// In milliseconds since 1970; -1: it has its own time.
    pub(crate) log_append_time: i64,
    /// From its publishing to its outcome.
    pub(crate) latency_us: u64,
    pub(crate) attempts: u32,
    /// Where a message that failed was then: as in the C interface.
    pub(crate) place: u32,
    pub(crate) maybe_persisted: bool,
    pub(crate) key: Option<Part<'a>>,
    pub(crate) value: Option<Part<'a>>,
}

/// Bytes of a message, which may be its first ones only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) bytes: &'a [u8],
    /// How many there were when it was published.
    pub(crate) size: u32,
}

const FIXED: usize = 104;

impl<'a> Report<'a> {
    pub(super) fn encoded_len(&self) -> usize {
        let texts = [self.topic, self.error_name, self.error_text].map(str::len);
        let parts = [self.key, self.value].map(|part| part.map_or(0, |part| part.bytes.len()));
        FIXED + texts.iter().chain(&parts).sum::<usize>()
    }

    /// The same in at most so many bytes. What is too much is cut from the end of the value, then of
    /// the key, and last of the text of the error.
    pub(super) fn cut_to(mut self, most: usize) -> Self {
        let mut excess = self.encoded_len().saturating_sub(most);
        for part in [&mut self.value, &mut self.key].into_iter().flatten() {
            let left = part.bytes.len().saturating_sub(excess);
            excess -= part.bytes.len() - left;
            part.bytes = &part.bytes[..left];
        }
        let left = self.error_text.len().saturating_sub(excess);
        self.error_text = &self.error_text[..self.error_text.floor_char_boundary(left)];
        self
    }

    /// # Panics
    /// There are not [`Self::encoded_len`] bytes.
    pub(super) fn encode(&self, into: &mut [u8]) {
        let mut put = Put(into);
        put.u32(self.encoded_len() as u32);
        put.u32(self.error as u32);
        put.u64(self.opaque);
        put.u64(self.offset as u64);
        put.u64(self.log_append_time as u64);
        put.u64(self.latency_us);
        put.u32(self.socket.slot);
        put.u32(self.socket.generation);
        put.u32(self.route);
        put.u32(self.partition as u32);
        put.u32(self.attempts);
        put.u32(self.place);
        put.u32(self.maybe_persisted.into());
        let texts = [self.topic, self.error_name, self.error_text];
        let parts = [self.key, self.value];
        for text in texts {
            put.u32(text.len() as u32);
        }
        for part in parts {
            put.length(part.map(|part| part.bytes));
        }
        for part in parts {
            put.u32(part.unwrap_or_default().size);
        }
        // Up to a multiple of 8.
        put.u32(0);
        for text in texts {
            put.bytes(text.as_bytes());
        }
        for part in parts {
            put.bytes(part.unwrap_or_default().bytes);
        }
    }

    /// The first report of these, and what follows it; `None` if there is none, or nonsense.
    pub(super) fn decode_first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let len = Get(bytes).u32()? as usize;
        let (first, rest) = bytes.split_at_checked(len)?;
        Some((Self::decode(&mut Get(first))?, rest))
    }

    fn decode(get: &mut Get<'a>) -> Option<Self> {
        let _len = get.u32()?;
        let mut report = Self {
            error: get.u32()? as i32,
            opaque: get.u64()?,
            offset: get.u64()? as i64,
            log_append_time: get.u64()? as i64,
            latency_us: get.u64()?,
            socket: SocketId {
                slot: get.u32()?,
                generation: get.u32()?,
            },
            route: get.u32()?,
            partition: get.u32()? as i32,
            attempts: get.u32()?,
            place: get.u32()?,
            maybe_persisted: get.u32()? != 0,
            ..Self::default()
        };
        let texts = [get.u32()?, get.u32()?, get.u32()?];
        let [key, value] = [get.u32()?, get.u32()?];
        let [key_size, value_size] = [get.u32()?, get.u32()?];
        let _padding = get.u32()?;
        report.topic = str::from_utf8(get.bytes(texts[0])?).ok()?;
        report.error_name = str::from_utf8(get.bytes(texts[1])?).ok()?;
        report.error_text = str::from_utf8(get.bytes(texts[2])?).ok()?;
        let part = |size| move |bytes| Part { bytes, size };
        report.key = get.optional(key)?.map(part(key_size));
        report.value = get.optional(value)?.map(part(value_size));
        Some(report)
    }
}

impl<'a> Part<'a> {
    /// All of it.
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            size: length(Some(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report<'static> {
        Report {
            opaque: u64::MAX,
            socket: SocketId {
                slot: 1,
                generation: 2,
            },
            route: 3,
            error: -192,
            error_name: "_MSG_TIMED_OUT",
            error_text: "späte Antwort",
            topic: "sip-events",
            partition: -1,
            offset: 1 << 40,
            log_append_time: -1,
            latency_us: 5,
            attempts: 6,
            place: 4,
            maybe_persisted: true,
            key: Some(Part::whole(b"call")),
            value: Some(Part::whole(b"INVITE")),
        }
    }

    #[test]
    fn reports_come_out_one_after_another_as_they_went_in() {
        let nothing = Report {
            key: None,
            value: Some(Part::whole(b"")),
            ..Report::default()
        };
        let mut bytes = Vec::new();
        for report in [report(), nothing, report()] {
            let start = bytes.len();
            bytes.resize(start + report.encoded_len(), 0);
            report.encode(&mut bytes[start..]);
        }
        let (first, rest) = Report::decode_first(&bytes).unwrap();
        let (second, rest) = Report::decode_first(rest).unwrap();
        let (third, rest) = Report::decode_first(rest).unwrap();
        assert_eq!((first, second, third), (report(), nothing, report()));
        assert_eq!(Report::decode_first(rest), None);
        for len in 0..report().encoded_len() {
            assert_eq!(Report::decode_first(&bytes[..len]), None, "{len}");
        }
    }

    #[test]
    fn what_is_too_long_loses_its_value_first_then_its_key_then_words() {
        let whole = report();
        let len = whole.encoded_len();
        assert_eq!(whole.cut_to(len), whole);
        for cut in 1..=6 {
            let report = whole.cut_to(len - cut);
            let value = report.value.unwrap();
            assert_eq!((value.bytes, value.size), (&b"INVITE"[..6 - cut], 6));
            assert_eq!((report.key, report.encoded_len()), (whole.key, len - cut));
        }
        let report = whole.cut_to(len - 10 - 11);
        assert_eq!(
            report.key.unwrap(),
            Part {
                bytes: b"",
                size: 4
            }
        );
        // Half a character is none.
        assert_eq!(report.error_text, "sp");
    }
}
