//! What the worker shows of a socket beside what it has counted, for every process to read.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::memory::{Padded, UNIT};
use super::sockets::SocketState;

/// How a socket stands with its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Contact {
    /// The worker has not looked at it so far.
    #[default]
    Idle,
    /// No connection was made so far, and none has failed.
    Connecting,
    /// A broker can be used.
    Up,
    /// None can.
    Down,
    /// It is of no use: its producer has failed for good, or there is none.
    Failed,
}

/// How a socket is at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) contact: Contact,
    /// Which producer it has, as the worker numbers them; 0: none.
    pub(crate) producer: u64,
    /// Bytes of the messages that are held.
    pub(crate) held_bytes: u64,
    /// What went wrong last, if something has.
    pub(crate) trouble: Option<Trouble>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) code: i32,
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Cut to [`TEXT_BYTES`].
    pub(crate) text: String,
}

/// In what a socket is another one than when this was taken last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Up, down or failed.
    pub(crate) contact: Option<Contact>,
    pub(crate) is_full: Option<bool>,
}

/// The words of one socket. Only the worker stores those of `now`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Shown {
    now: Padded<Now>,
    /// What was taken of changes: [`Told`].
    told: Padded<AtomicU64>,
    /// 1: events of changes were raised by way of this socket.
    carries: AtomicU64,
}

#[derive(Debug)]
#[repr(C)]
struct Now {
    contact: AtomicU64,
    producer: AtomicU64,
    held_bytes: AtomicU64,
    /// Odd while what follows is being written: who reads it then, or sees another number
    /// afterwards, has read nonsense.
    version: AtomicU64,
    code: AtomicU64,
    /// 0: nothing went wrong.
    at_ms: AtomicU64,
    len: AtomicU64,
    text: [AtomicU64; TEXT_BYTES / UNIT],
}

/// What was told of a socket, as a word: the contact, and above it whether it was full.
struct Told(u64);

/// What fits into an error text of the C interface.
const TEXT_BYTES: usize = 256;
/// How often a trouble is read that is being written: the worker may have been killed there.
const TRIES: usize = 100;
const FULL: u64 = 1 << 8;

impl Shown {
    /// For whoever fills the slot anew.
    pub(super) fn clear(&self) {
        let now = &self.now;
        for word in [&now.contact, &now.producer, &now.held_bytes, &now.at_ms] {
            word.store(0, Ordering::Relaxed);
        }
        self.told.store(0, Ordering::Relaxed);
        self.carries.store(0, Ordering::Relaxed);
    }

    /// For the worker. A trouble stays until another one comes.
    pub(super) fn show(&self, condition: &Condition) {
        let now = &self.now;
        if let Some(trouble) = &condition.trouble {
            now.write(trouble);
        }
        now.held_bytes
            .store(condition.held_bytes, Ordering::Relaxed);
        now.producer.store(condition.producer, Ordering::Relaxed);
        // Release: who sees a socket down finds why.
        now.contact
            .store(condition.contact as u64, Ordering::Release);
    }

    pub(super) fn condition(&self) -> Condition {
        let now = &self.now;
        Condition {
            contact: Contact::from_word(now.contact.load(Ordering::Acquire)),
            producer: now.producer.load(Ordering::Relaxed),
            held_bytes: now.held_bytes.load(Ordering::Relaxed),
            trouble: (0..TRIES).find_map(|_| now.read()).flatten(),
        }
    }

    pub(super) fn has_changed(&self, state: SocketState) -> bool {
        let told = Told(self.told.load(Ordering::Relaxed));
        told.change(self.contact(), state) != Change::default()
    }

    /// Whoever asks first gets it.
    pub(super) fn take_change(&self, state: SocketState) -> Change {
        let before = self.told.load(Ordering::Relaxed);
        let contact = self.contact();
        let change = Told(before).change(contact, state);
        let after = Told(before).after(change).0;
        let taken = before != after
            && self
                .told
                .compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if taken { change } else { Change::default() }
    }

    pub(super) fn carries(&self) -> bool {
        self.carries.load(Ordering::SeqCst) != 0
    }

    pub(super) fn set_carries(&self) {
        self.carries.store(1, Ordering::SeqCst);
    }

    pub(super) fn producer(&self) -> u64 {
        self.now.producer.load(Ordering::Relaxed)
    }

    pub(super) fn held_bytes(&self) -> u64 {
        self.now.held_bytes.load(Ordering::Relaxed)
    }

    fn contact(&self) -> Contact {
        Contact::from_word(self.now.contact.load(Ordering::Acquire))
    }
}

impl Now {
    fn write(&self, trouble: &Trouble) {
        // Odd already where a worker was killed in here.
        let version = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(version, Ordering::Relaxed);
        fence(Ordering::Release);
        self.code
            .store(u64::from(trouble.code as u32), Ordering::Relaxed);
        self.at_ms.store(trouble.at_ms.max(1), Ordering::Relaxed);
        let text = &trouble.text[..trouble.text.floor_char_boundary(TEXT_BYTES)];
        self.len.store(text.len() as u64, Ordering::Relaxed);
        for (word, bytes) in self.text.iter().zip(text.as_bytes().chunks(UNIT)) {
            let mut padded = [0; UNIT];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        self.version
            .store(version.wrapping_add(1), Ordering::Release);
    }

    /// `None` if it is being written.
    fn read(&self) -> Option<Option<Trouble>> {
        let version = self.version.load(Ordering::Acquire);
        if !version.is_multiple_of(2) {
            std::thread::yield_now();
            return None;
        }
        let at_ms = self.at_ms.load(Ordering::Relaxed);
        let code = self.code.load(Ordering::Relaxed) as u32 as i32;
        let len = self.len.load(Ordering::Relaxed).min(TEXT_BYTES as u64) as usize;
        let words = self.text.iter().map(|word| word.load(Ordering::Relaxed));
        let mut bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        fence(Ordering::Acquire);
        if self.version.load(Ordering::Relaxed) != version {
            return None;
        }
        bytes.truncate(len);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some((at_ms != 0).then_some(Trouble { code, at_ms, text }))
    }
}

impl Told {
    fn change(&self, contact: Contact, state: SocketState) -> Change {
        let is_news = matches!(contact, Contact::Up | Contact::Down | Contact::Failed)
            && contact as u64 != self.0 & !FULL;
        // One that is closing has no more to say of its budget.
        let is_full = match state {
            SocketState::Full => Some(true),
            SocketState::Open => Some(false),
            SocketState::Closing => None,
        };
        Change {
            contact: is_news.then_some(contact),
            is_full: is_full.filter(|is_full| *is_full != (self.0 & FULL != 0)),
        }
    }

    fn after(&self, change: Change) -> Self {
        let contact = change.contact.map_or(self.0 & !FULL, |now| now as u64);
        let was_full = self.0 & FULL != 0;
        let full = change.is_full.unwrap_or(was_full);
        Self(contact | if full { FULL } else { 0 })
    }
}

impl Contact {
    /// What is no contact is none that is known.
    fn from_word(word: u64) -> Self {
        let all = [Self::Connecting, Self::Up, Self::Down, Self::Failed];
        let found = all.into_iter().find(|contact| *contact as u64 == word);
        found.unwrap_or_default()
    }
}
