//! Text in columns.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

/// A piece of text and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The text, in one line.
    pub text: String,
    /// How it looks where there are colours.
    pub style: Style,
}

/// What is in order.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What a person should look at.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// What does not work.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Headings.
pub const HEADING: Style = Style::new().bold();

impl Cell {
    /// Ordinary text; nothing is a dash.
    pub fn plain(text: impl Into<String>) -> Cell {
        Cell::styled(text, Style::new())
    }

    /// Text that looks special. Whatever could move the cursor is left out: much of it was
    /// written by others.
    pub fn styled(text: impl Into<String>, style: Style) -> Cell {
        let text = harmless(&text.into());
        let text = if text.is_empty() {
            "-".to_owned()
        } else {
            text
        };
        Cell { text, style }
    }
}

/// A text without control characters.
pub fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Appends lines under headings, indented by so many spaces, each column as wide as it must be. A column
/// without anything is left out.
pub fn write_table(out: &mut String, indent: usize, headings: &[&str], lines: &[Vec<Cell>]) {
    let cell = |line: &Vec<Cell>, column: usize| line.get(column).cloned();
    let is_used = |column: &usize| {
        let mut cells = lines.iter().filter_map(|line| cell(line, *column));
        *column == 0 || cells.any(|cell| cell.text != "-")
    };
    let columns: Vec<usize> = (0..headings.len()).filter(is_used).collect();
    let headings: Vec<Cell> = headings
        .iter()
        .map(|heading| Cell::styled(*heading, HEADING))
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| cell(line, column));
        let cells = cells.chain(headings.get(column).cloned());
        cells
            .map(|cell| cell.text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = columns.iter().map(|column| width(*column)).collect();
    for line in [&headings].into_iter().chain(lines) {
        let mut text = String::new();
        for (place, (column, width)) in columns.iter().zip(&widths).enumerate() {
            let Some(Cell { text: word, style }) = cell(line, *column) else {
                break;
            };
            let gap = match place + 1 < columns.len() {
                true => width.saturating_sub(word.chars().count()) + 2,
                false => 0,
            };
            // Strings take all that is written.
            let _ = write!(text, "{style}{word}{style:#}{:gap$}", "");
        }
        let _ = writeln!(out, "{:indent$}{}", "", text.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut out = String::new();
        let lines = [
            vec![
                Cell::plain("tcp:a:1"),
                Cell::plain(""),
                Cell::styled("leader", GOOD),
            ],
            vec![Cell::plain("b\u{1b}[2J"), Cell::plain("-")],
        ];
        write_table(&mut out, 2, &["WHERE", "EMPTY", "ROLE"], &lines);
        let plain = anstream::adapter::strip_str(&out).to_string();
        assert_eq!(plain, "  WHERE    ROLE\n  tcp:a:1  leader\n  b[2J\n");
        assert!(out.contains("\u{1b}[32mleader\u{1b}[0m"), "{out:?}");
    }
}
