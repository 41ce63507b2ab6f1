//! What is published: events of one size and keys in turn.

use std::fs;
use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;

use crate::error::Error;

pub(super) struct Events {
    /// Whole events, one after the other.
    bytes: Vec<u8>,
    size: usize,
    keys: Option<NonZeroU64>,
}

impl Events {
    /// Events of `size` bytes, at least one. Without a file there is one event, made up.
    pub(super) fn open(
        path: Option<&Path>,
        size: usize,
        keys: Option<NonZeroU64>,
    ) -> Result<Self, Error> {
        let bytes = match path {
            Some(path) => fs::read(path).map_err(|error| Error::read(path, error))?,
            None => MADE_UP.iter().copied().cycle().take(size).collect(),
        };
        match path {
            Some(path) if bytes.len() < size => Err(Error::ShortPayload {
                path: path.to_owned(),
                size,
            }),
            _ => Ok(Self { bytes, size, keys }),
        }
    }

    pub(super) fn value(&self, index: u64) -> &[u8] {
        let count = (self.bytes.len() / self.size) as u64;
        let start = (index % count) as usize * self.size;
        &self.bytes[start..start + self.size]
    }

    /// Writes the key of an event, if it has one, and says so.
    pub(super) fn write_key(&self, index: u64, key: &mut Vec<u8>) -> bool {
        let Some(keys) = self.keys else { return false };
        key.clear();
        write!(key, "call-{}@sip", index % keys).is_ok()
    }
}

const MADE_UP: &[u8] =
    br#"{"jsonrpc":"2.0","method":"E_CALL","params":{"caller":"sip:alice@example.org"}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn events(bytes: &[u8], size: usize, keys: u64) -> Events {
        Events {
            bytes: bytes.to_vec(),
            size,
            keys: NonZeroU64::new(keys),
        }
    }

    #[test]
    fn values_go_round_whole_events_only() {
        let events = events(b"aabbccd", 2, 0);
        let values: Vec<_> = (0..5).map(|index| events.value(index)).collect();
        assert_eq!(values, [b"aa", b"bb", b"cc", b"aa", b"bb"]);
    }

    #[test]
    fn keys_go_round() {
        let events = events(b"x", 1, 2);
        let mut key = Vec::new();
        let keys: Vec<_> = (0..3)
            .map(|index| {
                assert!(events.write_key(index, &mut key));
                String::from_utf8(key.clone()).unwrap()
            })
            .collect();
        assert_eq!(keys, ["call-0@sip", "call-1@sip", "call-0@sip"]);
    }
}
