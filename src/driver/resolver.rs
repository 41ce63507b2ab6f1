//! From names to addresses, each remembered for a while.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use kafka_engine::accumulator::Accumulator;
use kafka_engine::say;
use kafka_engine::settings::{AddressFamily, Endpoint, Settings};
use kafka_engine::time::{Clock, Time};
use tokio::net::lookup_host;
use tokio::task::spawn_blocking;

use super::clock::SystemClock;

/// Resolves names, for one thread.
///
/// Addresses that are used are forgotten until a broker has answered at one of them: those that lead
/// nowhere, or to somebody else, are looked up anew for the next attempt.
pub(super) struct Resolver {
    accumulator: Arc<Accumulator>,
    known: RefCell<HashMap<Endpoint, Place>>,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    endpoint: Endpoint,
    /// The addresses to try: one or more.
    pub(super) addresses: Vec<SocketAddr>,
    until: Time,
}

impl Resolver {
    pub(super) fn new(accumulator: &Arc<Accumulator>) -> Self {
        Self {
            accumulator: Arc::clone(accumulator),
            known: RefCell::default(),
        }
    }

    /// Where a broker is; the reason if that is nowhere.
    pub(super) async fn resolve(&self, endpoint: &Endpoint) -> Result<Place, String> {
        if let Some(place) = self.take(endpoint, SystemClock.now()) {
            return Ok(place);
        }
        let mut resolved = look_up(&endpoint.host, endpoint.port).await?;
        if self.is_canonical(endpoint) {
            resolved = self.by_canonical_names(endpoint, resolved).await;
        }
        let addresses = self.of_family(resolved)?;
        say!(self.settings(), DEBUG Broker, "{endpoint}: looked up, {addresses:?}");
        Ok(Place {
            endpoint: endpoint.clone(),
            addresses,
            until: SystemClock.now().after(self.settings().sockets.address_ttl),
        })
    }

    /// A broker answered there.
    pub(super) fn remember(&self, place: Place, now: Time) {
        let mut known = self.known.borrow_mut();
        // Brokers come and go.
        known.retain(|_, known| now < known.until);
        known.insert(place.endpoint.clone(), place);
    }

    fn settings(&self) -> &Settings {
        self.accumulator.settings()
    }

    fn take(&self, endpoint: &Endpoint, now: Time) -> Option<Place> {
        let place = self.known.borrow_mut().remove(endpoint);
        place.filter(|place| now < place.until)
    }

    fn is_canonical(&self, endpoint: &Endpoint) -> bool {
        let settings = self.settings();
        settings.sockets.canonical_bootstrap && settings.bootstrap.contains(endpoint)
    }

    /// The addresses of the canonical names of these ones. One whose name is unknown, or leads
    /// nowhere, stands for itself.
    async fn by_canonical_names(
        &self,
        endpoint: &Endpoint,
        addresses: Vec<SocketAddr>,
    ) -> Vec<SocketAddr> {
        let mut canonical = Vec::new();
        for address in addresses {
            let ip = address.ip();
            let name = spawn_blocking(move || dns_lookup::lookup_addr(&ip)).await;
            let name = name.ok().and_then(Result::ok);
            let found = match &name {
                Some(name) => look_up(name, address.port()).await.unwrap_or_default(),
                None => Vec::new(),
            };
            say!(self.settings(), DEBUG Broker, "{endpoint}: {ip} is named {name:?}, at {found:?}");
            match found.is_empty() {
                true => canonical.push(address),
                false => canonical.extend(found),
            }
        }
        let mut seen = HashSet::new();
        canonical.retain(|address| seen.insert(*address));
        canonical
    }

    fn of_family(&self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, String> {
        let (wanted, lacking): (fn(&SocketAddr) -> bool, _) = match self.settings().sockets.family {
            AddressFamily::Any => (|_| true, "no address"),
            AddressFamily::V4 => (
                SocketAddr::is_ipv4,
                "no IPv4 address (broker.address.family)",
            ),
            AddressFamily::V6 => (
                SocketAddr::is_ipv6,
                "no IPv6 address (broker.address.family)",
            ),
        };
        let addresses: Vec<SocketAddr> = addresses.into_iter().filter(wanted).collect();
        match addresses.is_empty() {
            true => Err(format!("the name has {lacking}")),
            false => Ok(addresses),
        }
    }
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = lookup_host((host, port)).await;
    let found = found.map_err(|error| format!("cannot resolve the name: {error}"))?;
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use kafka_engine::settings::SocketSettings;

    use super::*;

    fn resolver(sockets: SocketSettings) -> Resolver {
        let settings = Settings {
            sockets,
            ..Settings::default()
        };
        Resolver::new(&Accumulator::new(settings, 1))
    }

    fn endpoint(host: &str) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port: 9092,
        }
    }

    fn at_ms(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_place_is_known_until_its_time_is_over_or_it_is_used_in_vain() {
        let resolver = resolver(SocketSettings::default());
        let place = |host, until| Place {
            endpoint: endpoint(host),
            addresses: vec!["192.0.2.1:9092".parse().unwrap()],
            until: at_ms(until),
        };
        resolver.remember(place("kafka-1", 500), at_ms(0));
        assert_eq!(resolver.take(&endpoint("kafka-2"), at_ms(0)), None);
        let used = resolver.take(&endpoint("kafka-1"), at_ms(499));
        assert_eq!(used, Some(place("kafka-1", 500)));
        assert_eq!(resolver.take(&endpoint("kafka-1"), at_ms(499)), None);
        resolver.remember(place("kafka-1", 500), at_ms(499));
        assert_eq!(resolver.take(&endpoint("kafka-1"), at_ms(500)), None);
        // What is too old takes no memory.
        resolver.remember(place("kafka-1", 1_000), at_ms(500));
        resolver.remember(place("kafka-2", 3_000), at_ms(2_000));
        assert_eq!(resolver.known.borrow().len(), 1);
    }

    #[test]
    fn addresses_of_the_wrong_family_are_none() {
        let both: Vec<SocketAddr> = ["192.0.2.1:1", "[2001:db8::1]:1"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        for (family, expected) in [
            (AddressFamily::Any, &both[..]),
            (AddressFamily::V4, &both[..1]),
            (AddressFamily::V6, &both[1..]),
        ] {
            let resolver = resolver(SocketSettings {
                family,
                ..SocketSettings::default()
            });
            assert_eq!(resolver.of_family(both.clone()).unwrap(), expected);
            let others = both.iter().filter(|address| !expected.contains(address));
            let lacking = resolver.of_family(others.copied().collect()).unwrap_err();
            assert!(lacking.starts_with("the name has no"), "{lacking}");
        }
    }
}
