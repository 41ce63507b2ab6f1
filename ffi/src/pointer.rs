//! What C hands over, checked as far as it can be.

use std::ffi::{CStr, c_char};
use std::slice;

use crate::error::Error;

/// The bytes or structures at `start`, of which there are `count`; none need be at NULL if that
/// is 0.
///
/// # Safety
/// There are so many at `start`, unless it is NULL, and they stay unchanged as long as this is used.
pub(crate) unsafe fn slice<'a, T>(
    start: *const T,
    count: usize,
    what: &'static str,
) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    check(start, what)?;
    let bytes = count.checked_mul(size_of::<T>());
    if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(Error::argument(what, "is longer than memory can be"));
    }
    // SAFETY: neither NULL nor misaligned nor longer than memory can be; the rest is promised.
    Ok(unsafe { slice::from_raw_parts(start, count) })
}

/// A text that ends with NUL.
///
/// # Safety
/// There is one at `start`, unless it is NULL, and it stays unchanged as long as this is used.
pub(crate) unsafe fn text<'a>(start: *const c_char, what: &'static str) -> Result<&'a str, Error> {
    check(start, what)?;
    // SAFETY: not NULL; that it ends is promised.
    let text = unsafe { CStr::from_ptr(start) };
    text.to_str()
        .map_err(|_| Error::argument(what, "is not UTF-8"))
}

/// A structure of the caller.
///
/// # Safety
/// There is one at `start`, unless it is NULL, and it stays unchanged as long as this is used.
pub(crate) unsafe fn reference<'a, T>(start: *const T, what: &'static str) -> Result<&'a T, Error> {
    check(start, what)?;
    // SAFETY: neither NULL nor misaligned; the rest is promised.
    Ok(unsafe { &*start })
}

/// A place where a result goes.
#[derive(Clone, Copy)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// There is room for a `T` at `place`, unless it is NULL, as long as this is used.
    pub(crate) unsafe fn new(place: *mut T, what: &'static str) -> Result<Self, Error> {
        check(place, what)?;
        Ok(Self(place))
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: neither NULL nor misaligned; whoever made this promised the room.
        unsafe { self.0.write(value) };
    }
}

/// An array for results.
pub(crate) struct OutArray<T> {
    next: *mut T,
    left: usize,
}

impl<T> OutArray<T> {
    /// # Safety
    /// There is room for so many at `start`, unless it is NULL, as long as this is used.
    pub(crate) unsafe fn new(
        start: *mut T,
        capacity: usize,
        what: &'static str,
    ) -> Result<Self, Error> {
        if capacity > 0 {
            check(start, what)?;
        }
        Ok(Self {
            next: start,
            left: capacity,
        })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// # Panics
    /// It is full.
    pub(crate) fn push(&mut self, value: T) {
        assert!(!self.is_full());
        // SAFETY: there is room for one more, by the promise at `new`.
        unsafe { self.next.write(value) };
        self.left -= 1;
        // SAFETY: at most the end of the array.
        self.next = unsafe { self.next.add(1) };
    }
}

fn check<T>(start: *const T, what: &'static str) -> Result<(), Error> {
    if start.is_null() {
        return Err(Error::argument(what, "is NULL"));
    }
    if !start.is_aligned() {
        return Err(Error::argument(what, "is not aligned"));
    }
    Ok(())
}
