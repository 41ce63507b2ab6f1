//! Where the keys of events come from.

use std::borrow::Cow;

use super::super::{Params, Value};
use super::SocketValue;

/// What becomes the key of an event that OpenSIPS raises (`key=`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// Nothing: events have no key.
    #[default]
    None,
    /// The Call-ID of the SIP message that is being processed.
    CallId,
    /// The parameter of that name.
    Param(Cow<'a, str>),
}

impl<'a> KeySource<'a> {
    /// The key of an event that was raised for a SIP message with this Call-ID, or for none. What
    /// is empty or missing is no key; of parameters with one name the first counts.
    pub fn key_of<'e>(
        &self,
        call_id: Option<&'e [u8]>,
        params: Params<'e>,
    ) -> Option<Cow<'e, [u8]>> {
        let key = match (self, params) {
            (Self::None, _) | (Self::Param(_), Params::Positional(_)) => None,
            (Self::CallId, _) => call_id.map(Cow::from),
            (Self::Param(wanted), Params::Named(params)) => {
                let mut params = params.iter();
                let (_, value) = params.find(|(name, _)| *name == wanted.as_bytes())?;
                match value {
                    Value::Null => None,
                    Value::Text(text) => Some(Cow::from(*text)),
                    Value::Integer(number) => Some(number.to_string().into_bytes().into()),
                }
            }
        };
        key.filter(|key| !key.is_empty())
    }

    /// The same, without the text of the socket.
    pub fn into_owned(self) -> KeySource<'static> {
        match self {
            Self::None => KeySource::None,
            Self::CallId => KeySource::CallId,
            Self::Param(name) => KeySource::Param(name.into_owned().into()),
        }
    }

    pub(super) fn read(value: SocketValue<'a>) -> Option<Self> {
        let text = value.literal()?;
        match &*text {
            "none" => Some(Self::None),
            "callid" => Some(Self::CallId),
            _ => {
                let name = text
                    .strip_prefix("param:")
                    .filter(|name| !name.is_empty())?;
                Some(Self::Param(name.to_owned().into()))
            }
        }
    }
}
