//! One chart: a lane for each subject, its name and value in words above its mark, so that colour is never alone.
//!
//! A linear scale begins at 0 and has bars; where the values' range needs a logarithmic one, there are dots, since a bar
//! would have no end to begin at. Whiskers join the quartiles.

use std::fmt::Write as _;

use bench::digits;

use crate::compare::model::Value;
use crate::escape::Escaped;

const WIDTH: f64 = 340.0;
/// Room for half a label and a dot at both ends of the scale.
const MARGIN: f64 = 14.0;
const LANE: f64 = 38.0;
const AXIS: f64 = 26.0;
/// The range beyond which a scale is logarithmic.
const WIDE: f64 = 20.0;
/// How many characters of a name and of a reason have room.
const NAME: usize = 20;
const REASON: usize = 46;
/// The unit of ratios, which stands before the number.
pub(super) const TIMES: &str = "×";
/// How many colours the style sheet has.
const NR_COLOURS: usize = 8;

/// A chart.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    /// Unique in the page; begins the ids of its parts.
    pub(super) id: String,
    /// What it shows.
    pub(super) title: &'a str,
    /// The unit of its values.
    pub(super) unit: &'a str,
    /// The lanes.
    pub(super) lanes: Vec<Lane<'a>>,
}

/// A subject's lane.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    /// The subject's name.
    pub(super) name: &'a str,
    /// Its colour's number.
    pub(super) colour: usize,
    /// The value, if there is one.
    pub(super) value: Option<Value>,
    /// What stands behind the value.
    pub(super) note: String,
    /// Why there is no value.
    pub(super) failure: Option<&'a str>,
}

impl Chart<'_> {
    /// The SVG, as part of a page.
    pub(super) fn render(&self) -> String {
        let scale = Scale::of(self.lanes.iter().filter_map(|lane| lane.value));
        let lanes = self.lanes.iter().fold(0.0, |sum, _| sum + LANE);
        let height = lanes + AXIS;
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\">\
             \n<title id=\"{0}-t\">{1}</title>\n<desc id=\"{0}-d\">{2}</desc>\n",
            self.id,
            Escaped(self.title),
            Escaped(&self.in_words()),
        );
        scale.grid(&mut svg, self.unit, lanes);
        let mut y = 0.0;
        for lane in &self.lanes {
            self.lane(&mut svg, lane, &scale, y);
            y += LANE;
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The chart for who can't see it.
    fn in_words(&self) -> String {
        let lane = |lane: &Lane<'_>| match (lane.value, lane.failure) {
            (Some(value), _) => format!("{}: {}", lane.name, self.amount(value.median)),
            (None, Some(why)) => format!("{}: failed: {why}", lane.name),
            (None, None) => format!("{}: no value", lane.name),
        };
        let lanes: Vec<_> = self.lanes.iter().map(lane).collect();
        lanes.join("; ")
    }

    /// A value with its unit.
    fn amount(&self, value: f64) -> String {
        match self.unit {
            TIMES => format!("{TIMES}{}", digits(value)),
            unit => format!("{} {unit}", digits(value)),
        }
    }

    fn lane(&self, svg: &mut String, lane: &Lane<'_>, scale: &Scale, y: f64) {
        text(
            svg,
            ("name", "start"),
            (0.0, y + 14.0),
            &short(lane.name, NAME),
        );
        let Some(value) = lane.value else {
            let why = lane
                .failure
                .map_or("no value".to_owned(), |why| format!("failed: {why}"));
            text(
                svg,
                ("failed", "start"),
                (0.0, y + 30.0),
                &short(&why, REASON),
            );
            return;
        };
        let label = format!("{} {}", self.amount(value.median), lane.note);
        text(svg, ("value", "end"), (WIDTH, y + 14.0), label.trim());
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<g class=\"mark s{}\" data-chart=\"{}\" data-subject=\"{}\"><title>{}: {}, quartiles {} to {}</title>",
            lane.colour % NR_COLOURS,
            self.id,
            Escaped(lane.name),
            Escaped(lane.name),
            self.amount(value.median),
            digits(value.lower),
            digits(value.upper),
        );
        scale.mark(svg, &value, y + 25.0);
        svg.push_str("</g>\n");
    }
}

/// From values to places.
#[derive(Debug)]
struct Scale {
    is_logarithmic: bool,
    low: f64,
    high: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = Value>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for value in values {
            if value.lower > 0.0 {
                least = least.min(value.lower);
            }
            most = most.max(value.upper);
        }
        if most <= 0.0 {
            return Self::linear(1.0);
        }
        if most / least <= WIDE {
            return Self::linear(most);
        }
        Self {
            is_logarithmic: true,
            low: least.log10().floor(),
            high: most.log10().ceil(),
        }
    }

    /// Up to the next 1, 2 or 5 times a power of ten.
    fn linear(most: f64) -> Self {
        let power = 10_f64.powf(most.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let high = steps.into_iter().find(|step| *step >= most);
        Self {
            is_logarithmic: false,
            low: 0.0,
            high: high.unwrap_or(most),
        }
    }

    fn place(&self, value: f64) -> f64 {
        let position = match (self.is_logarithmic, value > 0.0) {
            (false, _) => value,
            (true, true) => value.log10(),
            (true, false) => self.low,
        };
        let share = ((position - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        MARGIN + share * (WIDTH - 2.0 * MARGIN)
    }

    /// The values that have a line: powers of ten, thinned out, or halves.
    fn ticks(&self) -> Vec<f64> {
        if !self.is_logarithmic {
            return vec![0.0, self.high / 2.0, self.high];
        }
        let step = ((self.high - self.low) / 4.0).ceil().max(1.0);
        let mut ticks = Vec::new();
        let mut power = self.low;
        while power <= self.high {
            ticks.push(10_f64.powf(power));
            power += step;
        }
        ticks
    }

    fn grid(&self, svg: &mut String, unit: &str, bottom: f64) {
        for tick in self.ticks() {
            let x = self.place(tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"18\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>"
            );
            text(svg, ("tick", "middle"), (x, bottom + 13.0), &plain(tick));
        }
        let name = if self.is_logarithmic {
            "logarithmic"
        } else {
            ""
        };
        let about = format!("{unit} {name}");
        text(svg, ("tick", "end"), (WIDTH, bottom + 25.0), about.trim());
    }

    /// A bar or a dot, and the whisker if there is a spread.
    fn mark(&self, svg: &mut String, value: &Value, y: f64) {
        let x = self.place(value.median);
        let start = self.place(self.start());
        let _ = match self.is_logarithmic {
            true => writeln!(
                svg,
                "<line class=\"stem\" x1=\"{start:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{y:.1}\"/>\
                 <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>"
            ),
            false => writeln!(
                svg,
                "<rect x=\"{start:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"10\"/>",
                y - 5.0,
                (x - start).max(1.0)
            ),
        };
        if value.nr_samples < 2 {
            return;
        }
        let (lower, upper) = (self.place(value.lower), self.place(value.upper));
        let _ = writeln!(
            svg,
            "<path class=\"whisker\" d=\"M{lower:.1} {0:.1}v8M{lower:.1} {y:.1}H{upper:.1}M{upper:.1} {0:.1}v8\"/>",
            y - 4.0
        );
    }

    /// The value at the left end.
    fn start(&self) -> f64 {
        match self.is_logarithmic {
            true => 10_f64.powf(self.low),
            false => 0.0,
        }
    }
}

/// A tick's number as short as it can be.
fn plain(tick: f64) -> String {
    let rounded: f64 = format!("{tick:.6}").parse().unwrap_or(tick);
    match rounded {
        1e6.. => format!("{}M", rounded / 1e6),
        1e4.. => format!("{}k", rounded / 1e3),
        _ => rounded.to_string(),
    }
}

/// The text, or its beginning.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn text(svg: &mut String, (class, anchor): (&str, &str), (x, y): (f64, f64), text: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        Escaped(text)
    );
}

#[cfg(test)]
mod tests {
    use super::{Scale, plain, short};
    use crate::compare::model::tests::exactly;

    #[test]
    fn wide_range_is_logarithmic_and_narrow_is_linear() {
        let wide = Scale::of([0.13, 40.0].map(exactly).into_iter());
        assert!(wide.is_logarithmic);
        assert_eq!(wide.ticks(), [0.1, 1.0, 10.0, 100.0]);
        let narrow = Scale::of([30.0, 150.0].map(exactly).into_iter());
        assert_eq!(narrow.ticks(), [0.0, 100.0, 200.0]);
    }

    #[test]
    fn places_are_inside_and_in_order() {
        for values in [[0.0, 3.0], [0.2, 3000.0], [1e-9, 1.0]] {
            let scale = Scale::of(values.map(exactly).into_iter());
            let [low, high] = values.map(|value| scale.place(value));
            assert!(
                0.0 <= low && low < high && high <= super::WIDTH,
                "{values:?}"
            );
        }
    }

    #[test]
    fn nothing_but_zero_has_a_scale() {
        let scale = Scale::of([exactly(0.0)].into_iter());
        assert!(scale.place(0.0).is_finite());
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(plain(1e5), "100k");
        assert_eq!(plain(10_f64.powf(-2.0)), "0.01");
    }
}
