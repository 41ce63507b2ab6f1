//! Ctrl-C: the first asks for an orderly end, the second ends at once.

use std::{io, process, thread};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `first` when the process is asked to end (Ctrl-C or SIGTERM), from a thread of its own.
/// Asked once more, the process is gone.
pub(crate) fn watch(first: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut arriving = signals.forever();
            if arriving.next().is_some() {
                first();
            }
            if arriving.next().is_some() {
                process::exit(130);
            }
        })?;
    Ok(())
}
