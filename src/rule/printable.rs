//! Text from outside, such as ids, tags, file names and error messages, made safe to show.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// Characters that are not displayed, or that change how the text around them is displayed: control
/// characters, line and paragraph separators, and the code points that Unicode marks as
/// `Default_Ignorable_Code_Point`, to which all bidirectional controls belong
/// (<https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt>). The HTML report has the same.
const INVISIBLE: [RangeInclusive<char>; 19] = [
    '\0'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Returns whether a character is not displayed, or changes how the text around it is displayed.
pub(crate) fn is_invisible(c: char) -> bool {
    !matches!(c, ' '..='~') && INVISIBLE.iter().any(|range| range.contains(&c))
}

/// Replaces characters that are not displayed, or that change how the text around them is displayed: tabs and
/// line ends by spaces, all others by their number, such as `\u{1b}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_invisible) {
        return text.into();
    }
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' => printable.push(' '),
            c if is_invisible(c) => {
                let _ = write!(printable, "\\u{{{:x}}}", u32::from(c)); // a string can always be written
            }
            c => printable.push(c),
        }
    }
    printable.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_displayed_is_replaced() {
        for (text, expected) in [
            ("", ""),
            ("café 部署 ≥ 🦀", "café 部署 ≥ 🦀"),
            ("one\r\n\ttwo", "one   two"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("i-\u{202e}gnp", "i-\\u{202e}gnp"),
            ("\u{2066}a\u{2069}", "\\u{2066}a\\u{2069}"),
            ("a\u{200b}b\u{ad}c\u{feff}", "a\\u{200b}b\\u{ad}c\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(printable(text), expected, "{text:?}");
        }
    }
}
