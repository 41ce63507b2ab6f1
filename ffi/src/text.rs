//! Texts for C: cut to the buffer, whole characters only, always ended by NUL.

use std::ffi::c_char;
use std::fmt::{self, Write};
use std::mem::MaybeUninit;
use std::slice;

/// Writes what is shown to the buffer of a caller, if there is one.
///
/// # Safety
/// `start` is NULL or has room for `size` bytes.
pub(crate) unsafe fn write(start: *mut c_char, size: usize, shown: &dyn fmt::Display) {
    if start.is_null() || size == 0 || size > isize::MAX as usize {
        return;
    }
    // SAFETY: the caller has so many bytes there, and need not have initialised them.
    let buffer = unsafe { slice::from_raw_parts_mut(start.cast::<MaybeUninit<c_char>>(), size) };
    fill(buffer, shown);
}

/// What is shown as a text inside a structure.
pub(crate) fn array<const SIZE: usize>(shown: &dyn fmt::Display) -> [c_char; SIZE] {
    let mut buffer = [MaybeUninit::new(0); SIZE];
    fill(&mut buffer, shown);
    // SAFETY: every element was initialised above.
    buffer.map(|byte| unsafe { byte.assume_init() })
}

fn fill(buffer: &mut [MaybeUninit<c_char>], shown: &dyn fmt::Display) {
    let mut cursor = Cursor { buffer, used: 0 };
    // An error only means that the text was cut.
    let _ = write!(cursor, "{shown}");
    let Cursor { buffer, used } = cursor;
    if let Some(end) = buffer.get_mut(used) {
        end.write(0);
    }
}

struct Cursor<'a> {
    buffer: &'a mut [MaybeUninit<c_char>],
    used: usize,
}

impl Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.buffer.len().saturating_sub(self.used + "\0".len());
        let fitting = &text[..text.floor_char_boundary(room)];
        for byte in fitting.bytes() {
            self.buffer[self.used].write(byte as c_char);
            self.used += 1;
        }
        match fitting.len() == text.len() {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<const SIZE: usize>(text: &str) -> String {
        let bytes = array::<SIZE>(&text).map(|byte| byte as u8);
        let end = bytes.iter().position(|byte| *byte == 0).expect("a NUL");
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    }

    #[test]
    fn a_text_is_cut_between_characters_and_ends_with_nul() {
        assert_eq!(shown::<4>("abc"), "abc");
        assert_eq!(shown::<4>("abcd"), "abc");
        assert_eq!(shown::<4>("abé"), "ab");
        assert_eq!(shown::<1>("abc"), "");
    }
}
