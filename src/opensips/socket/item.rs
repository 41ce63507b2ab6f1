//! The properties of a socket as `name=value`, before anybody asks which there are.

use super::property::SocketValue;
use super::{SocketError, SocketProblem};

#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    pub(super) value: SocketValue<'a>,
    /// Where it begins, in bytes from the start of the socket.
    pub(super) position: usize,
}

impl Item<'_> {
    pub(super) fn value_at(&self) -> usize {
        self.position + self.name.len() + "=".len()
    }
}

/// Goes through what follows the `?`. It ends with the first error.
pub(super) struct Items<'a> {
    /// What is left; `None` once the last one was taken.
    rest: Option<&'a str>,
    position: usize,
}

impl<'a> Items<'a> {
    pub(super) fn of(query: &'a str, position: usize) -> Self {
        Self {
            rest: Some(query),
            position,
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, SocketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let position = self.position;
        Some(cut(rest, position).map(|(name, value, after)| {
            if let Some(after) = after {
                self.position += rest.len() - after.len();
            }
            self.rest = after;
            Item {
                name,
                value,
                position,
            }
        }))
    }
}

/// Name and value of the first property of `rest`, and what follows the `&` behind it.
type Cut<'a> = (&'a str, SocketValue<'a>, Option<&'a str>);

fn cut(rest: &str, position: usize) -> Result<Cut<'_>, SocketError> {
    let end = rest.find(['=', '&']).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    let Some(value) = behind.strip_prefix('=') else {
        return Err(SocketError::new(position, SocketProblem::no_value(name)));
    };
    let value_at = position + end + "=".len();
    if let Some(quoted) = value.strip_prefix('"') {
        let (value, after) = cut_quoted(quoted, value_at)?;
        return Ok((name, value, after));
    }
    let (value, after) = match value.split_once('&') {
        Some((value, after)) => (value, Some(after)),
        None => (value, None),
    };
    let value = SocketValue::plain(value).map_err(|problem| SocketError::new(value_at, problem))?;
    Ok((name, value, after))
}

/// `quoted` follows the opening quote, which is at `quote_at`.
fn cut_quoted(
    quoted: &str,
    quote_at: usize,
) -> Result<(SocketValue<'_>, Option<&str>), SocketError> {
    let error = |offset, problem| Err(SocketError::new(quote_at + 1 + offset, problem));
    let mut bytes = quoted.bytes().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some((_, b'"' | b'\\')) => {}
                _ => return error(offset, SocketProblem::Escape),
            },
            b'"' => {
                let value = SocketValue::Quoted(&quoted[..offset]);
                let behind = &quoted[offset + 1..];
                return match behind.strip_prefix('&') {
                    None if behind.is_empty() => Ok((value, None)),
                    None => error(offset + 1, SocketProblem::AfterQuote),
                    after => Ok((value, after)),
                };
            }
            _ => {}
        }
    }
    Err(SocketError::new(quote_at, SocketProblem::NoClosingQuote))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(query: &str) -> Vec<(&str, SocketValue<'_>, usize)> {
        Items::of(query, 100)
            .map(|item| item.map(|item| (item.name, item.value, item.position)))
            .collect::<Result<_, _>>()
            .unwrap()
    }

    fn refusal(query: &str) -> (usize, SocketProblem) {
        let error = Items::of(query, 0).find_map(Result::err).unwrap();
        (error.position, error.problem)
    }

    #[test]
    fn the_first_equals_sign_parts_name_and_value() {
        use SocketValue::Plain;
        assert_eq!(
            items("a=1&b=&c=x==&=y&d=?/#%+@:; \""),
            [
                ("a", Plain("1"), 100),
                ("b", Plain(""), 104),
                ("c", Plain("x=="), 107),
                ("", Plain("y"), 113),
                ("d", Plain("?/#%+@:; \""), 116),
            ]
        );
    }

    #[test]
    fn quotes_keep_what_would_end_a_value() {
        use SocketValue::{Plain, Quoted};
        assert_eq!(
            items(r#"a="x&y=z "&b=""&c="\"\\"&d=1"#),
            [
                ("a", Quoted("x&y=z "), 100),
                ("b", Quoted(""), 111),
                ("c", Quoted(r#"\"\\"#), 116),
                ("d", Plain("1"), 125),
            ]
        );
    }

    #[test]
    fn references_are_told_from_text_unless_quoted() {
        use SocketValue::{File, Plain, Quoted, Variable};
        assert_eq!(
            items(r#"a=@file:/run/a=b&b=@env:PW&c="@env:PW"&d=@&e=@FILE:x&f= @file:x"#),
            [
                ("a", File("/run/a=b"), 100),
                ("b", Variable("PW"), 117),
                ("c", Quoted("@env:PW"), 127),
                ("d", Plain("@"), 139),
                ("e", Plain("@FILE:x"), 143),
                ("f", Plain(" @file:x"), 153),
            ]
        );
    }

    #[test]
    fn what_cannot_be_cut_is_pointed_at() {
        use SocketProblem::{AfterQuote, Escape, NoClosingQuote, NoName, NoProperty};
        for (query, position, problem) in [
            ("", 0, NoProperty),
            ("a=1&", 4, NoProperty),
            ("a=1&&b=2", 4, NoProperty),
            ("&", 0, NoProperty),
            ("a=\"", 2, NoClosingQuote),
            ("a=\"x\\\"", 2, NoClosingQuote),
            ("a=\"x\\", 4, Escape),
            ("a=\"é\\n\"", 5, Escape),
            ("a=\"x\"y", 5, AfterQuote),
            ("a=\"x\" &b=1", 5, AfterQuote),
            ("a=\"x\"\"", 5, AfterQuote),
            ("a=\"x\"&", 6, NoProperty),
            ("a=@file:", 2, NoName("@file:")),
            ("a=@env:&b=1", 2, NoName("@env:")),
        ] {
            assert_eq!(refusal(query), (position, problem), "{query}");
        }
    }
}
