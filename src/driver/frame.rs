//! Cuts the stream of a broker's answers into frames.

use std::io;

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

const LENGTH: usize = 4;

/// A frame is four bytes of length and that many bytes. Memory grows with what arrived, never with
/// what a length announces (tokio-util's own decoder reserves that at once).
#[derive(Debug)]
pub(crate) struct FrameDecoder {
    /// The longest frame that is taken for one.
    pub(crate) max_len: usize,
}

impl Decoder for FrameDecoder {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        let Some(length) = buffer.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let announced = i32::from_be_bytes(*length);
        let length = usize::try_from(announced)
            .ok()
            .filter(|length| *length <= self.max_len);
        let Some(length) = length else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                self.not_a_frame(buffer),
            ));
        };
        if buffer.len() < LENGTH + length {
            return Ok(None);
        }
        buffer.advance(LENGTH);
        Ok(Some(buffer.split_to(length)))
    }
}

impl FrameDecoder {
    fn not_a_frame(&self, buffer: &[u8]) -> String {
        let start = &buffer[..buffer.len().min(8)];
        format!(
            "the answer begins with {start:02x?}, which announces no frame of at most {} bytes; \
             is this a Kafka listener without TLS?",
            self.max_len
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> FrameDecoder {
        FrameDecoder { max_len: 1 << 20 }
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let stream = [
            &[0, 0, 0, 3][..],
            b"abc",
            &[0, 0, 0, 0],
            &[0, 0, 0, 1],
            b"z",
        ]
        .concat();
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for byte in stream {
            buffer.extend_from_slice(&[byte]);
            while let Some(frame) = decoder().decode(&mut buffer).unwrap() {
                frames.push(frame);
            }
        }
        assert_eq!(frames, [&b"abc"[..], b"", b"z"]);
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut buffer = BytesMut::from(&[0, 0x0f, 0xff, 0xff, 1, 2, 3][..]);
        let before = buffer.capacity();
        assert_eq!(decoder().decode(&mut buffer).unwrap(), None);
        assert_eq!(buffer.capacity(), before);
    }

    #[test]
    fn a_tls_alert_or_a_huge_length_is_an_error_that_shows_the_bytes() {
        for hostile in [&[0x15, 3, 3, 0, 2, 2, 80][..], &[0xff; 8], &[0, 0x10, 0, 1]] {
            let error = decoder().decode(&mut BytesMut::from(hostile)).unwrap_err();
            assert!(
                error.to_string().contains(&format!("{:02x}", hostile[0])),
                "{error}"
            );
        }
    }
}
