//! One connection: requests in, one after another, and their answers.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;

use crate::api::{self, Answer, Frame, Turn};
use crate::fault::{End, Plan};
use crate::state::{RequestSeen, Shared};

/// Kafka's `socket.request.max.bytes`.
const LARGEST_REQUEST: usize = 100 * 1024 * 1024;
/// What is taken in of further requests while one waits for its answer.
const MOST_AHEAD: usize = 1024 * 1024;

/// Serves a client until one of the two ends it.
pub(super) async fn serve(stream: TcpStream, node: i32, number: u64, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut connection = Connection {
        stream,
        received: BytesMut::new(),
        node,
        number,
        shared,
    };
    let Err(farewell) = connection.run().await;
    match farewell {
        Farewell::Peer => tracing::debug!(node, connection = number, "closed by the client"),
        Farewell::Broken(error) => tracing::debug!(node, connection = number, %error, "broken"),
        Farewell::Refused(why) => tracing::warn!(node, connection = number, %why, "closed"),
        Farewell::Fault => tracing::debug!(node, connection = number, "closed by a fault"),
    }
}

struct Connection {
    stream: TcpStream,
    /// What has arrived and is not taken yet.
    received: BytesMut,
    node: i32,
    number: u64,
    shared: Arc<Shared>,
}

/// Why a connection ends.
#[derive(Debug)]
enum Farewell {
    Peer,
    Broken(io::Error),
    /// The client asked for something that brokers answer so.
    Refused(String),
    /// A fault wants it.
    Fault,
}

impl From<io::Error> for Farewell {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

enum Never {}

impl Connection {
    /// Like a real broker, it takes a request when the one before is answered.
    async fn run(&mut self) -> Result<Never, Farewell> {
        loop {
            let request = self.receive().await?;
            let arrived = Instant::now();
            let frame = Frame::parse(request).map_err(Farewell::Refused)?;
            let plan = self.plan(&frame, arrived);
            if let Some(end) = plan.before {
                self.end(end)?;
                continue;
            }
            let answer = self.answer(&frame, &plan, arrived).await?;
            if !plan.delay.is_zero() {
                self.meanwhile(time::sleep(plan.delay)).await?;
            }
            match (plan.after, answer) {
                (Some(end), _) => self.end(end)?,
                (None, Some(answer)) => self.send(&plan, answer).await?,
                (None, None) => {}
            }
        }
    }

    /// The next request, without its length.
    async fn receive(&mut self) -> Result<Bytes, Farewell> {
        loop {
            if let Some(mut length) = self.received.get(..4) {
                let length = length.get_u32() as usize;
                if length > LARGEST_REQUEST {
                    return Err(Farewell::Refused(format!("a request of {length} bytes")));
                }
                if self.received.len() - 4 >= length {
                    self.received.advance(4);
                    return Ok(self.received.split_to(length).freeze());
                }
            }
            // Grows with what arrives, whatever was announced.
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(Farewell::Peer);
            }
        }
    }

    /// Waits for something, unless the client goes away meanwhile.
    async fn meanwhile<T>(&mut self, event: impl Future<Output = T>) -> Result<T, Farewell> {
        tokio::pin!(event);
        loop {
            let room = self.received.len() < MOST_AHEAD;
            tokio::select! {
                outcome = &mut event => return Ok(outcome),
                read = self.stream.read_buf(&mut self.received), if room => if read? == 0 {
                    return Err(Farewell::Peer);
                },
            }
        }
    }

    fn plan(&self, frame: &Frame, at: Instant) -> Plan {
        self.shared.change(|state| {
            state.seen.push(RequestSeen {
                at,
                node: self.node,
                connection: self.number,
                api: frame.api,
                version: frame.version,
                client_id: frame.client_id.clone(),
                correlation: frame.correlation,
            });
            state.faults.plan(self.node, frame.api)
        })
    }

    /// The bytes to send, if the request wants an answer.
    async fn answer(
        &mut self,
        frame: &Frame,
        plan: &Plan,
        arrived: Instant,
    ) -> Result<Option<Bytes>, Farewell> {
        let mut changes = self.shared.watch();
        let mut turn = Turn::First;
        loop {
            changes.mark_unchanged();
            let answer = self.shared.change_if(|state| {
                let answer = api::answer(state, self.node, frame, plan, turn);
                // Else those who wait would wake each other for ever.
                let changed = !matches!(answer, Answer::Later(_));
                (answer, changed)
            });
            match answer {
                Answer::Send(bytes) => return Ok(Some(bytes)),
                Answer::Nothing => return Ok(None),
                Answer::Close(reason) => return Err(Farewell::Refused(reason)),
                Answer::Later(wait) => {
                    let changed = time::timeout_at((arrived + wait).into(), changes.changed());
                    turn = match self.meanwhile(changed).await? {
                        Ok(_) => Turn::Again,
                        Err(_) => Turn::Last,
                    };
                }
            }
        }
    }

    async fn send(&mut self, plan: &Plan, answer: Bytes) -> Result<(), Farewell> {
        for bytes in plan.dress(answer) {
            self.stream.write_all(&bytes).await?;
        }
        Ok(())
    }

    fn end(&self, end: End) -> Result<(), Farewell> {
        match end {
            End::Close => Err(Farewell::Fault),
            End::Ignore => Ok(()),
        }
    }
}
