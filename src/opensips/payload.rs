//! The JSON-RPC payload of an event, byte for byte as OpenSIPS builds it, with one exception: what
//! is no UTF-8 becomes U+FFFD, and a NUL is escaped rather than the end of the text, so that the
//! payload is valid JSON whatever a SIP message contained.

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
    /// A string, in UTF-8 if all is well.
    Text(&'a [u8]),
    /// A number.
    Integer(i32),
}

/// Appends the payload of the event `name` to `out`.
///
/// ```
/// # use event_kafka::opensips::{Params, Value, write_event};
/// let mut payload = Vec::new();
/// let params = [(&b"ip"[..], Value::Text(b"127.0.0.1"))];
/// write_event(&mut payload, b"E_PIKE_BLOCKED", Params::Named(&params));
/// assert_eq!(
///     payload,
///     br#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"127.0.0.1"}}"#
/// );
/// ```
pub fn write_event(out: &mut Vec<u8>, name: &[u8], params: Params<'_>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","method":"#);
    write_text(out, name);
    match params {
        Params::Positional([]) | Params::Named([]) => {}
        Params::Positional(values) => {
            write_list(out, b"[]", values, |out, value| write_value(out, *value));
        }
        Params::Named(pairs) => write_list(out, b"{}", pairs, |out, (name, value)| {
            write_text(out, name);
            out.push(b':');
            write_value(out, *value);
        }),
    }
    out.push(b'}');
}

fn write_list<T>(
    out: &mut Vec<u8>,
    [open, close]: &[u8; 2],
    items: &[T],
    write_item: impl Fn(&mut Vec<u8>, &T),
) {
    out.extend_from_slice(br#","params":"#);
    out.push(*open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_item(out, item);
    }
    out.push(*close);
}

fn write_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Text(text) => write_text(out, text),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        write_escaped(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

/// Copies runs that need no escape in one go.
fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut run = 0;
    for (index, &byte) in text.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[run..index]);
        write_escape(out, byte);
        run = index + 1;
    }
    out.extend_from_slice(&text[run..]);
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\t' => b't',
        b'\n' => b'n',
        b'\r' => b'r',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]];
            out.extend_from_slice(br"\u00");
            out.extend_from_slice(&digits);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::Value::{Integer, Text};
    use super::*;

    fn event(params: Params<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        write_event(&mut out, b"E_C0", params);
        out
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
        write_event(&mut out, b"E_\"\xff", Params::Named(&[]));
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
}
