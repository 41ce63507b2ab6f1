//! Headers that every message of a socket has.

use crate::{Header, Record};

#[derive(PartialEq, Eq)]
pub(super) struct Headers(Vec<Owned>);

#[derive(PartialEq, Eq)]
struct Owned {
    name: Box<str>,
    value: Option<Box<[u8]>>,
}

/// How many a message has together with those of its socket without an allocation for them.
const FEW: usize = 16;

impl Headers {
    pub(super) fn new(headers: &[Header<'_>]) -> Self {
        let owned = |header: &Header<'_>| Owned {
            name: header.name.into(),
            value: header.value.map(Into::into),
        };
        Self(headers.iter().map(owned).collect())
    }

    /// Publishes a message that has these before its own.
    pub(super) fn before<R>(&self, record: Record<'_>, publish: impl FnOnce(Record<'_>) -> R) -> R {
        if self.0.is_empty() {
            return publish(record);
        }
        let mut few = [Header {
            name: "",
            value: None,
        }; FEW];
        let mut many;
        let count = self.0.len() + record.headers.len();
        let all = if count <= FEW {
            &mut few[..count]
        } else {
            many = vec![few[0]; count];
            &mut many
        };
        let ours = self.0.iter().map(|header| Header {
            name: &header.name,
            value: header.value.as_deref(),
        });
        let ours_and_its_own = ours.chain(record.headers.iter().copied());
        for (place, header) in all.iter_mut().zip(ours_and_its_own) {
            *place = header;
        }
        publish(record.headers(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_socket_come_first_however_many_the_message_has() {
        let header = |name| Header {
            name,
            value: Some(&b"value"[..]),
        };
        let ours = [header("node"), header("node")];
        let headers = Headers::new(&ours);
        for count in [0, 1, FEW - 2, FEW - 1, FEW, 3 * FEW] {
            let its_own = vec![header("trace"); count];
            let record = Record::new("x").headers(&its_own).opaque(7);
            headers.before(record, |record| {
                assert_eq!(record.headers, [&ours[..], &its_own].concat());
                assert_eq!(record.opaque, 7);
            });
        }
    }
}
