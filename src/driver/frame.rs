//! Cuts the stream of a broker's answers into frames.

use std::{fmt, io};

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

const LENGTH: usize = 4;

/// A buffer that became larger than this for a large answer is not kept for small ones.
const KEPT: usize = 64 << 10;

/// A frame is four bytes of length and that many bytes. Memory grows with what arrived, never with
/// what a length announces (tokio-util's own decoder reserves that at once).
#[derive(Debug)]
pub(super) struct FrameDecoder {
    /// The longest frame that is taken for one.
    max_len: usize,
    /// Where in the stream the next frame begins.
    offset: u64,
}

/// Why there is no next frame.
#[derive(Debug)]
pub(super) enum FrameError {
    /// The system's word.
    Io(io::Error),
    /// The stream does not go on with a frame.
    NoFrame {
        /// Where in the stream.
        offset: u64,
        /// The bytes there.
        start: Vec<u8>,
        max_len: usize,
    },
    /// The stream ends within a frame.
    Cut {
        /// Where in the stream the frame begins.
        offset: u64,
        /// How much of it arrived, its length included.
        arrived: usize,
    },
}

impl FrameDecoder {
    pub(super) fn new(max_len: usize) -> Self {
        Self { max_len, offset: 0 }
    }

    /// How many bytes the length at the start of `buffer` announces, once it is there.
    fn announced(&self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(length) = buffer.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let announced = usize::try_from(i32::from_be_bytes(*length)).ok();
        let acceptable = announced.filter(|length| *length <= self.max_len);
        acceptable.map(Some).ok_or_else(|| FrameError::NoFrame {
            offset: self.offset,
            start: buffer[..buffer.len().min(8)].to_vec(),
            max_len: self.max_len,
        })
    }
}

impl Decoder for FrameDecoder {
    type Item = BytesMut;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        let length = match self.announced(buffer)? {
            Some(length) if buffer.len() >= LENGTH + length => length,
            _ => return Ok(None),
        };
        buffer.advance(LENGTH);
        let frame = buffer.split_to(length);
        if buffer.is_empty() && length > KEPT {
            *buffer = BytesMut::new();
        }
        self.offset += (LENGTH + length) as u64;
        Ok(Some(frame))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => Err(FrameError::Cut {
                offset: self.offset,
                arrived: buffer.len(),
            }),
            frame => Ok(frame),
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NoFrame {
                offset,
                start,
                max_len,
            } => {
                write!(
                    f,
                    "byte {offset} of its answers: {start:02x?} begins no frame of at most \
                     {max_len} bytes"
                )?;
                // What listens where a broker was expected, by its first bytes.
                f.write_str(match start[..] {
                    [0x14..=0x17, 3, ..] => "; this is TLS, and a plaintext listener is needed",
                    [b'H', b'T', b'T', b'P', ..] => "; this is HTTP, and no broker",
                    _ => "; is this a Kafka listener without TLS?",
                })
            }
            Self::Cut { offset, arrived } => write!(
                f,
                "byte {offset} of its answers: the frame that begins there was cut off after \
                 {arrived} bytes"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_LEN: usize = 1 << 20;

    fn decoder() -> FrameDecoder {
        FrameDecoder::new(MAX_LEN)
    }

    fn frame(content: &[u8]) -> Vec<u8> {
        let length = content.len() as i32;
        [&length.to_be_bytes(), content].concat()
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let stream = [frame(b"abc"), frame(b""), frame(b"z")].concat();
        let mut buffer = BytesMut::new();
        let mut decoder = decoder();
        let mut frames = Vec::new();
        for byte in stream {
            buffer.extend_from_slice(&[byte]);
            while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                frames.push(frame);
            }
        }
        assert_eq!(frames, [&b"abc"[..], b"", b"z"]);
        assert!(decoder.decode_eof(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut buffer = BytesMut::from(&[0, 0x0f, 0xff, 0xff, 1, 2, 3][..]);
        let before = buffer.capacity();
        assert_eq!(decoder().decode(&mut buffer).unwrap(), None);
        assert_eq!(buffer.capacity(), before);
    }

    #[test]
    fn the_memory_of_a_large_answer_is_not_kept() {
        let mut buffer = BytesMut::from(&frame(&[7; MAX_LEN])[..]);
        let large = decoder().decode(&mut buffer).unwrap().unwrap();
        assert_eq!(large.len(), MAX_LEN);
        drop(large);
        buffer.reserve(1);
        assert!(buffer.capacity() <= KEPT, "{}", buffer.capacity());
    }

    #[test]
    fn what_begins_no_frame_is_an_error_that_shows_where_and_what() {
        let cases = [
            (
                &[0x15, 3, 3, 0, 2, 2, 80][..],
                "[15, 03, 03, 00, 02, 02, 50]",
                "this is TLS",
            ),
            (
                b"HTTP/1.1 400",
                "[48, 54, 54, 50, 2f, 31, 2e, 31]",
                "this is HTTP",
            ),
            (
                &[0xff; 8],
                "[ff, ff, ff, ff, ff, ff, ff, ff]",
                "without TLS?",
            ),
            (
                &[0, 0x10, 0, 1],
                "[00, 10, 00, 01]",
                "at most 1048576 bytes",
            ),
        ];
        for (hostile, shown, hint) in cases {
            let mut decoder = decoder();
            let mut buffer = BytesMut::from(&[&frame(b"good"), hostile].concat()[..]);
            assert!(decoder.decode(&mut buffer).unwrap().is_some());
            let error = decoder.decode(&mut buffer).unwrap_err().to_string();
            for words in ["byte 8 of its answers", shown, hint] {
                assert!(error.contains(words), "{error}");
            }
        }
    }

    #[test]
    fn a_frame_that_is_cut_off_is_an_error_that_says_after_how_much() {
        for arrived in 1..10 {
            let mut decoder = decoder();
            let stream = [&frame(b"good"), &frame(b"endless")[..arrived]].concat();
            let mut buffer = BytesMut::from(&stream[..]);
            assert!(decoder.decode_eof(&mut buffer).unwrap().is_some());
            let error = decoder.decode_eof(&mut buffer).unwrap_err().to_string();
            assert!(error.contains("byte 8 of its answers"), "{error}");
            assert!(error.contains(&format!("after {arrived} bytes")), "{error}");
        }
    }
}
