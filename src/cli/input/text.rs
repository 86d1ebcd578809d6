//! Small text files, which people write by hand or with a spreadsheet.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail, ensure};

/// Reads a text file, or standard input if `path` is `-`. Windows programs begin text with a byte order mark, and
/// some write UTF-16; both are read.
///
/// # Errors
/// Returns an error that names the file, if it cannot be read or is not text.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let bytes = if is_stdin {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.with_context(|| format!("cannot read {name}"))?;
    match decode(&bytes) {
        Some(text) => Ok(text),
        None => bail!("{name} is not text: expected UTF-8 or UTF-16"),
    }
}

/// Checks that at most one of the inputs is standard input.
///
/// # Errors
/// Returns an error if there are more: each would take what the others need.
pub(crate) fn check_stdin(inputs: &[&Path]) -> anyhow::Result<()> {
    let is_stdin = |path: &&&Path| ["-", "/dev/stdin"].iter().any(|name| path.as_os_str() == *name);
    ensure!(
        inputs.iter().filter(is_stdin).count() <= 1,
        "more than one input is standard input: pass files for the others"
    );
    Ok(())
}

/// Returns bytes as text; `None` if they are not text.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Option<Vec<_>> = bytes.chunks(2).map(|pair| Some(unit(pair.try_into().ok()?))).collect();
        String::from_utf16(&units?).ok()
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// Returns the items of a list: one on each line, without empty lines and lines that begin with `#`.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_programs_write_is_read() {
        let utf16: Vec<u8> = "\u{feff}i-1\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let swapped: Vec<u8> = "\u{feff}i-1\r\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [b"i-1\n".to_vec(), b"\xef\xbb\xbfi-1\r\n".to_vec(), utf16, swapped] {
            let text = decode(&bytes).expect("text");
            assert_eq!(items(&text).collect::<Vec<_>>(), ["i-1"], "{bytes:?}");
        }
        for bytes in [&b"\xff\xff"[..], b"\xff\xfei", b"\x80"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn empty_lines_and_comments_are_no_items() {
        assert_eq!(items("# all\n\n  a \r\n#b\nc").collect::<Vec<_>>(), ["a", "c"]);
    }
}
