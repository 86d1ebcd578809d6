//! The report: one page that loads nothing and runs nothing.

use std::io::{self, Write};

use super::columns::{caller_columns, software_columns};
use super::{BLIND_SPOTS, CallerRow, CallersFound, software};
use crate::cli::output::table::layout::{Column, ColumnKind};
use crate::cli::output::unreadable;

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
    if let Some(unreadable) = unreadable(found.unreadable) {
        writeln!(writer, "<p class=\"failures\">{unreadable}.</p>")?;
    }
    if found.names_software() {
        table(writer, "Software", &software_columns(&software(rows)))?;
    }
    table(writer, "Callers", &caller_columns(rows))?;
    writer.write_all(after.as_bytes())
}

/// Writes a table of the columns that have texts.
fn table(writer: &mut impl Write, caption: &str, columns: &[Column]) -> io::Result<()> {
    let has_texts = |column: &&Column| column.cells.iter().any(|cell| !cell.is_empty());
    let columns: Vec<_> = columns.iter().filter(has_texts).collect();
    writeln!(writer, "<h2>{caption}</h2>\n<div class=\"wide\"><table>\n<thead><tr>")?;
    columns.iter().try_for_each(|column| writeln!(writer, "<th scope=\"col\">{}</th>", title(column)))?;
    writeln!(writer, "</tr></thead>\n<tbody>")?;
    for row in 0..columns.first().map_or(0, |column| column.cells.len()) {
        writer.write_all(b"<tr>")?;
        for column in &columns {
            let class = if column.kind == ColumnKind::Number { " class=\"number\"" } else { "" };
            let text = column.cells.get(row).map_or("", String::as_str);
            write!(writer, "<td{class}>{}</td>", escaped(text))?;
        }
        writer.write_all(b"</tr>\n")?;
    }
    writer.write_all(b"</tbody>\n</table></div>\n")
}

/// Returns the title of a column in lower case, except for its first letter and for names.
fn title(column: &Column) -> String {
    match column.title {
        "IMDSV2" => "IMDSv2".to_owned(),
        title => {
            let (first, rest) = title.split_at_checked(1).unwrap_or((title, ""));
            format!("{first}{}", rest.to_lowercase())
        }
    }
}

/// Returns a printable text as HTML that shows it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
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
        let text = "<script>alert('1')</script>&\"";
        assert_eq!(escaped(text), "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;");
    }
}
