//! `--record FILE`.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use event_kafka::Producer;

use crate::error::Error;

/// Bytes for the flight recorder. The help names the number.
pub(super) const MEMORY: usize = 256 << 20;

/// A file for what the producer's flight recorder holds at the end.
pub(super) struct Recording {
    path: PathBuf,
    file: File,
}

impl Recording {
    /// Creates the file: it is better to know at the beginning that this cannot be done.
    pub(super) fn create(path: PathBuf) -> Result<Self, Error> {
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(Error::write(&path, error)),
        }
    }

    pub(super) fn write(mut self, producer: &Producer) -> Result<(), Error> {
        let recording = producer.recording().unwrap_or_default();
        let written = self.file.write_all(&recording);
        written.map_err(|error| Error::write(&self.path, error))
    }
}
