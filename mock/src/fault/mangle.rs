//! Answers whose bytes are wrong.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};

use super::Fault;

/// The length that is announced in front of an answer.
const LENGTH: usize = 4;
/// After the length.
const CORRELATION: std::ops::Range<usize> = 0..4;
const ZEROS: &[u8] = &[0; 64 * 1024];

/// What is sent for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dressed {
    pub(crate) writes: Vec<Bytes>,
    pub(crate) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Close,
}

/// Applies faults, each with how often it was applied before, to an answer whose first four bytes are
/// its length. Other faults than those of bytes do nothing to it.
pub(super) fn dress<'a>(
    answer: Bytes,
    faults: impl Iterator<Item = (&'a Fault, u32)> + Clone,
) -> Dressed {
    let twice = faults
        .clone()
        .filter(|(fault, _)| matches!(fault, Fault::Twice));
    let copies = 1 << twice.count().min(8);
    let cut = faults
        .clone()
        .filter_map(|(fault, _)| match fault {
            Fault::CutOff(bytes) => Some(*bytes),
            _ => None,
        })
        .min();
    let mut piece = Piece::new(answer);
    for (fault, turn) in faults {
        piece.mangle(fault, turn);
    }
    let mut writes = piece.into_writes();
    writes = std::iter::repeat_n(writes, copies).flatten().collect();
    match cut {
        Some(bytes) => Dressed {
            writes: shorten(writes, bytes),
            then: Then::Close,
        },
        None => Dressed {
            writes,
            then: Then::GoOn,
        },
    }
}

/// An answer, or what is left of it.
struct Piece {
    announced: Announced,
    body: BytesMut,
    /// That follow the body.
    zeros: usize,
}

enum Announced {
    Truth,
    Lie(u32),
    Nothing,
}

impl Piece {
    fn new(answer: Bytes) -> Self {
        Self {
            announced: Announced::Truth,
            body: BytesMut::from(answer.get(LENGTH..).unwrap_or_default()),
            zeros: 0,
        }
    }

    fn mangle(&mut self, fault: &Fault, turn: u32) {
        match fault {
            Fault::Truncate(length) => self.truncate(*length),
            Fault::Trailing(bytes) => self.body.extend_from_slice(bytes),
            Fault::Garbage(bytes) => {
                self.announced = Announced::Nothing;
                self.body = BytesMut::from(&bytes[..]);
            }
            Fault::Overwrite { at, bytes } => {
                for (place, byte) in self.body.iter_mut().skip(*at).zip(bytes) {
                    *place = *byte;
                }
            }
            Fault::Corrupt { bits, seed } => {
                flip(&mut self.body, *bits, seed.wrapping_add(turn.into()));
            }
            Fault::Announce(length) => self.announced = Announced::Lie(*length),
            Fault::Flood(length) => {
                self.zeros = (*length as usize).saturating_sub(self.body.len());
            }
            Fault::WrongCorrelation(by) => self.shift_correlation(*by),
            _ => {}
        }
    }

    fn truncate(&mut self, length: usize) {
        self.body.truncate(length);
        self.zeros = self.zeros.min(length - self.body.len());
    }

    fn shift_correlation(&mut self, by: i32) {
        if let Some(field) = self.body.get_mut(CORRELATION)
            && let Ok(bytes) = <[u8; 4]>::try_from(&*field)
        {
            let wrong = i32::from_be_bytes(bytes).wrapping_add(by);
            field.copy_from_slice(&wrong.to_be_bytes());
        }
    }

    fn into_writes(self) -> Vec<Bytes> {
        let length = match self.announced {
            Announced::Truth => {
                Some(u32::try_from(self.body.len() + self.zeros).unwrap_or(u32::MAX))
            }
            Announced::Lie(length) => Some(length),
            Announced::Nothing => None,
        };
        let mut first = BytesMut::with_capacity(LENGTH + self.body.len());
        if let Some(length) = length {
            first.put_u32(length);
        }
        first.extend_from_slice(&self.body);
        let mut writes = vec![first.freeze()];
        let mut zeros = self.zeros;
        while zeros > 0 {
            let part = zeros.min(ZEROS.len());
            writes.push(Bytes::from_static(&ZEROS[..part]));
            zeros -= part;
        }
        writes
    }
}

fn flip(bytes: &mut [u8], bits: u32, seed: u64) {
    let all = bytes.len() * 8;
    let mut draw = fastrand::Rng::with_seed(seed);
    let mut drawn = BTreeSet::new();
    while drawn.len() < all.min(bits as usize) {
        drawn.insert(draw.usize(..all));
    }
    for bit in drawn {
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// The first so many bytes.
fn shorten(writes: Vec<Bytes>, bytes: usize) -> Vec<Bytes> {
    let mut left = bytes;
    let mut kept = Vec::new();
    for mut write in writes {
        write.truncate(left);
        left -= write.len();
        if !write.is_empty() {
            kept.push(write);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"\0\0\0\x08\0\0\0\x07body";

    fn dressed(faults: &[Fault]) -> Dressed {
        let each = faults.iter().map(|fault| (fault, 0));
        dress(Bytes::from_static(ANSWER), each)
    }

    fn sent(faults: &[Fault]) -> Vec<u8> {
        dressed(faults).writes.concat()
    }

    fn text(text: &'static [u8]) -> Bytes {
        Bytes::from_static(text)
    }

    #[test]
    fn the_length_tells_the_truth_about_what_is_left() {
        let faults = [Fault::Truncate(6), Fault::Trailing(text(b"!"))];
        assert_eq!(sent(&faults), b"\0\0\0\x07\0\0\0\x07bo!");
    }

    #[test]
    fn bytes_change_in_the_order_of_injection() {
        let faults = [Fault::Trailing(text(b"!")), Fault::Truncate(6)];
        assert_eq!(sent(&faults), b"\0\0\0\x06\0\0\0\x07bo");
    }

    #[test]
    fn a_lie_about_the_length_lasts() {
        let faults = [
            Fault::Announce(1),
            Fault::Trailing(text(b"!")),
            Fault::WrongCorrelation(-8),
        ];
        assert_eq!(sent(&faults), b"\0\0\0\x01\xff\xff\xff\xffbody!");
    }

    #[test]
    fn nothing_is_too_short_to_be_mangled() {
        let faults = [
            Fault::Truncate(0),
            Fault::WrongCorrelation(1),
            Fault::Corrupt { bits: 9, seed: 1 },
            Fault::Overwrite {
                at: 3,
                bytes: text(b"over"),
            },
        ];
        assert_eq!(sent(&faults), b"\0\0\0\0");
        assert!(dress(Bytes::new(), faults.iter().map(|fault| (fault, 0))).writes[0].len() == 4);
    }

    #[test]
    fn all_bits_are_flipped_at_most_once() {
        let faults = [Fault::Corrupt {
            bits: u32::MAX,
            seed: 1,
        }];
        let flipped: Vec<u8> = ANSWER[LENGTH..].iter().map(|byte| !byte).collect();
        assert_eq!(sent(&faults)[LENGTH..], flipped);
    }

    #[test]
    fn zeros_fill_up_to_the_length_that_is_announced() {
        let length = 3 * ZEROS.len() as u32 + 5;
        let sent = sent(&[Fault::Flood(length)]);
        assert_eq!(sent[..LENGTH], length.to_be_bytes());
        assert_eq!(sent[LENGTH..12], ANSWER[LENGTH..]);
        assert_eq!(sent.len(), LENGTH + length as usize);
        assert!(sent[12..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_short_flood_leaves_the_answer_as_it_is() {
        assert_eq!(sent(&[Fault::Flood(3)]), ANSWER);
    }

    #[test]
    fn the_earliest_cut_ends_all_copies() {
        let faults = [Fault::CutOff(20), Fault::Twice, Fault::CutOff(14)];
        let dressed = dressed(&faults);
        assert_eq!(dressed.writes.concat(), b"\0\0\0\x08\0\0\0\x07body\0\0");
        assert_eq!(dressed.then, Then::Close);
    }

    #[test]
    fn other_faults_leave_bytes_alone() {
        let faults = [Fault::CloseAfter, Fault::SwapWithNext, Fault::LeaderHints];
        let answer = dressed(&faults);
        assert_eq!(
            (answer.writes.concat(), answer.then),
            (ANSWER.to_vec(), Then::GoOn)
        );
    }
}
