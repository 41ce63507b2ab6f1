//! One connection: requests in, one after another, and their answers.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use tokio::net::TcpStream;
use tokio::time;

use super::wire::{Read, Wire};
use crate::api::{self, Answer, Frame, Turn};
use crate::fault::{Dressed, End, FaultId, Plan, Then, Wait};
use crate::state::{RequestSeen, Shared};

/// What is taken in of further requests while one waits for its answer.
const MOST_AHEAD: usize = 1024 * 1024;

/// A connection that the cluster knows of, until this is dropped.
pub(super) struct Registered {
    number: u64,
    node: i32,
    shared: Arc<Shared>,
}

impl Registered {
    pub(super) fn new(node: i32, shared: Arc<Shared>) -> Self {
        let number = shared.change(|state| {
            let number = state.accepted(node);
            state.faults.connected(number, node);
            number
        });
        Self {
            number,
            node,
            shared,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns when a fault wants the connection to be closed.
    async fn doom(&self) {
        let mut faults = self.shared.look(|state| state.faults.watch());
        while !self
            .shared
            .look(|state| state.faults.is_doomed(self.number))
        {
            let _ = faults.changed().await;
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared
            .change(|state| state.faults.disconnected(self.number));
    }
}

/// Serves a client until one of the two ends it.
pub(super) async fn serve(stream: TcpStream, registered: Registered) {
    let (node, number) = (registered.node, registered.number);
    let shared = registered.shared.clone();
    let mut connection = Connection {
        wire: Wire::new(stream, number, shared.clone()),
        held: None,
        node,
        number,
        shared,
    };
    let farewell = tokio::select! {
        farewell = connection.run() => match farewell { Err(farewell) => farewell },
        () = registered.doom() => Farewell::Fault,
    };
    match &farewell {
        Farewell::Peer => tracing::debug!(node, connection = number, "closed by the client"),
        Farewell::Broken(error) => tracing::debug!(node, connection = number, %error, "broken"),
        Farewell::Refused(why) => {
            let is_news = connection
                .shared
                .change_if(|state| (state.is_news(why), false));
            if is_news {
                tracing::warn!(node, connection = number, %why, "closed");
            }
        }
        Farewell::Fault | Farewell::Reset => {
            tracing::debug!(node, connection = number, "closed by a fault");
        }
    }
    match farewell {
        Farewell::Reset => connection.wire.reset(),
        _ => connection.wire.close(),
    }
}

struct Connection {
    wire: Wire,
    /// Goes out after the next answer, or when the fault is withdrawn.
    held: Option<(FaultId, Dressed)>,
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
    /// A fault wants it, and without ceremony.
    Reset,
}

impl From<io::Error> for Farewell {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

enum Never {}

impl Connection {
    async fn run(&mut self) -> Result<Never, Farewell> {
        for greeting in self.wire.habits().greetings.clone() {
            self.wire.write(greeting).await?;
        }
        loop {
            let request = self.next_request().await?;
            self.serve(request).await?;
        }
    }

    /// Like a real broker, it takes up a request when the one before is answered.
    async fn serve(&mut self, request: Bytes) -> Result<(), Farewell> {
        let arrived = Instant::now();
        let frame = Frame::parse(request).map_err(Farewell::Refused)?;
        let shakes_hands = frame.api == ApiKey::ApiVersions;
        let leaves = self.wire.habits().close_after_handshake;
        let plan = self.plan(&frame, arrived);
        if leaves && !shakes_hands {
            return Err(Farewell::Fault);
        }
        let answer = self.apply(&frame, &plan, arrived).await?;
        self.pass(&plan.waits_after()).await?;
        match (plan.before().or(plan.after()), answer) {
            (Some(end), _) => self.end(end).await?,
            (None, Some(answer)) => self.send(&plan, answer).await?,
            (None, None) => {}
        }
        if leaves {
            return Err(Farewell::Fault);
        }
        Ok(())
    }

    async fn next_request(&mut self) -> Result<Bytes, Farewell> {
        let mut idle_since = Instant::now();
        loop {
            self.release_withdrawn().await?;
            if let Some(request) = self.wire.take_request().map_err(Farewell::Refused)? {
                return Ok(request);
            }
            let idle = self.wire.habits().close_idle.map_or(Duration::MAX, |most| {
                most.saturating_sub(idle_since.elapsed())
            });
            match time::timeout(idle, self.wire.read()).await {
                Ok(Ok(Read::Some)) => idle_since = Instant::now(),
                Ok(Ok(Read::Interrupted)) => {}
                Ok(Ok(Read::End)) => return Err(Farewell::Peer),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(Farewell::Fault),
            }
        }
    }

    /// Waits for something, unless the client goes away meanwhile.
    async fn meanwhile<T>(&mut self, event: impl Future<Output = T>) -> Result<T, Farewell> {
        tokio::pin!(event);
        loop {
            let room = self.wire.backlog() < MOST_AHEAD;
            tokio::select! {
                outcome = &mut event => return Ok(outcome),
                read = self.wire.read(), if room => if read? == Read::End {
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
            let concerns = if state.faults.ask_concerns(self.node, frame.api) {
                api::concerns(state, frame)
            } else {
                Vec::new()
            };
            state.faults.plan(self.node, frame.api, &concerns)
        })
    }

    /// The bytes to send, if the request wants an answer and is applied.
    async fn apply(
        &mut self,
        frame: &Frame,
        plan: &Plan,
        arrived: Instant,
    ) -> Result<Option<Bytes>, Farewell> {
        for (fault, more) in plan.gathers() {
            self.gather(fault, more).await?;
        }
        let waits = plan.waits_before();
        let mut gone = None;
        if !waits.is_empty() {
            let waiting = pass(self.shared.clone(), waits);
            tokio::pin!(waiting);
            gone = self.meanwhile(waiting.as_mut()).await.err();
            if gone.is_some() {
                // It is in the hands of the broker already.
                waiting.await;
            }
        }
        let answer = match plan.before() {
            Some(_) => Ok(None),
            None => self.answer(frame, plan, arrived).await,
        };
        match gone {
            Some(farewell) => Err(farewell),
            None => answer,
        }
    }

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
        let dressed = plan.dress(answer);
        if let (Some(fault), None) = (plan.swap(), &self.held) {
            self.held = Some((fault, dressed));
            return Ok(());
        }
        self.put_out(dressed).await?;
        match self.held.take() {
            Some((_, held)) => self.put_out(held).await,
            None => Ok(()),
        }
    }

    async fn release_withdrawn(&mut self) -> Result<(), Farewell> {
        let shared = &self.shared;
        let withdrawn = |(fault, _): &mut (FaultId, Dressed)| {
            !shared.look(|state| state.faults.in_force(*fault))
        };
        match self.held.take_if(withdrawn) {
            Some((_, held)) => self.put_out(held).await,
            None => Ok(()),
        }
    }

    async fn put_out(&mut self, dressed: Dressed) -> Result<(), Farewell> {
        for bytes in dressed.writes {
            self.wire.write(bytes).await?;
        }
        match dressed.then {
            Then::GoOn => Ok(()),
            Then::Close => Err(Farewell::Fault),
        }
    }

    async fn end(&mut self, end: End) -> Result<(), Farewell> {
        match end {
            End::Close => Err(Farewell::Fault),
            End::Reset => Err(Farewell::Reset),
            End::Ignore => Ok(()),
            End::HalfClose(fault) => Err(self.listen_on(fault).await?),
        }
    }

    /// Takes requests and does nothing about them.
    async fn listen_on(&mut self, fault: FaultId) -> Result<Farewell, Farewell> {
        self.wire.half_close().await?;
        while self.shared.look(|state| state.faults.in_force(fault)) {
            if self.wire.read().await? == Read::End {
                return Ok(Farewell::Peer);
            }
            self.wire.discard();
        }
        Ok(Farewell::Fault)
    }

    /// Waits for requests to come, however much they are.
    async fn gather(&mut self, fault: FaultId, more: usize) -> Result<(), Farewell> {
        while self.wire.waiting() < more && self.shared.look(|state| state.faults.in_force(fault)) {
            if self.wire.read().await? == Read::End {
                return Err(Farewell::Peer);
            }
        }
        Ok(())
    }

    async fn pass(&mut self, waits: &[Wait]) -> Result<(), Farewell> {
        if waits.is_empty() {
            return Ok(());
        }
        let waiting = pass(self.shared.clone(), waits.to_vec());
        self.meanwhile(waiting).await
    }
}

/// Lets times pass, one after another, as long as their faults are in force.
async fn pass(shared: Arc<Shared>, waits: Vec<Wait>) {
    let mut faults = shared.look(|state| state.faults.watch());
    for wait in waits {
        let over = time::sleep(wait.time);
        tokio::pin!(over);
        while shared.look(|state| state.faults.in_force(wait.fault)) {
            tokio::select! {
                () = &mut over => break,
                _ = faults.changed() => {}
            }
        }
    }
}
