//! The results as a chart: for each row a bar per runtime, as long as the logarithm of its cost in terms of the
//! host.

use std::fmt::Write as _;

use crate::rows::Row;
use crate::samples::Samples;
use crate::table::digits;

const LEFT: f64 = 230.0;
const PLOT: f64 = 620.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 70.0;
const BAR: f64 = 14.0;
const GAP: f64 = 12.0;
const COLOURS: [&str; 6] = [
    "#1f6fb4", "#8a8a8a", "#d1702a", "#3a8f4d", "#8557a8", "#b03a48",
];

/// A standalone SVG document.
pub(crate) fn render(samples: &Samples) -> String {
    let runtimes: Vec<&str> = samples
        .subjects()
        .iter()
        .skip(1)
        .map(String::as_str)
        .collect();
    let scale = Scale::of(samples, &runtimes);
    let bars: f64 = runtimes.iter().map(|_| BAR).sum();
    let has_ratio = |row: &Row| {
        let mut ratios = runtimes.iter();
        ratios.any(|runtime| samples.ratio(*row, runtime, samples.native()).is_some())
    };
    let rows: Vec<Row> = samples.rows().iter().copied().filter(has_ratio).collect();
    let height = rows.iter().fold(TOP + 30.0, |sum, _| sum + bars + GAP);
    let width = LEFT + PLOT + RIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"22\" font-size=\"15\">Cost in terms of the host (logarithmic; shorter is better)</text>\n"
    );
    legend(&mut svg, &runtimes);
    grid(&mut svg, &scale, height);
    let mut y = TOP;
    for row in rows {
        text(&mut svg, LEFT - 8.0, y + bars / 2.0 + 4.0, "end", row.title);
        for (runtime, colour) in runtimes.iter().zip(COLOURS.iter().cycle()) {
            bar(&mut svg, &scale, (samples, row, runtime), (y, colour));
            y += BAR;
        }
        y += GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// From ratios to lengths: a tenth power of ten below the smallest ratio to a power of ten above the largest.
#[derive(Debug)]
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(samples: &Samples, runtimes: &[&str]) -> Self {
        let mut scale = Self {
            low: 0.0,
            high: 1.0,
        };
        for &row in samples.rows() {
            for runtime in runtimes {
                let ratio = samples.ratio(row, runtime, samples.native());
                if let Some(ratio) = ratio.filter(|ratio| *ratio > 0.0) {
                    scale.low = scale.low.min(ratio.log10().floor());
                    scale.high = scale.high.max(ratio.log10().ceil());
                }
            }
        }
        scale
    }

    /// The horizontal place of a ratio.
    fn place(&self, ratio: f64) -> f64 {
        LEFT + (ratio.log10() - self.low) / (self.high - self.low) * PLOT
    }
}

fn legend(svg: &mut String, runtimes: &[&str]) {
    let mut x = 16.0;
    for (runtime, colour) in runtimes.iter().zip(COLOURS.iter().cycle()) {
        rect(svg, (x, 34.0), (BAR, BAR - 2.0), colour);
        text(svg, x + 20.0, 45.0, "start", runtime);
        x += 170.0;
    }
}

fn grid(svg: &mut String, scale: &Scale, height: f64) {
    let mut power = scale.low;
    while power <= scale.high {
        let ratio = 10_f64.powf(power);
        let x = scale.place(ratio);
        let bottom = height - 24.0;
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#ddd\"/>",
            TOP - 6.0
        );
        text(svg, x, height - 8.0, "middle", &format!("×{ratio}"));
        power += 1.0;
    }
}

fn bar(
    svg: &mut String,
    scale: &Scale,
    (samples, row, runtime): (&Samples, Row, &str),
    (y, colour): (f64, &str),
) {
    let (Some(summary), Some(ratio)) = (
        samples.summary(row, runtime),
        samples.ratio(row, runtime, samples.native()),
    ) else {
        text(svg, LEFT + 4.0, y + 11.0, "start", "no result");
        return;
    };
    let (one, end) = (scale.place(1.0), scale.place(ratio));
    let (start, end) = (one.min(end), one.max(end));
    rect(
        svg,
        (start, y + 1.0),
        ((end - start).max(1.0), BAR - 2.0),
        colour,
    );
    let label = format!(
        "×{} ({} {})",
        digits(ratio),
        digits(summary.median),
        row.unit.symbol()
    );
    text(svg, end + 4.0, y + 11.0, "start", &label);
}

fn rect(svg: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    );
}

/// A text without characters that XML gives a meaning to.
fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
