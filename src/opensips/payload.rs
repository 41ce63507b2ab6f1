//! The JSON-RPC payload of an event, byte for byte as OpenSIPS builds it, with one exception: what
//! is no UTF-8 becomes U+FFFD, and a NUL is escaped rather than the end of the text, so that the
//! payload is valid JSON whatever a SIP message contained. [`Payload::Raw`] is without it.

use bytes::BufMut;

use super::event_id::{EventId, hex};

/// An event that OpenSIPS raises.
///
/// ```
/// # use event_kafka::opensips::{Event, Params, Payload, Value};
/// let params = [(&b"ip"[..], Value::Text(b"127.0.0.1"))];
/// let event = Event {
///     timestamp: Some(1_700_000_000_000),
///     ..Event::new(b"E_PIKE_BLOCKED", Params::Named(&params))
/// };
/// let mut payload = Vec::with_capacity(event.longest());
/// event.write(Payload::Json, &mut payload);
/// assert_eq!(
///     String::from_utf8(payload).unwrap(),
///     r#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"127.0.0.1"},"timestamp":1700000000000}"#
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its name, the `method`.
    pub name: &'a [u8],
    /// Its parameters, the `params`.
    pub params: Params<'a>,
    /// The member `id`.
    pub id: Option<EventId>,
    /// The member `timestamp`: when it was raised, in milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// The member `node`: where it was raised.
    pub node: Option<&'a [u8]>,
}

/// The parameters of an event.
#[derive(Clone, Copy, Debug)]
pub enum Params<'a> {
    /// Values alone; a JSON array, or nothing if there are none.
    Positional(&'a [Value<'a>]),
    /// Names and values; a JSON object, or nothing if there are none. Order and duplicates are
    /// kept.
    Named(&'a [(&'a [u8], Value<'a>)]),
}

/// The value of a parameter: OpenSIPS knows strings and 32-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string that is none.
    Null,
    /// A string, in UTF-8 if all is well.
    Text(&'a [u8]),
    /// A number.
    Integer(i32),
}

/// What becomes of text that JSON cannot have (`payload=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// It is replaced: the payload is valid JSON.
    #[default]
    Json,
    /// The bytes of OpenSIPS' own module: text ends at a NUL, and what is no UTF-8 stays as it is.
    Raw,
}

impl<'a> Event<'a> {
    /// An event as OpenSIPS' own module tells it.
    pub fn new(name: &'a [u8], params: Params<'a>) -> Self {
        Self {
            name,
            params,
            id: None,
            timestamp: None,
            node: None,
        }
    }

    /// No payload of the event is longer, in bytes.
    pub fn longest(&self) -> usize {
        let params = match self.params {
            Params::Positional(values) => values.iter().map(longest_value).sum(),
            Params::Named(pairs) => pairs
                .iter()
                .map(|(name, value)| longest_text(name) + longest_value(value))
                .sum::<usize>(),
        };
        FRAME + longest_text(self.name) + params + self.node.map_or(0, longest_text)
    }

    /// Appends its payload to `out`.
    ///
    /// # Panics
    /// `out` has a limit and too little room; [`Event::longest`] is enough.
    pub fn write(&self, payload: Payload, out: &mut impl BufMut) {
        let mut writer = Writer { payload, out };
        writer.put(br#"{"jsonrpc":"2.0","method":"#);
        writer.text(self.name);
        match self.params {
            Params::Positional([]) | Params::Named([]) => {}
            Params::Positional(values) => {
                writer.list(b"[]", values, |writer, value| writer.value(*value));
            }
            Params::Named(pairs) => writer.list(b"{}", pairs, |writer, (name, value)| {
                writer.text(name);
                writer.put(b":");
                writer.value(*value);
            }),
        }
        if let Some(id) = self.id {
            writer.put(br#","id":""#);
            writer.put(&id.digits());
            writer.put(b"\"");
        }
        if let Some(timestamp) = self.timestamp {
            writer.put(br#","timestamp":"#);
            writer.integer(timestamp);
        }
        if let Some(node) = self.node {
            writer.put(br#","node":"#);
            writer.text(node);
        }
        writer.put(b"}");
    }
}

/// No more than this stands around the texts and numbers of an event.
const FRAME: usize = 160;
/// The sign and digits of a number.
const LONGEST_INTEGER: usize = 20;
const NULL: &[u8] = b"null";
/// A byte becomes `\u0000` at the longest.
const LONGEST_ESCAPE: usize = 6;

/// With what parts it from others.
fn longest_text(text: &[u8]) -> usize {
    LONGEST_ESCAPE * text.len() + "\"\",".len()
}

fn longest_value(value: &Value<'_>) -> usize {
    match value {
        Value::Null => NULL.len() + ",".len(),
        Value::Text(text) => longest_text(text),
        Value::Integer(_) => LONGEST_INTEGER + ",".len(),
    }
}

struct Writer<'o, B> {
    payload: Payload,
    out: &'o mut B,
}

impl<B: BufMut> Writer<'_, B> {
    fn put(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    fn list<T>(&mut self, [open, close]: &[u8; 2], items: &[T], item: impl Fn(&mut Self, &T)) {
        self.put(br#","params":"#);
        self.out.put_u8(*open);
        for (index, each) in items.iter().enumerate() {
            if index > 0 {
                self.put(b",");
            }
            item(self, each);
        }
        self.out.put_u8(*close);
    }

    fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.put(NULL),
            Value::Text(text) => self.text(text),
            Value::Integer(number) => self.integer(number.into()),
        }
    }

    fn integer(&mut self, number: i64) {
        let mut digits = [0; LONGEST_INTEGER];
        let mut first = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            self.put(b"-");
        }
        self.put(&digits[first..]);
    }

    fn text(&mut self, text: &[u8]) {
        self.put(b"\"");
        match self.payload {
            Payload::Json => {
                for chunk in text.utf8_chunks() {
                    self.escaped(chunk.valid().as_bytes());
                    if !chunk.invalid().is_empty() {
                        self.put("\u{fffd}".as_bytes());
                    }
                }
            }
            Payload::Raw => {
                let end = text.iter().position(|byte| *byte == 0);
                self.escaped(&text[..end.unwrap_or(text.len())]);
            }
        }
        self.put(b"\"");
    }

    /// Copies runs that need no escape in one go.
    fn escaped(&mut self, text: &[u8]) {
        let mut run = 0;
        for (index, &byte) in text.iter().enumerate() {
            if byte >= b' ' && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.put(&text[run..index]);
            self.escape(byte);
            run = index + 1;
        }
        self.put(&text[run..]);
    }

    fn escape(&mut self, byte: u8) {
        let letter = match byte {
            b'"' | b'\\' => byte,
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            0x08 => b'b',
            0x0c => b'f',
            _ => {
                self.put(br"\u00");
                self.put(&hex(byte));
                return;
            }
        };
        self.put(&[b'\\', letter]);
    }
}

#[cfg(test)]
mod tests {
    use super::Value::{Integer, Null, Text};
    use super::*;

    fn written(event: Event<'_>, payload: Payload) -> Vec<u8> {
        let mut out = vec![0; event.longest()];
        let mut rest = &mut out[..];
        event.write(payload, &mut rest);
        let left = rest.len();
        out.truncate(out.len() - left);
        out
    }

    fn event(params: Params<'_>) -> Vec<u8> {
        written(Event::new(b"E_C0", params), Payload::Json)
    }

    /// The payload of one string parameter, without what is around it.
    fn escaped(text: &[u8]) -> Vec<u8> {
        let payload = event(Params::Positional(&[Text(text)]));
        let rest = payload
            .strip_prefix(br#"{"jsonrpc":"2.0","method":"E_C0","params":[""#)
            .unwrap();
        rest.strip_suffix(br#""]}"#).unwrap().to_vec()
    }

    #[test]
    fn no_parameters_no_member() {
        let plain = br#"{"jsonrpc":"2.0","method":"E_C0"}"#;
        assert_eq!(event(Params::Positional(&[])), plain);
        assert_eq!(event(Params::Named(&[])), plain);
    }

    #[test]
    fn positional_parameters_are_an_array() {
        assert_eq!(
            event(Params::Positional(&[
                Text(b"first"),
                Integer(42),
                Text(b"third")
            ])),
            br#"{"jsonrpc":"2.0","method":"E_C0","params":["first",42,"third"]}"#
        );
    }

    #[test]
    fn named_parameters_are_an_object_in_their_order() {
        assert_eq!(
            event(Params::Named(&[
                (b"n1", Text(br#"q"uo\te/ sl"#)),
                (b"n2", Integer(i32::MAX)),
                (b"n3", Integer(-7)),
            ])),
            br#"{"jsonrpc":"2.0","method":"E_C0","params":{"n1":"q\"uo\\te/ sl","n2":2147483647,"n3":-7}}"#
        );
    }

    #[test]
    fn a_string_that_is_none_is_null() {
        assert_eq!(
            event(Params::Named(&[(b"from", Null), (b"to", Text(b"null"))])),
            br#"{"jsonrpc":"2.0","method":"E_C0","params":{"from":null,"to":"null"}}"#
        );
    }

    #[test]
    fn duplicates_stay_and_names_are_escaped() {
        assert_eq!(
            event(Params::Named(&[
                (b"k\"ey", Integer(0)),
                (b"dup", Text(b"")),
                (b"dup", Text(b"x"))
            ])),
            br#"{"jsonrpc":"2.0","method":"E_C0","params":{"k\"ey":0,"dup":"","dup":"x"}}"#
        );
    }

    #[test]
    fn the_event_name_is_escaped_too() {
        let mut out = b"before ".to_vec();
        Event::new(b"E_\"\xff", Params::Named(&[])).write(Payload::Json, &mut out);
        assert_eq!(
            out,
            "before {\"jsonrpc\":\"2.0\",\"method\":\"E_\\\"\u{fffd}\"}".as_bytes()
        );
    }

    #[test]
    fn utf8_passes_as_it_is() {
        assert_eq!(escaped("é€😀".as_bytes()), "é€😀".as_bytes());
        assert_eq!(escaped(b"\x7f/"), b"\x7f/");
    }

    #[test]
    fn controls_are_escaped_short_where_json_can() {
        assert_eq!(escaped(b"\t\n\r\x08\x0c"), br"\t\n\r\b\f");
        assert_eq!(escaped(b"\x01\x0b\x1f"), br"\u0001\u000b\u001f");
    }

    #[test]
    fn invalid_utf8_and_nul_still_make_valid_json() {
        assert_eq!(
            escaped(b"inv \xff\xfe bytes"),
            "inv \u{fffd}\u{fffd} bytes".as_bytes()
        );
        assert_eq!(escaped(b"cut \xf0\x9f\x98"), "cut \u{fffd}".as_bytes());
        assert_eq!(escaped(b"nul \0 after"), br"nul \u0000 after");
    }

    #[test]
    fn escapes_between_runs_lose_nothing() {
        assert_eq!(escaped(b"\"a\"\"b\""), br#"\"a\"\"b\""#);
    }

    #[test]
    fn raw_is_what_c_makes_of_it() {
        let raw = |text| {
            let params = [Text(text)];
            let event = Event::new(b"E\0F", Params::Positional(&params));
            written(event, Payload::Raw)
        };
        assert_eq!(
            raw(b"inv \xff\xfe\t"),
            b"{\"jsonrpc\":\"2.0\",\"method\":\"E\",\"params\":[\"inv \xff\xfe\\t\"]}"
        );
        assert_eq!(
            raw(b"nul \0 after"),
            br#"{"jsonrpc":"2.0","method":"E","params":["nul "]}"#
        );
    }

    #[test]
    fn members_follow_the_parameters() {
        let event = Event {
            id: Some(EventId(0xab)),
            timestamp: Some(1_700_000_000_001),
            node: Some(b"sip\"1"),
            ..Event::new(b"E", Params::Positional(&[Integer(0)]))
        };
        assert_eq!(
            String::from_utf8(written(event, Payload::Json)).unwrap(),
            r#"{"jsonrpc":"2.0","method":"E","params":[0],"id":"000000000000000000000000000000ab","timestamp":1700000000001,"node":"sip\"1"}"#
        );
    }

    #[test]
    fn no_event_is_longer_than_the_longest() {
        let controls = [b'\x01'; 50];
        let named = [(&controls[..], Text(&controls)), (b"", Integer(i32::MIN))];
        let positional = [Text(&controls), Integer(i32::MIN), Text(b"\xff\xff"), Null];
        for params in [
            Params::Named(&named),
            Params::Positional(&positional),
            Params::Named(&[]),
        ] {
            let event = Event {
                id: Some(EventId(u128::MAX)),
                timestamp: Some(i64::MIN),
                node: Some(&controls),
                ..Event::new(&controls, params)
            };
            assert!(written(event, Payload::Json).len() <= event.longest());
        }
    }

    #[test]
    fn the_longest_numbers_are_written_whole() {
        let timed = |timestamp| {
            let event = Event {
                timestamp: Some(timestamp),
                ..Event::new(b"", Params::Named(&[]))
            };
            String::from_utf8(written(event, Payload::Json)).unwrap()
        };
        for number in [0, 9, 10, -1, i64::MAX, i64::MIN] {
            assert!(timed(number).ends_with(&format!(r#","timestamp":{number}}}"#)));
        }
    }
}
