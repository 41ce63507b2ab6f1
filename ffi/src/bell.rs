//! An eventfd that is readable while it rings.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::Wake;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::Error;

#[derive(Debug)]
pub(crate) struct Bell(EventFd);

impl Bell {
    pub(crate) fn new() -> Result<Self, Error> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        EventFd::from_value_and_flags(0, flags)
            .map(Self)
            .map_err(Error::system("make an eventfd"))
    }

    pub(crate) fn source(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }

    pub(crate) fn ring(&self) {
        // It fails only where 2^64 rings are unread: then it rings.
        let _ = self.0.write(1);
    }

    /// Whether it rang.
    pub(crate) fn silence(&self) -> bool {
        self.0.read().is_ok()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
