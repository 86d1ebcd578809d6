//! Which columns of a table fit into a width, and how wide they are.

use std::borrow::Cow;
use std::io;

use anstream::ColorChoice;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Width};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width of a terminal that does not say how wide it is.
const DEFAULT_WIDTH: usize = 80;
/// What separates two columns.
const GAP: usize = 2;
/// The narrowest column whose texts are cut.
const NARROWEST: usize = 10;

/// Whether a table has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Coloured,
}

impl Style {
    /// Returns the style of tables on standard output, which is a terminal.
    pub(crate) fn of_terminal() -> Self {
        if anstream::AutoStream::choice(&io::stdout()) == ColorChoice::Never {
            Self::Plain
        } else {
            Self::Coloured
        }
    }
}

/// Returns the width of the terminal, in columns.
pub(crate) fn terminal_width() -> usize {
    comfy_table::Table::new().width().map_or(DEFAULT_WIDTH, usize::from)
}

/// A column of a table.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) cells: Vec<String>,
    /// The order in which columns are taken while they fit: 0 first. Columns with priority 0 are always shown.
    pub(crate) priority: u8,
    pub(crate) kind: ColumnKind,
}

/// How the texts of a column are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// Whole: ids, for example.
    Whole,
    /// Cut if the column is too narrow.
    Cut,
    /// Whole, aligned to the right.
    Number,
    /// On several lines, if the column is too narrow. Only the last column may be.
    Wrapped,
}

impl Column {
    pub(crate) fn new(title: &'static str, priority: u8, kind: ColumnKind, cells: Vec<String>) -> Self {
        Self { title, cells, priority, kind }
    }

    fn width(&self) -> usize {
        let title = std::iter::once(self.title);
        title
            .chain(self.cells.iter().map(String::as_str))
            .map(UnicodeWidthStr::width)
            .max()
            .unwrap_or_default()
    }

    /// Returns the least width that the column needs.
    fn least_width(&self) -> usize {
        match self.kind {
            ColumnKind::Whole | ColumnKind::Number => self.width(),
            ColumnKind::Cut | ColumnKind::Wrapped => self.width().min(NARROWEST.max(self.title.width())),
        }
    }
}

/// Removes columns until the others fit into `width`, the least important ones first, and columns without texts.
pub(crate) fn fit(columns: Vec<Column>, width: usize) -> Vec<Column> {
    let mut columns: Vec<_> =
        columns.into_iter().filter(|column| column.cells.iter().any(|cell| !cell.is_empty())).collect();
    loop {
        let needed: usize = columns.iter().map(|column| column.least_width() + GAP).sum();
        let least = columns.iter().enumerate().max_by_key(|(_, column)| column.priority);
        match least {
            Some((number, column)) if needed > width.saturating_add(GAP) && column.priority > 0 => {
                columns.remove(number);
            }
            _ => return columns,
        }
    }
}

/// Renders columns in `width`. `color` is the colour of the first column, by row.
pub(crate) fn render(columns: &[Column], width: usize, style: Style, colors: &[Option<Color>]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    if style == Style::Coloured {
        table.enforce_styling();
    }
    let bold = |title| match style {
        Style::Coloured => Cell::new(title).add_attribute(Attribute::Bold),
        Style::Plain => Cell::new(title),
    };
    table.set_header(columns.iter().map(|column| bold(column.title)));
    let widths = widths(columns, width);
    let rows = columns.first().map_or(0, |column| column.cells.len());
    for row in 0..rows {
        let color = colors.get(row).copied().flatten();
        let cells = columns.iter().zip(&widths).enumerate().map(|(number, (column, width))| {
            let text = column.cells.get(row).map_or("", String::as_str);
            let cell = match column.kind {
                ColumnKind::Cut => Cell::new(cut(text, *width)),
                ColumnKind::Whole | ColumnKind::Number | ColumnKind::Wrapped => Cell::new(text),
            };
            match (number, color) {
                (0, Some(color)) => cell.fg(color),
                _ => cell,
            }
        });
        table.add_row(cells);
    }
    for (number, (column, width)) in columns.iter().zip(widths).enumerate() {
        let Some(target) = table.column_mut(number) else { continue };
        let is_last = number + 1 == columns.len();
        let gap = if is_last { 0 } else { u16::try_from(GAP).unwrap_or(u16::MAX) };
        target.set_padding((0, gap));
        if column.kind == ColumnKind::Number {
            target.set_cell_alignment(CellAlignment::Right);
        }
        let fixed = u16::try_from(width).unwrap_or(u16::MAX).saturating_add(gap);
        target.set_constraint(ColumnConstraint::Absolute(Width::Fixed(fixed)));
    }
    table.trim_fmt()
}

/// Cuts a text that is wider than `width`.
fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let mut start = String::new();
    for c in text.chars() {
        if start.width() + c.width().unwrap_or_default() >= width {
            break;
        }
        start.push(c);
    }
    Cow::from(start + "…")
}

/// Returns the width of each column: what is left is shared by those that may be cut.
fn widths(columns: &[Column], width: usize) -> Vec<usize> {
    let wanted: Vec<_> = columns.iter().map(Column::width).collect();
    let mut widths: Vec<_> = columns.iter().map(Column::least_width).collect();
    let gaps = GAP * columns.len().saturating_sub(1);
    let mut left = width.saturating_sub(widths.iter().sum::<usize>() + gaps);
    while left > 0 {
        let narrow = wanted.iter().zip(&mut widths).filter(|(wanted, width)| **width < **wanted);
        let Some((_, narrowest)) = narrow.min_by_key(|(_, width)| **width) else { break };
        *narrowest += 1;
        left -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let column =
            |title, priority, kind, text: &str| Column::new(title, priority, kind, vec![text.to_owned()]);
        vec![
            column("NAME", 2, ColumnKind::Cut, "a-rather-long-name"),
            column("RESOURCE", 0, ColumnKind::Whole, "i-0123456789abcdef0"),
            column("EMPTY", 1, ColumnKind::Whole, ""),
            column("REGION", 1, ColumnKind::Whole, "eu-west-1"),
        ]
    }

    fn shown(width: usize) -> String {
        let text = render(&fit(columns(), width), width, Style::Plain, &[]);
        text.lines().nth(1).expect("a row").trim_end().to_owned()
    }

    #[test]
    fn columns_are_left_out_or_cut_and_ids_never_are() {
        for (width, expected) in [
            (60, "a-rather-long-name  i-0123456789abcdef0  eu-west-1"),
            (45, "a-rather-lon…  i-0123456789abcdef0  eu-west-1"),
            (42, "a-rather-…  i-0123456789abcdef0  eu-west-1"),
            (41, "i-0123456789abcdef0  eu-west-1"),
            (20, "i-0123456789abcdef0"),
            (5, "i-0123456789abcdef0"),
        ] {
            assert_eq!(shown(width), expected, "{width}");
        }
    }
}
