//! Work for other threads: a batch's records on their way to be compressed, and back.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kafka_wire::compression::{CompressError, Compressor};

use crate::accumulator::{Batch, Memory};
use crate::recording::Compressed;
use crate::settings::Compression;

/// The records of a batch that is to be compressed. The engine knows them by where they belong, and
/// keeps the order itself: results may come in any.
#[derive(Debug)]
pub struct Job {
    place: Place,
    compression: Compression,
    records: Vec<Bytes>,
    memory: Arc<Memory>,
}

/// What came of a [`Job`], for [`Engine::compressed`](crate::Engine::compressed).
#[derive(Debug)]
pub struct Done {
    pub(crate) place: Place,
    compression: Compression,
    /// `None`: the records stay as they are.
    compressed: Option<Vec<Bytes>>,
    /// What was compressed, in a replay: it does not know what came of it but the length.
    original: Option<Bytes>,
    pub(crate) failure: Option<String>,
}

impl Done {
    /// Puts what was compressed into the place of what was not.
    pub(crate) fn put_into(self, batch: &mut Batch) {
        if let Some(compressed) = self.compressed {
            batch.pack(self.compression.codec, compressed, self.original);
        }
    }

    pub(crate) fn recorded(&self) -> Compressed<'_> {
        let len = |bytes: &Vec<Bytes>| bytes.iter().map(Bytes::len).sum::<usize>() as u32;
        Compressed {
            lane: self.place.lane,
            number: self.place.number,
            len: self.compressed.as_ref().map(len),
            failure: self.failure.as_deref(),
        }
    }
}

/// A batch that is being compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) lane: u32,
    pub(crate) number: u64,
}

impl Job {
    pub(crate) fn new(
        place: Place,
        compression: Compression,
        records: Vec<Bytes>,
        memory: &Arc<Memory>,
    ) -> Self {
        Self {
            place,
            compression,
            records,
            memory: Arc::clone(memory),
        }
    }

    /// Compresses the records: this takes a while.
    pub fn run(self, compressor: &mut Compressor) -> Done {
        let Compression { codec, level } = self.compression;
        let records = self.records.iter().map(Bytes::as_ref);
        let compressed = compressor.compress(codec, level, records);
        let compressed = compressed.map(|bytes| bytes.map(|bytes| self.memory.store(bytes)));
        match compressed {
            Ok(compressed) => self.done(compressed, None),
            Err(CompressError { why, .. }) => self.fail(why),
        }
    }

    /// Leaves the records as they are, since nobody can compress them.
    pub fn fail(self, why: impl fmt::Display) -> Done {
        self.done(None, Some(why.to_string()))
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// What is recorded to have come of it.
    pub(crate) fn replayed(self, recorded: &Compressed<'_>) -> Done {
        let original = self.records.concat();
        // It was shorter, or else it would have stayed as it was.
        let compressed = recorded.len.map(|len| original.len().min(len as usize));
        let compressed = compressed.map(|len| vec![Bytes::from(vec![0; len])]);
        Done {
            original: Some(original.into()),
            ..self.done(compressed, recorded.failure.map(str::to_owned))
        }
    }

    fn done(self, compressed: Option<Vec<Bytes>>, failure: Option<String>) -> Done {
        Done {
            place: self.place,
            compression: self.compression,
            compressed,
            original: None,
            failure,
        }
    }
}
