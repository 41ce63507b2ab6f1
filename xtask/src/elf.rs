//! Whether a program is static: read from the file itself, so that no tool is needed.

use std::fs;
use std::path::Path;

use xtask::{Error, Result};

/// An error unless the program is a 64-bit ELF file that asks for no interpreter, that is, for no
/// dynamic linker and so for no shared library.
pub(crate) fn expect_static(program: &Path) -> Result<()> {
    let bytes = fs::read(program).map_err(Error::io(format!("reading {}", program.display())))?;
    let failed = |why| Err(Error::Failed(format!("{} {why}", program.display())));
    match has_interpreter(&bytes) {
        Some(false) => Ok(()),
        Some(true) => failed("is not static: it asks for a dynamic linker"),
        None => failed("is no little-endian 64-bit ELF program"),
    }
}

/// Walks the program headers; `None` if this is not an ELF file that we can read.
fn has_interpreter(file: &[u8]) -> Option<bool> {
    const MAGIC_64_BIT_LITTLE_ENDIAN: &[u8] = b"\x7fELF\x02\x01";
    const PT_INTERP: u32 = 3;
    if !file.starts_with(MAGIC_64_BIT_LITTLE_ENDIAN) {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(at(file, 0x20)?)).ok()?;
    let entry_size = usize::from(u16::from_le_bytes(at(file, 0x36)?));
    let entries = usize::from(u16::from_le_bytes(at(file, 0x38)?));
    for entry in 0..entries {
        let kind = at(file, table.checked_add(entry * entry_size)?)?;
        if u32::from_le_bytes(kind) == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

fn at<const N: usize>(file: &[u8], offset: usize) -> Option<[u8; N]> {
    file.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn a_program_of_a_glibc_or_musl_host_is_told_apart() {
        let program = fs::read(env::current_exe().unwrap()).unwrap();
        assert_eq!(has_interpreter(&program), Some(cfg!(target_env = "gnu")));
    }

    #[test]
    fn what_is_no_elf_file_is_not_taken_for_static() {
        assert_eq!(has_interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(has_interpreter(b"\x7fELF\x02\x01"), None);
    }
}
