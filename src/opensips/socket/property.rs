//! A property of the producer or of the topic, as it stands in a socket.

use std::borrow::Cow;
use std::{fmt, ptr};

use zeroize::Zeroizing;

use super::item::Item;
use super::{SocketError, SocketNotice, SocketProblem, SocketWarning};
use crate::config::{self, Kind, Property, Scope, readable_name};

/// A property of a socket. Shown, it hides its value if that may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SocketProperty<'a> {
    /// What the prefix makes it a property of: `g.` the producer, `t.` the topic.
    pub scope: Scope,
    /// The name without its prefix.
    pub name: &'a str,
    /// The value.
    pub value: SocketValue<'a>,
    /// Where it begins, in bytes from the start of the socket.
    pub position: usize,
}

/// A header that every message of a socket has (`header.NAME=VALUE`). Shown, it hides its value,
/// which may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SocketHeader<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: SocketValue<'a>,
    /// Where it begins, in bytes from the start of the socket.
    pub position: usize,
}

/// The value of a property in a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SocketValue<'a> {
    /// It stands there.
    Plain(&'a str),
    /// It stands there in double quotes: what is between them, escapes included.
    Quoted(&'a str),
    /// It is the content of the file of that path (`@file:`).
    File(&'a str),
    /// It is the value of the environment variable of that name (`@env:`).
    Variable(&'a str),
}

impl<'a> SocketProperty<'a> {
    /// The name as it stands in the socket, as far as it can be one.
    pub(super) fn written(&self) -> String {
        format!("{}{}", prefix(self.scope), readable_name(self.name))
    }

    /// Whether both set the same, so that one of them is in vain. Flags add up.
    pub(super) fn rivals(&self, other: &Self) -> bool {
        match (self.known(), other.known()) {
            (Some(this), Some(other)) => {
                ptr::eq(this, other) && !matches!(this.kind, Kind::Flags { .. })
            }
            _ => false,
        }
    }

    /// Whether it counts in the place of a rival that stands before it.
    pub(super) fn goes_over(&self, rival: &Self) -> bool {
        (self.scope, rival.scope) == (Scope::Topic, Scope::Global)
    }

    pub(super) fn gives_way_to(&self, rival: &Self) -> SocketWarning {
        let name = self.written().into();
        let counts = rival.position;
        SocketWarning {
            position: self.position,
            notice: SocketNotice::Repeated { name, counts },
        }
    }

    pub(super) fn of(item: &Item<'a>) -> Result<Self, SocketError> {
        let property = |scope, name| Self {
            scope,
            name,
            value: item.value,
            position: item.position,
        };
        if let Some(name) = item.name.strip_prefix(GLOBAL) {
            Ok(property(Scope::Global, name))
        } else if let Some(name) = item.name.strip_prefix(TOPIC) {
            Ok(property(Scope::Topic, name))
        } else {
            let problem = SocketProblem::no_prefix(item.name);
            Err(SocketError::new(item.position, problem))
        }
    }

    /// What the table knows of it.
    pub(super) fn known(&self) -> Option<&'static Property> {
        config::lookup(self.scope, self.name)
    }

    fn is_public(&self) -> bool {
        self.known().is_some_and(|property| !property.sensitive)
    }

    pub(super) fn value_at(&self) -> usize {
        self.position + prefix(self.scope).len() + self.name.len() + "=".len()
    }
}

impl<'a> SocketHeader<'a> {
    pub(super) fn of(item: &Item<'a>) -> Result<Self, SocketError> {
        let name = item.name.strip_prefix(HEADER).unwrap_or_default();
        if name.is_empty() {
            return Err(SocketError::new(item.position, SocketProblem::NoHeader));
        }
        Ok(Self {
            name,
            value: item.value,
            position: item.position,
        })
    }

    pub(super) fn value_at(&self) -> usize {
        self.position + HEADER.len() + self.name.len() + "=".len()
    }
}

impl<'a> SocketValue<'a> {
    pub(super) fn plain(text: &'a str) -> Result<Self, SocketProblem> {
        let value = if let Some(path) = text.strip_prefix(FILE) {
            Self::File(path)
        } else if let Some(name) = text.strip_prefix(VARIABLE) {
            Self::Variable(name)
        } else {
            Self::Plain(text)
        };
        match value {
            Self::File("") => Err(SocketProblem::NoName(FILE)),
            Self::Variable("") => Err(SocketProblem::NoName(VARIABLE)),
            _ => Ok(value),
        }
    }

    /// The value, if it stands in the socket and is no secret.
    pub(super) fn literal(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Plain(text) => Some(text.into()),
            Self::Quoted(text) if text.contains('\\') => Some(unescape(text).to_string().into()),
            Self::Quoted(text) => Some(text.into()),
            Self::File(_) | Self::Variable(_) => None,
        }
    }
}

impl fmt::Display for SocketProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.written())?;
        match self.value {
            SocketValue::Plain(text) | SocketValue::Quoted(text) if self.is_public() => {
                f.write_str(text)
            }
            value => write!(f, "{value:?}"),
        }
    }
}

impl fmt::Debug for SocketHeader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HEADER}{}={:?}", readable_name(self.name), self.value)
    }
}

impl fmt::Debug for SocketProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text is hidden: whether it is a secret depends on the property.
impl fmt::Debug for SocketValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) | Self::Quoted(_) => f.write_str("[redacted]"),
            Self::File(path) => write!(f, "{FILE}{path}"),
            Self::Variable(name) => write!(f, "{VARIABLE}{name}"),
        }
    }
}

/// What stands between double quotes, without its escapes.
pub(super) fn unescape(quoted: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(quoted.len()));
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        text.extend(if char == '\\' {
            chars.next()
        } else {
            Some(char)
        });
    }
    text
}

fn prefix(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => GLOBAL,
        Scope::Topic => TOPIC,
    }
}

pub(super) const GLOBAL: &str = "g.";
pub(super) const TOPIC: &str = "t.";
pub(super) const HEADER: &str = "header.";
const FILE: &str = "@file:";
const VARIABLE: &str = "@env:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_quote_and_backslash() {
        for (quoted, text) in [
            ("", ""),
            ("a b", "a b"),
            (r#"\""#, r#"""#),
            (r"\\", r"\"),
            (r#"\\\""#, r#"\""#),
            (r#"a\"b\\c\"\"d"#, r#"a"b\c""d"#),
            (r"\\\\x", r"\\x"),
        ] {
            assert_eq!(&**unescape(quoted), text, "{quoted}");
        }
    }
}
