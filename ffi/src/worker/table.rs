//! Which sockets of the table are which of the registry. Several of the table can be one.

use event_kafka::opensips::SocketKey;
use parking_lot::Mutex;

use crate::shared::record::SocketId;

#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<Vec<(SocketId, SocketKey)>>);

impl Keys {
    pub(super) fn insert(&self, socket: SocketId, key: SocketKey) {
        self.0.lock().push((socket, key));
    }

    pub(super) fn remove(&self, socket: SocketId) {
        self.0.lock().retain(|(known, _)| *known != socket);
    }

    pub(super) fn key_of(&self, socket: SocketId) -> Option<SocketKey> {
        let keys = self.0.lock();
        let found = keys.iter().find(|(known, _)| *known == socket);
        found.map(|(_, key)| *key)
    }

    pub(super) fn sockets_of(&self, key: SocketKey) -> Vec<SocketId> {
        let keys = self.0.lock();
        let its = keys.iter().filter(|(_, known)| *known == key);
        its.map(|(socket, _)| *socket).collect()
    }
}
