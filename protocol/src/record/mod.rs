//! Record batches of format v2 (KIP-98): written in place, sealed with a header, read back.
//!
//! A batch is a header of [`BATCH_HEADER_LEN`] bytes and its records. The writer appends each
//! record once ([`RecordFields::encode`]) and makes the header when the batch is sent
//! ([`BatchHeader::seal`]), so nothing that is already written has to move.

mod batch;
mod fields;
mod headers;
mod reader;

pub use batch::{Attributes, BATCH_HEADER_LEN, BatchHeader, read_batch};
pub use fields::RecordFields;
pub use headers::{Header, RawHeaders, RecordHeaders};
pub use reader::{RecordReader, RecordView};
