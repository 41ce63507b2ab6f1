//! What the writers of `forking.c` have written.

use std::collections::BTreeMap;

/// The numbers of the records of each writer, in the order in which they are there. Each is whole.
pub(crate) fn numbers_by_writer<'a>(
    records: impl IntoIterator<Item = (Option<&'a [u8]>, Option<&'a [u8]>)>,
) -> BTreeMap<u32, Vec<u32>> {
    let mut numbers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (key, value) in records {
        let (writer, number) = understand(key, value);
        numbers.entry(writer).or_default().push(number);
    }
    numbers
}

/// Who wrote a record, and its number; it is whole.
fn understand(key: Option<&[u8]>, value: Option<&[u8]>) -> (u32, u32) {
    let text = str::from_utf8(value.unwrap()).unwrap();
    let mut parts = text.splitn(4, ':');
    let mut number = || parts.next().unwrap().parse::<u32>().unwrap();
    let (writer, number, filler_len) = (number(), number(), number());
    let filler = parts.next().unwrap();
    assert_eq!(key, Some(writer.to_string().as_bytes()));
    let expected_len = number.wrapping_mul(7919).wrapping_add(writer) % 200;
    assert_eq!(filler_len, expected_len, "{text}");
    let letter = char::from(b'a' + (number % 26) as u8);
    assert!(filler.chars().all(|filler| filler == letter), "{text}");
    assert_eq!(filler.len(), filler_len as usize, "{text}");
    (writer, number)
}
