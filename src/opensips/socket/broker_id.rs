//! The parameter `broker_id`: `[ID]socket`.

use super::{Socket, SocketError, SocketProblem};

/// A cluster that scripts publish to by its ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerId<'a> {
    /// What stands between the brackets; may be empty.
    pub id: &'a str,
    /// The socket behind them.
    pub socket: Socket<'a>,
}

impl<'a> BrokerId<'a> {
    /// Takes `[ID]socket` apart. Blanks before the `[` and behind the `]` do not count; positions
    /// are those in `text`.
    ///
    /// # Errors
    /// There is no ID, or the socket is wrong.
    ///
    /// ```
    /// # use event_kafka::opensips::BrokerId;
    /// let broker = BrokerId::parse("[k1]127.0.0.1:9092/topic1?g.linger.ms=100&t.acks=all")?;
    /// assert_eq!((broker.id, broker.socket.topic), ("k1", "topic1"));
    /// # Ok::<_, event_kafka::opensips::SocketError>(())
    /// ```
    pub fn parse(text: &'a str) -> Result<Self, SocketError> {
        let bracket = text.len() - text.trim_start_matches(BLANKS).len();
        let Some(rest) = text[bracket..].strip_prefix('[') else {
            return Err(SocketError::new(bracket, SocketProblem::NoId));
        };
        let Some((id, socket)) = rest.split_once(']') else {
            return Err(SocketError::new(text.len(), SocketProblem::NoEndOfId));
        };
        let start = text.len() - socket.trim_start_matches(BLANKS).len();
        let mut socket = Socket::parse_from(text, start)?;
        let without_effect = socket.without_events();
        socket.warnings.extend(without_effect);
        Ok(Self { id, socket })
    }

    /// The error of an ID that another has; `text` is what this was parsed from.
    pub(in crate::opensips) fn taken(&self, text: &str) -> SocketError {
        let position = super::offset_in(text, self.id);
        SocketError::new(position, SocketProblem::IdTaken(self.id.into()))
    }
}

/// The clusters that scripts publish to, each under an ID of its own.
#[derive(Clone, Debug, Default)]
pub struct BrokerIds<'a> {
    all: Vec<BrokerId<'a>>,
}

impl<'a> BrokerIds<'a> {
    /// Adds `[ID]socket`.
    ///
    /// # Errors
    /// As [`BrokerId::parse`], or the ID is taken.
    pub fn add(&mut self, text: &'a str) -> Result<&BrokerId<'a>, SocketError> {
        let broker = BrokerId::parse(text)?;
        if self.find(broker.id).is_some() {
            return Err(broker.taken(text));
        }
        self.all.push(broker);
        Ok(&self.all[self.all.len() - 1])
    }

    /// The cluster of an ID.
    pub fn find(&self, id: &str) -> Option<&BrokerId<'a>> {
        self.all.iter().find(|broker| broker.id == id)
    }
}

/// What OpenSIPS takes for a blank here.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
