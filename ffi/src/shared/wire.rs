//! How messages and reports lie in shared memory: numbers of fixed size in the order of the
//! machine, and bytes whose length stands among them. What is read is checked: it may be anything.

/// Instead of a length: there is nothing, which differs from no bytes.
const NOTHING: u32 = u32::MAX;

/// Writes to bytes that are enough: whoever lent them has counted.
pub(super) struct Put<'a>(pub(super) &'a mut [u8]);

impl<'a> Put<'a> {
    #[inline]
    pub(super) fn u32(&mut self, number: u32) {
        self.bytes(&number.to_ne_bytes());
    }

    #[inline]
    pub(super) fn u64(&mut self, number: u64) {
        self.bytes(&number.to_ne_bytes());
    }

    /// The length of what may be nothing.
    #[inline]
    pub(super) fn length(&mut self, bytes: Option<&[u8]>) {
        self.u32(length(bytes));
    }

    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
    }

    #[inline]
    fn room(&mut self, len: usize) -> &'a mut [u8] {
        let (room, rest) = std::mem::take(&mut self.0).split_at_mut(len);
        self.0 = rest;
        room
    }
}

/// Reads what may be nonsense.
pub(super) struct Get<'a>(pub(super) &'a [u8]);

impl<'a> Get<'a> {
    #[inline]
    pub(super) fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*number))
    }

    #[inline]
    pub(super) fn u64(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*number))
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: u32) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len as usize)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Bytes by the length that [`Put::length`] wrote.
    #[inline]
    pub(super) fn optional(&mut self, len: u32) -> Option<Option<&'a [u8]>> {
        match len {
            NOTHING => Some(None),
            len => self.bytes(len).map(Some),
        }
    }
}

/// What [`Put::length`] writes. Bytes of 4 GiB never come so far: no lane and no slot is so large.
#[inline]
pub(super) fn length(bytes: Option<&[u8]>) -> u32 {
    bytes.map_or(NOTHING, |bytes| bytes.len() as u32)
}
