//! The report: one page that loads nothing and runs nothing.

use std::io::{self, Write};

use super::{BLIND_SPOTS, CallerRow, CallersFound, software};
use crate::cli::terminal::printable::printable;

const PAGE: &str = include_str!("callers.html");
/// The place of the content in the page.
const MARKER: &str = "<!-- CONTENT -->";

pub(super) fn write(writer: &mut impl Write, found: &CallersFound, rows: &[CallerRow<'_>]) -> io::Result<()> {
    let (before, after) = PAGE.split_once(MARKER).unwrap_or((PAGE, ""));
    write!(writer, "{before}<p>{}.</p>\n<ul class=\"soft\">\n", escaped(&found.in_words()))?;
    for spot in BLIND_SPOTS {
        writeln!(writer, "<li>{}</li>", escaped(spot))?;
    }
    writer.write_all(b"</ul>\n")?;
    if found.unreadable > 0 {
        writeln!(
            writer,
            "<p class=\"failures\">{} records or files could not be read.</p>",
            found.unreadable
        )?;
    }
    if found.names_software() {
        let software = software(rows);
        let cells = software.iter().map(|row| {
            let calls = row.calls.to_string();
            let last_seen = row.last_seen.clone().unwrap_or_default();
            let advice = format!("{}: {}", row.advice.label(), row.advice);
            [
                Cell::text(&row.name),
                Cell::number(calls),
                Cell::number(row.instances()),
                Cell::text(last_seen),
                Cell::text(advice),
            ]
        });
        table(writer, "Software", ["Software", "Calls", "Instances", "Last seen", "What to do"], cells)?;
    }
    let cells = rows.iter().map(|row| {
        let text = |text: Option<&str>| Cell::text(text.unwrap_or_default());
        [
            Cell::number(row.calls.to_string()),
            Cell::text(row.software_name()),
            text(Some(row.role())),
            text(row.instance_id),
            text(row.account_id),
            text(row.first_seen.as_deref()),
            text(row.last_seen.as_deref()),
            Cell::text(row.services.join(" ")),
            text(row.user_agent),
        ]
    });
    let titles = [
        "Calls",
        "Software",
        "Role",
        "Instance",
        "Account",
        "First seen",
        "Last seen",
        "Services",
        "User agent",
    ];
    table(writer, "Callers", titles, cells)?;
    writer.write_all(after.as_bytes())
}

/// A cell of a table.
struct Cell {
    text: String,
    is_number: bool,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_number: false }
    }

    fn number(text: String) -> Self {
        Self { text, is_number: true }
    }
}

fn table<const N: usize>(
    writer: &mut impl Write,
    caption: &str,
    titles: [&str; N],
    rows: impl Iterator<Item = [Cell; N]>,
) -> io::Result<()> {
    writeln!(writer, "<h2>{caption}</h2>\n<div class=\"wide\"><table>\n<thead><tr>")?;
    titles.iter().try_for_each(|title| writeln!(writer, "<th scope=\"col\">{title}</th>"))?;
    writeln!(writer, "</tr></thead>\n<tbody>")?;
    for row in rows {
        writer.write_all(b"<tr>")?;
        for Cell { text, is_number } in row {
            let class = if is_number { " class=\"number\"" } else { "" };
            write!(writer, "<td{class}>{}</td>", escaped(&text))?;
        }
        writer.write_all(b"</tr>\n")?;
    }
    writer.write_all(b"</tbody>\n</table></div>\n")
}

/// Returns a text as HTML that shows it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_the_content() {
        assert_eq!(PAGE.matches(MARKER).count(), 1);
    }

    #[test]
    fn no_text_is_markup() {
        let text = "<script>alert('1')</script>&\"\u{202e}";
        assert_eq!(escaped(text), "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\\u{202e}");
    }
}
