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
use kafka_engine::settings::{Endpoint, SocketSettings};
use kafka_engine::time::Clock;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio_util::codec::FramedRead;

use super::clock::SystemClock;
use super::frame::{FrameDecoder, FrameError};
use super::io_thread::Turn;
use super::resolver::Place;

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
    let (stream, place) = match connect(turn, endpoint).await {
        Ok(connected) => connected,
        Err(reason) => return End::Closed(reason),
    };
    turn.with(|engine, now| engine.opened(conn, now));
    let (mut read, mut write) = stream.into_split();
    let mut receive = pin!(receive(turn, conn, &mut read, place));
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
async fn connect(turn: &Turn, endpoint: &Endpoint) -> Result<(TcpStream, Place), String> {
    let place = turn.resolver().resolve(endpoint).await?;
    let share = turn.settings().connection_setup_timeout / place.addresses.len() as u32;
    let mut reasons = Vec::new();
    for address in &place.addresses {
        // An address that the endpoint states itself needs no repetition.
        let which = match address.ip().to_string() == endpoint.host {
            true => String::new(),
            false => format!(" ({address})"),
        };
        let connecting = connect_to(*address, &turn.settings().sockets);
        match tokio::time::timeout(share, connecting).await {
            Ok(Ok(stream)) => return Ok((stream, place)),
            Ok(Err(error)) => reasons.push(format!("{error}{which}")),
            Err(_) => reasons.push(format!("no answer within {share:?}{which}")),
        }
    }
    Err(reasons.join("; "))
}

async fn connect_to(address: SocketAddr, settings: &SocketSettings) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Before connecting: the window that TCP can offer later is agreed upon then.
    if let Some(bytes) = settings.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = settings.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_keepalive(settings.keepalive)?;
    socket.set_nodelay(settings.nodelay)?;
    socket.connect(address).await
}

async fn receive(
    turn: &Turn,
    conn: ConnId,
    read: &mut OwnedReadHalf,
    place: Place,
) -> Result<(), FrameError> {
    let mut place = Some(place);
    let mut frames = FramedRead::new(read, FrameDecoder::new(turn.settings().sockets.max_answer));
    while let Some(frame) = next(&mut frames).await? {
        if let Some(place) = place.take() {
            turn.resolver().remember(place, SystemClock.now());
        }
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
