//! The bytes of a recording: a mark that names the format and its version, a checksum of all that
//! follows, a header, and the entries, the oldest first.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::settings::Settings;
use crate::time::Time;

/// The last byte is the version.
const MARK: &[u8; 24] = b"event-kafka recording \n\x01";
const CHECKSUM: usize = 4;

/// What stands before the entries.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of whoever recorded it.
    pub(super) software: String,
    pub(super) settings: Settings,
    /// Of the engine's random choices.
    pub(super) seed: u64,
    /// Steps that are missing at the beginning.
    pub(super) lost: u64,
    /// Whether the last step was still under way.
    pub(super) cut: bool,
}

/// A recording that was read from a file.
#[derive(Debug)]
pub struct Recording {
    pub(super) header: Header,
    pub(super) entries: Arc<[u8]>,
}

/// Why a file is no recording that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingError {
    /// It is something else.
    NoRecording,
    /// It is one in a version that is not known here.
    OtherVersion {
        /// Which.
        found: u8,
    },
    /// Its end is missing, or bytes of it are others than were written.
    Damaged,
    /// It is as it was written, but what was written makes no sense.
    Malformed {
        /// Where, in bytes behind the header; `None`: in the header.
        offset: Option<usize>,
    },
}

impl Recording {
    /// Reads what [`Accumulator::recording`](crate::accumulator::Accumulator::recording) wrote.
    pub fn read(bytes: &[u8]) -> Result<Self, RecordingError> {
        let (mark, rest) = bytes.split_first_chunk().ok_or_else(|| unlike(bytes))?;
        if mark != MARK {
            return Err(unlike(bytes));
        }
        let (checksum, body) = rest.split_first_chunk().ok_or(RecordingError::Damaged)?;
        if u32::from_le_bytes(*checksum) != crc32c::crc32c(body) {
            return Err(RecordingError::Damaged);
        }
        let (header, entries) = postcard::take_from_bytes(body)
            .map_err(|_| RecordingError::Malformed { offset: None })?;
        check(entries)?;
        Ok(Self {
            header,
            entries: entries.into(),
        })
    }

    /// The version of the software that recorded it.
    pub fn software(&self) -> &str {
        &self.header.software
    }

    /// What the producer was told.
    pub fn settings(&self) -> &Settings {
        &self.header.settings
    }

    /// Steps that are missing at the beginning, because memory for them had run out.
    pub fn lost(&self) -> u64 {
        self.header.lost
    }

    /// What happened, in words: how long after the first step, and what.
    pub fn lines(&self) -> impl Iterator<Item = (std::time::Duration, String)> {
        let (mut start, mut now) = (None, Time::default());
        Entries(&self.entries)
            .filter_map(Result::ok)
            .map(move |entry| {
                if let Entry::Step(at, _) = entry {
                    start.get_or_insert(at);
                    now = at;
                }
                let line = match entry {
                    Entry::Step(..) => entry.to_string(),
                    _ => format!("    {entry}"),
                };
                (now.since(start.unwrap_or(now)), line)
            })
    }
}

/// Writes a recording.
pub(super) fn write(header: &Header, entries: &[&[u8]]) -> Vec<u8> {
    let head = [MARK.as_slice(), &[0; CHECKSUM]].concat();
    let mut file = postcard::to_extend(header, head).expect("memory takes whatever it is given");
    entries.iter().for_each(|part| file.extend_from_slice(part));
    let (_, rest) = file.split_at_mut(MARK.len());
    let (checksum, body) = rest.split_at_mut(CHECKSUM);
    checksum.copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    file
}

/// Entries, one after the other.
pub(super) struct Entries<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, postcard::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        Some(postcard::take_from_bytes(self.0).map(|(entry, rest)| {
            self.0 = rest;
            entry
        }))
    }
}

fn check(bytes: &[u8]) -> Result<(), RecordingError> {
    let mut entries = Entries(bytes);
    while let Some(entry) = entries.next() {
        entry.map_err(|_| RecordingError::Malformed {
            offset: Some(bytes.len() - entries.0.len()),
        })?;
    }
    Ok(())
}

/// What to say of a file that does not begin with the mark.
fn unlike(bytes: &[u8]) -> RecordingError {
    let (version, name) = MARK.split_last().expect("it is not empty");
    match bytes.strip_prefix(name) {
        Some([found, ..]) if found != version => RecordingError::OtherVersion { found: *found },
        Some(_) => RecordingError::Damaged,
        None => RecordingError::NoRecording,
    }
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecording => f.write_str("this is no recording of event-kafka"),
            Self::OtherVersion { found } => write!(
                f,
                "this is a recording in version {found} of the format, and {} is known here; use \
                 the event-kafka that it was made with",
                MARK[MARK.len() - 1]
            ),
            Self::Damaged => f.write_str("the recording is damaged, or its end is missing"),
            Self::Malformed { offset: None } => f.write_str("the recording's header is malformed"),
            Self::Malformed {
                offset: Some(offset),
            } => write!(
                f,
                "the recording is malformed at byte {offset} of its entries"
            ),
        }
    }
}

impl std::error::Error for RecordingError {}
