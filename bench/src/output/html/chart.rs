//! One chart as SVG: axes, lines, marks, and a title on each point for the mouse.
//!
//! Colours come from the page's style by class, so that a chart is right in light and dark.

use std::fmt::Write;

/// The drawing's own units; the page scales it to the width that there is.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 46.0;

/// Lines that are told apart by colour; those after them by dashes as well.
pub(super) const COLOURS: usize = 8;

/// How numbers become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    Linear,
    /// By powers of ten.
    Log,
    /// Percentiles, by the nines: 90 %, 99 %, 99.9 % … as far apart from each other.
    Nines,
}

/// A line, and what its points are called.
pub(super) struct Line {
    /// Which of the runs it belongs to.
    pub(super) run: usize,
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// A point to draw a ring around, and what to write beside it.
    pub(super) mark: Option<(usize, &'static str)>,
}

pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) x_name: &'static str,
    pub(super) y_name: &'static str,
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) lines: Vec<Line>,
}

impl Chart {
    /// `None` if no line has a point.
    pub(super) fn svg(&self) -> Option<String> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::over(self.x, points().map(|point| point.0))?;
        let y = Axis::over(self.y, points().map(|point| point.1))?;
        let frame = Frame { x, y };
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(self.title)
        );
        frame.grid(&mut svg);
        let middle_x = (LEFT + WIDTH - RIGHT) / 2.0;
        let (x_name, y_name) = (self.x_name, self.y_name);
        let _ = writeln!(
            svg,
            "<text class=\"axis\" x=\"{middle_x}\" y=\"{}\" text-anchor=\"middle\">{x_name}</text>",
            HEIGHT - 6.0
        );
        let _ = writeln!(
            svg,
            "<text class=\"axis\" x=\"4\" y=\"16\" text-anchor=\"start\">{y_name}</text>"
        );
        for line in &self.lines {
            frame.line(&mut svg, line, self);
        }
        svg += "</svg>\n";
        Some(svg)
    }
}

struct Frame {
    x: Axis,
    y: Axis,
}

impl Frame {
    fn x(&self, number: f64) -> f64 {
        LEFT + self.x.share(number) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, number: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.share(number) * (HEIGHT - TOP - BOTTOM)
    }

    fn grid(&self, svg: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (number, text) in self.y.ticks() {
            let y = self.y(number);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>"
            );
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 6.0,
                y + 4.0
            );
        }
        for (number, text) in self.x.ticks() {
            let x = self.x(number);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>"
            );
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                bottom + 16.0
            );
        }
    }

    fn line(&self, svg: &mut String, line: &Line, chart: &Chart) {
        let class = class_of(line.run);
        let places = line
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", self.x(point.0), self.y(point.1)));
        let places: Vec<_> = places.collect();
        let _ = writeln!(
            svg,
            "<polyline class=\"line {class}\" points=\"{}\"/>",
            places.join(" ")
        );
        let name = escape(&line.name);
        for &(x, y) in &line.points {
            let told = format!(
                "{name}: {} {}, {} {}",
                number(chart.x, x),
                chart.x_name,
                number(chart.y, y),
                chart.y_name
            );
            let _ = writeln!(
                svg,
                "<circle class=\"dot {class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"><title>{told}</title></circle>",
                self.x(x),
                self.y(y)
            );
        }
        if let Some((index, what)) = line.mark
            && let Some(&(x, y)) = line.points.get(index)
        {
            let (x, y) = (self.x(x), self.y(y));
            // Beside the point, on the side where there is room.
            let (anchor, aside) = if x > WIDTH / 2.0 {
                ("end", -10.0)
            } else {
                ("start", 10.0)
            };
            let _ = writeln!(
                svg,
                "<circle class=\"ring {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\"/>"
            );
            let _ = writeln!(
                svg,
                "<text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{what}</text>",
                x + aside,
                y - 6.0
            );
        }
    }
}

/// The classes of a run's lines.
pub(super) fn class_of(run: usize) -> String {
    let colour = run % COLOURS;
    if run < COLOURS {
        format!("c{colour}")
    } else {
        format!("c{colour} dashed")
    }
}

/// What is drawn between two numbers.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    /// Wide enough for all numbers.
    fn over(scale: Scale, numbers: impl Iterator<Item = f64>) -> Option<Self> {
        let places: Vec<f64> = numbers
            .map(|number| place(scale, number))
            .filter(|place| place.is_finite())
            .collect();
        let (low, high) = places
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &place| {
                (low.min(place), high.max(place))
            });
        if places.is_empty() {
            return None;
        }
        let (from, to) = match scale {
            Scale::Linear => (0.0, if high > 0.0 { high * 1.05 } else { 1.0 }),
            // A little air, and at least one power of ten, so that noise does not look like mountains.
            Scale::Log => {
                let missing = (1.0 - (high - low)).max(0.0) / 2.0;
                (low - missing - 0.05, high + missing + 0.05)
            }
            Scale::Nines => (0.0, high.max(2.0)),
        };
        Some(Self { scale, from, to })
    }

    fn share(&self, number: f64) -> f64 {
        ((place(self.scale, number) - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// Numbers to draw a line at, and how they are written.
    fn ticks(&self) -> Vec<(f64, String)> {
        let numbers: Vec<f64> = match self.scale {
            Scale::Linear => {
                let step = round_step((self.to - self.from) / 5.0);
                (0..=10)
                    .map(|count| f64::from(count) * step)
                    .take_while(|&number| number <= self.to)
                    .collect()
            }
            Scale::Log => {
                let decades = self.from.floor() as i32..=self.to.ceil() as i32;
                // With few decades the numbers between are needed, too.
                let steps: &[f64] = if self.to - self.from <= 2.5 {
                    &[1.0, 2.0, 5.0]
                } else {
                    &[1.0]
                };
                let all = decades
                    .flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
                all.filter(|number| (self.from..=self.to).contains(&number.log10()))
                    .collect()
            }
            Scale::Nines => {
                let tens = (0..=(self.to + 1e-6) as i32).map(|nines| 1.0 - 10f64.powi(-nines));
                let mut numbers: Vec<_> = tens.collect();
                // Where there are many nines, there is no room for the median's label.
                if self.to < 4.5 {
                    numbers.insert(1, 0.5);
                }
                numbers
            }
        };
        numbers
            .into_iter()
            .map(|tick| (tick, number(self.scale, tick)))
            .collect()
    }
}

/// Where on its scale a number lies.
fn place(scale: Scale, number: f64) -> f64 {
    match scale {
        Scale::Linear => number,
        Scale::Log => number.max(0.01).log10(),
        Scale::Nines => -(1.0 - number).max(1e-9).log10(),
    }
}

/// 1, 2 or 5 with zeros, at least as large as this.
fn round_step(step: f64) -> f64 {
    let decade = 10f64.powf(step.log10().floor());
    let rounded = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|digit| digit * decade >= step);
    rounded.unwrap_or(10.0) * decade
}

fn number(scale: Scale, number: f64) -> String {
    match scale {
        Scale::Nines if number >= 1.0 => "max".to_owned(),
        Scale::Nines => {
            let percent = format!("{:.4}", number * 100.0);
            format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
        }
        Scale::Linear | Scale::Log => short(number),
    }
}

/// Three digits and k or M.
pub(super) fn short(number: f64) -> String {
    let (number, unit) = match number.abs() {
        large if large >= 999_500.0 => (number / 1e6, "M"),
        large if large >= 9_995.0 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let digits = match number.abs() {
        large if large >= 100.0 => 0,
        large if large >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{number:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale, numbers: &[f64]) -> Vec<String> {
        let axis = Axis::over(scale, numbers.iter().copied()).unwrap();
        axis.ticks().into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(
            texts(Scale::Linear, &[0.0, 90_000.0]),
            ["0", "20k", "40k", "60k", "80k"]
        );
        assert_eq!(
            texts(Scale::Log, &[10.0, 900.0]),
            ["10", "20", "50", "100", "200", "500", "1000"]
        );
        assert_eq!(
            texts(Scale::Log, &[1.0, 100_000.0]),
            ["1", "10", "100", "1000", "10k", "100k"]
        );
        assert_eq!(texts(Scale::Linear, &[0.0]).first().unwrap(), "0");
    }

    #[test]
    fn nines_are_as_far_from_each_other() {
        let axis = Axis::over(Scale::Nines, [0.0, 0.9999].into_iter()).unwrap();
        let shares = [0.0, 0.9, 0.99, 0.999, 0.9999].map(|quantile| axis.share(quantile));
        for (share, expected) in shares.into_iter().zip([0.0, 0.25, 0.5, 0.75, 1.0]) {
            assert!((share - expected).abs() < 1e-9, "{shares:?}");
        }
        assert_eq!(
            texts(Scale::Nines, &[0.9999]),
            ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]
        );
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (12.34, "12.3"),
            (1500.0, "1500"),
            (100_000.0, "100k"),
            (1.5e6, "1.5M"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn no_numbers_make_no_chart() {
        let chart = Chart {
            title: "t",
            x_name: "x",
            y_name: "y",
            x: Scale::Linear,
            y: Scale::Log,
            lines: Vec::new(),
        };
        assert!(chart.svg().is_none());
    }
}
