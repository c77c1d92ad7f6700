//! Tables that scroll in a box of their own when the screen is narrow.

use std::fmt::Write as _;

/// A table; its cells are HTML already.
#[derive(Debug, Default)]
pub(super) struct Table {
    caption: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(caption: &str, head: Vec<String>) -> Self {
        Self {
            caption: caption.to_owned(),
            head,
            rows: Vec::new(),
        }
    }

    /// Adds a row, whose first cell is its title.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The HTML.
    pub(super) fn render(&self) -> String {
        let mut html = format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">\n<table>\n\
             <caption>{0}</caption>\n<thead><tr>",
            self.caption
        );
        // Writing to a string can't fail.
        for cell in &self.head {
            let _ = write!(html, "<th scope=\"col\">{cell}</th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (index, cell) in row.iter().enumerate() {
                let _ = match index {
                    0 => write!(html, "<th scope=\"row\">{cell}</th>"),
                    _ => write!(html, "<td>{cell}</td>"),
                };
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table>\n</div>\n");
        html
    }
}
