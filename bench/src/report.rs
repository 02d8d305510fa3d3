//! What was measured as a table in Markdown and as a plot: `export.md` and `export.svg` in `target/bench`.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::stopwatch::Figures;
use crate::workload::Extent;

/// One thing that was measured, and what it is measured against.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    what: String,
    took: Figures,
    against: &'static str,
    unit: Figures,
    /// The ratio that we want to stay below.
    reach: Option<f64>,
    /// Bytes written, and those that the other wrote.
    bytes: Option<(u64, u64)>,
}

impl Line {
    pub(crate) fn new(what: String, took: Figures, against: &'static str, unit: Figures) -> Self {
        Self {
            what,
            took,
            against,
            unit,
            reach: None,
            bytes: None,
        }
    }

    pub(crate) fn reach(self, reach: f64) -> Self {
        Self {
            reach: Some(reach),
            ..self
        }
    }

    pub(crate) fn bytes(self, written: u64, unit: u64) -> Self {
        Self {
            bytes: Some((written, unit)),
            ..self
        }
    }

    fn ratio(&self) -> f64 {
        self.took.wall / self.unit.wall.max(f64::MIN_POSITIVE)
    }
}

/// Everything that was measured of exports.
#[derive(Debug, Default)]
pub(crate) struct Report {
    trees: Vec<String>,
    lines: Vec<Line>,
}

impl Report {
    /// Says how large a tree is, and what the pipeline makes of it.
    pub(crate) fn tree(&mut self, name: &str, extent: Extent, compressed: u64) {
        let Extent { bytes, files } = extent;
        self.trees.push(format!(
            "{name}: {:.0} MB in {files} files, {:.0} MB by `tar | pigz -1`",
            megabytes(bytes),
            megabytes(compressed),
        ));
    }

    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Writes table and plot into `dir`, and returns the table.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<String> {
        let table = self.table();
        fs_err::create_dir_all(dir)?;
        fs_err::write(dir.join("export.md"), &table)?;
        fs_err::write(dir.join("export.svg"), self.plot())?;
        Ok(table)
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for tree in &self.trees {
            writeln!(text, "- {tree}").expect("a string takes all");
        }
        text.push_str(
            "\n| measured | s | CPU s | peak MB | against | s | CPU s | ratio | to reach | bytes |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            let reach = line.reach.map_or(String::new(), |it| format!("{it:.2}"));
            let bytes = line.bytes.map_or(String::new(), |(written, unit)| {
                format!("{:.3}", ratio(written, unit))
            });
            writeln!(
                text,
                "| {} | {:.3} | {:.2} | {:.0} | {} | {:.3} | {:.2} | **{:.3}** | {reach} | {bytes} |",
                line.what,
                line.took.wall,
                line.took.cpu,
                line.took.peak / 1024.0,
                line.against,
                line.unit.wall,
                line.unit.cpu,
                line.ratio(),
            )
            .expect("a string takes all");
        }
        text
    }

    /// Draws a bar per line, as long as its ratio, with a mark where it should end.
    fn plot(&self) -> String {
        const ROW: usize = 26;
        const NAMES: f64 = 330.0;
        const UNIT: f64 = 380.0;
        let height = (self.lines.len() + 2) * ROW;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"10\" y=\"18\">Wall time as a ratio to what it is measured against (line: 1; mark: to reach)</text>\n"
        );
        for (number, line) in self.lines.iter().enumerate() {
            let top = (number + 1) * ROW;
            let (text, bar) = (top + 17, top + 5);
            let width = line.ratio().min(1.3) * UNIT;
            write!(
                svg,
                "<text x=\"10\" y=\"{text}\">{}</text>\n\
                 <rect x=\"{NAMES}\" y=\"{bar}\" width=\"{width:.0}\" height=\"16\" fill=\"#4477aa\"/>\n\
                 <text x=\"{:.0}\" y=\"{text}\">{:.3}</text>\n",
                line.what,
                NAMES + width + 6.0,
                line.ratio(),
            )
            .expect("a string takes all");
            if let Some(reach) = line.reach {
                let x = NAMES + reach * UNIT;
                writeln!(
                    svg,
                    "<line x1=\"{x:.0}\" x2=\"{x:.0}\" y1=\"{top}\" y2=\"{}\" stroke=\"#cc3311\" stroke-width=\"3\"/>",
                    top + ROW
                )
                .expect("a string takes all");
            }
        }
        let one = NAMES + UNIT;
        write!(
            svg,
            "<line x1=\"{one:.0}\" x2=\"{one:.0}\" y1=\"{ROW}\" y2=\"{height}\" stroke=\"#999999\"/>\n</svg>\n"
        )
        .expect("a string takes all");
        svg
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_ratio_and_its_bytes() {
        let took = |wall| Figures {
            wall,
            cpu: 2.0 * wall,
            peak: 2048.0,
        };
        let mut report = Report::default();
        let line = Line::new("mine".to_owned(), took(1.0), "theirs", took(4.0));
        report.add(line.reach(0.5).bytes(90, 100));
        let table = report.table();
        let expected =
            "| mine | 1.000 | 2.00 | 2 | theirs | 4.000 | 8.00 | **0.250** | 0.50 | 0.900 |";
        assert_eq!(table.lines().last(), Some(expected));
        assert!(report.plot().contains(">0.250</text>"));
    }
}
