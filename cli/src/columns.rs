//! Tables for people: every column is as wide as what stands in it.

/// The head of a column, and the side at which its cells line up.
#[derive(Clone, Copy)]
pub(crate) enum Head {
    /// For words.
    Left(&'static str),
    /// For numbers.
    Right(&'static str),
}

/// A line for the heads and one for every row, none longer than `width` characters.
pub(crate) fn table<const N: usize>(
    heads: [Head; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: usize,
) -> Vec<String> {
    let mut lines = vec![heads.map(|head| head.text().to_owned())];
    lines.extend(rows);
    let mut widths = [0; N];
    for cells in &lines {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = length(cell).max(*width);
        }
    }
    let lines = lines.iter();
    lines
        .map(|cells| cut(line(&heads, cells, &widths), width))
        .collect()
}

impl Head {
    fn text(self) -> &'static str {
        match self {
            Self::Left(text) | Self::Right(text) => text,
        }
    }
}

fn line(heads: &[Head], cells: &[String], widths: &[usize]) -> String {
    let columns = heads.iter().zip(cells).zip(widths);
    let padded = columns.map(|((head, cell), width)| match head {
        Head::Left(_) => format!("{cell:<width$}"),
        Head::Right(_) => format!("{cell:>width$}"),
    });
    let line = padded.collect::<Vec<_>>().join("  ");
    line.trim_end().to_owned()
}

fn cut(line: String, width: usize) -> String {
    const MORE: &str = "...";
    if length(&line) <= width {
        return line;
    }
    let kept = line.chars().take(width.saturating_sub(MORE.len()));
    kept.chain(MORE.chars()).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::Head::{Left, Right};
    use super::*;

    fn sample(width: usize) -> Vec<String> {
        let heads = [Left("TOPIC"), Right("RECORDS"), Left("NOTE")];
        let rows = [["sip", "12", ""], ["sip-events", "12345678", "größer"]];
        table(heads, rows.map(|row| row.map(str::to_owned)), width)
    }

    #[test]
    fn cells_line_up_and_nothing_trails() {
        assert_eq!(
            sample(100),
            [
                "TOPIC        RECORDS  NOTE",
                "sip               12",
                "sip-events  12345678  größer",
            ]
        );
    }

    #[test]
    fn a_line_that_is_too_long_shows_that_there_is_more() {
        assert_eq!(
            sample(26),
            [
                "TOPIC        RECORDS  NOTE",
                "sip               12",
                "sip-events  12345678  g...",
            ]
        );
    }
}
