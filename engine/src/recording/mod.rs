//! The flight recorder: what the engine was told, and what came of it, so that a run that went wrong
//! can be looked at, and be repeated with [`replay`].
//!
//! The engine is a function of what it is told. The I/O thread tells it by calling it: each call is
//! a *step*, with its time. Other threads tell it by what they leave in the parts that threads
//! share: records in the queues of partitions and stages, new topics, the list of work, whether
//! somebody flushes. None of that is read but at a *look*, and the looks of a step are counted. What
//! a look finds that the last one did not is recorded under its number. So publishers race with the
//! engine as ever, in the middle of its steps too, and the recording says at which look each record
//! was there. A publisher notes what it appends in the queue itself, under the lock that it holds
//! for the record anyhow; the next look takes the notes along. Nobody waits for the recorder but the
//! I/O thread.
//!
//! What else differs from run to run is recorded as well: the seed, the readings of the publishers'
//! clocks, which partition a staged record was given, and how large batches became when they were
//! compressed. What the engine yields is recorded as lines of text, for people and for [`replay`],
//! which compares: requests, connections, jobs, and the outcome of every message.
//!
//! Of messages the recording holds the lengths of keys, values and headers, their timestamps and
//! opaque values, and not one byte of content: nothing that the engine does depends on one. It does
//! hold the addresses of brokers, what they answered, the names of topics, and the settings.
//!
//! It takes as much memory as [`Settings::recording`](crate::settings::Settings::recording) says,
//! besides the notes on records that the engine has not seen. When that is used up the oldest goes:
//! what led to an incident is what counts. The rest can still be read, but not be repeated, since
//! nobody knows what state it begins in.

mod entry;
mod file;
mod notes;
mod replay;
mod tape;

pub use file::{Recording, RecordingError};
pub use replay::{Divergence, Replay, ReplayError, replay};

pub(crate) use entry::{Compressed, Message, Place, Step};
pub(crate) use notes::{NotedClock, Notes};
pub(crate) use tape::Tape;
