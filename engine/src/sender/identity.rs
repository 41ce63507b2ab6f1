//! Who this producer is to the leaders of partitions (KIP-98), and how it becomes somebody else
//! (KIP-360).

use std::sync::Arc;
use std::time::Duration;

use crate::accumulator::ProducerId;
use crate::inquiry::Inquiry;
use crate::settings::Settings;

/// The producer's identities. One would do, but for topics that are open with two settings: their
/// partitions have two series of numbers, and a leader knows one for each producer id.
#[derive(Debug)]
pub(crate) struct Identities {
    /// By variant; `None` has to be asked for.
    known: Vec<Option<ProducerId>>,
    pub(crate) inquiry: Inquiry,
    /// Why there is none.
    pub(crate) last_error: Option<Arc<str>>,
}

impl Identities {
    /// One identity to ask for if this producer is idempotent, none otherwise.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            known: vec![None; usize::from(settings.idempotence)],
            inquiry: Inquiry::new(
                Duration::MAX,
                (settings.retry_backoff, settings.retry_backoff_max),
            ),
            last_error: None,
        }
    }

    /// An identity is going to be used.
    pub(crate) fn need(&mut self, variant: u32) {
        let needed = variant as usize + 1;
        if self.known.len() < needed {
            self.known.resize(needed, None);
            self.inquiry.want_urgently();
        }
    }

    /// The first identity that has to be asked for.
    pub(crate) fn missing(&self) -> Option<u32> {
        let missing = self.known.iter().position(Option::is_none);
        missing.map(|variant| variant as u32)
    }

    pub(crate) fn get(&self, variant: u32) -> Option<ProducerId> {
        *self.known.get(variant as usize)?
    }

    /// A cluster gave out an id.
    pub(crate) fn learn(&mut self, variant: u32, producer: ProducerId) {
        self.known[variant as usize] = Some(producer);
        self.last_error = None;
    }

    /// Who comes after `former`: the present identity where that is another one already, else the
    /// same id under its next epoch. After the last epoch another id is asked for.
    pub(crate) fn succeed(
        &mut self,
        variant: u32,
        former: Option<ProducerId>,
    ) -> Option<ProducerId> {
        let known = &mut self.known[variant as usize];
        let present = (*known)?;
        if Some(present) == former {
            let epoch = present.epoch.checked_add(1);
            *known = epoch.map(|epoch| ProducerId { epoch, ..present });
            if known.is_none() {
                self.inquiry.want_urgently();
            }
        }
        *known
    }
}
