//! One connection's socket: connects, reads frames, writes requests.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use kafka_engine::ConnId;
use kafka_engine::settings::Endpoint;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio_util::codec::FramedRead;

use super::frame::{FrameDecoder, FrameError};
use super::io_thread::Turn;

/// The longest answer that is taken: librdkafka's default of `receive.message.max.bytes`.
const MAX_ANSWER: usize = 100_000_000;

/// How long a connection that nothing can be written to any more is read on. One that was closed or
/// reset has its end at once.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Pieces of memory handed to one system call.
const WRITE_PIECES: usize = 64;

/// How a connection ended.
pub(super) enum End {
    /// By the system's or the broker's will; or there was none.
    Closed(String),
    /// By what the broker sent.
    Garbled(FrameError),
}

/// Runs a connection from its beginning to its end.
pub(super) async fn run(turn: &Turn, conn: ConnId, endpoint: &Endpoint, output: &Notify) -> End {
    let stream = match connect(endpoint, turn.connection_setup_timeout()).await {
        Ok(stream) => stream,
        Err(reason) => return End::Closed(reason),
    };
    turn.with(|engine, now| engine.opened(conn, now));
    let (mut read, mut write) = stream.into_split();
    let mut receive = pin!(receive(turn, conn, &mut read));
    let ended = tokio::select! {
        ended = &mut receive => ended,
        failed = transmit(turn, conn, &mut write, output) => {
            // Answers that came before the broker closed must not be taken for missing.
            match tokio::time::timeout(LAST_ANSWERS, receive).await {
                Ok(Err(error)) if !matches!(error, FrameError::Io(_)) => Err(error),
                _ => Err(FrameError::Io(failed)),
            }
        }
    };
    match ended {
        Ok(()) => End::Closed("the broker closed the connection".to_owned()),
        Err(FrameError::Io(error)) => End::Closed(error.to_string()),
        Err(error) => End::Garbled(error),
    }
}

/// Tries every address that the name has.
async fn connect(endpoint: &Endpoint, timeout: Duration) -> Result<TcpStream, String> {
    let Endpoint { host, port } = endpoint;
    let resolved = tokio::net::lookup_host((host.as_str(), *port)).await;
    let addresses: Vec<SocketAddr> = resolved
        .map_err(|error| format!("cannot resolve the name: {error}"))?
        .collect();
    let share = timeout / addresses.len().max(1) as u32;
    let mut reasons = Vec::new();
    for address in &addresses {
        // An address that the endpoint states itself needs no repetition.
        let place = match address.ip().to_string() == *host {
            true => String::new(),
            false => format!(" ({address})"),
        };
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are written whole: waiting for more to send only delays them.
                stream
                    .set_nodelay(true)
                    .map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Ok(Err(error)) => reasons.push(format!("{error}{place}")),
            Err(_) => reasons.push(format!("no answer within {share:?}{place}")),
        }
    }
    match reasons.is_empty() {
        true => Err("the name has no address".to_owned()),
        false => Err(reasons.join("; ")),
    }
}

async fn receive(turn: &Turn, conn: ConnId, read: &mut OwnedReadHalf) -> Result<(), FrameError> {
    let mut frames = FramedRead::new(read, FrameDecoder::new(MAX_ANSWER));
    while let Some(frame) = next(&mut frames).await? {
        turn.with(|engine, now| engine.receive(conn, &frame, now));
    }
    Ok(())
}

async fn next(
    frames: &mut FramedRead<&mut OwnedReadHalf, FrameDecoder>,
) -> Result<Option<BytesMut>, FrameError> {
    poll_fn(|context| Pin::new(&mut *frames).poll_next(context))
        .await
        .transpose()
}

/// Writes what there is to write, until that fails.
async fn transmit(
    turn: &Turn,
    conn: ConnId,
    write: &mut OwnedWriteHalf,
    output: &Notify,
) -> io::Error {
    loop {
        match turn.with(|engine, now| engine.poll_transmit(conn, now)) {
            Some(transmit) => {
                if let Err(error) = write_all(write, transmit.chunks).await {
                    return error;
                }
                turn.with(|engine, now| engine.transmitted(conn, now));
            }
            None => output.notified().await,
        }
    }
}

async fn write_all(
    write: &mut (impl AsyncWrite + Unpin),
    mut chunks: VecDeque<Bytes>,
) -> io::Result<()> {
    while !chunks.is_empty() {
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
        for (slice, chunk) in slices.iter_mut().zip(&chunks) {
            *slice = IoSlice::new(chunk);
        }
        let filled = chunks.len().min(WRITE_PIECES);
        match write.write_vectored(&slices[..filled]).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => skip(&mut chunks, written),
        }
    }
    Ok(())
}

/// Drops the first `count` bytes.
fn skip(chunks: &mut VecDeque<Bytes>, mut count: usize) {
    while let Some(first) = chunks.front_mut() {
        if first.len() > count {
            return first.advance(count);
        }
        count -= first.len();
        chunks.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_ends_at_the_byte_wherever_it_is() {
        let chunks = || VecDeque::from([&b"ab"[..], b"", b"cde"].map(Bytes::from_static));
        let rest = |count| {
            let mut chunks = chunks();
            skip(&mut chunks, count);
            chunks.into_iter().flatten().collect::<Vec<u8>>()
        };
        for count in 0..=5 {
            assert_eq!(rest(count), b"abcde"[count..]);
        }
    }
}
