//! The result, for people and for Markdown.

use crate::contender::Role;
use crate::figure::{Figure, Figures, Measurement};

const HEADINGS: [&str; 9] = [
    "",
    "unit",
    "reference",
    "ours",
    "ratio",
    "of single rounds",
    "p50",
    "p99",
    "server CPU",
];

/// From here on the load generator, not the server, may set the pace.
const GENERATOR_BOUND: f64 = 0.9;

/// The table of all figures. Columns with two values give the reference's first, then ours.
pub fn render(figures: &Figures, markdown: bool) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned).to_vec()];
    let mut remarks = Vec::new();
    for figure in figures.iter() {
        for ours in [Role::Ours, Role::OursAlways] {
            if figure.rounds.contains_key(&ours) {
                lines.push(line(figure, ours));
                remarks.extend(remark(figure, ours));
            }
        }
    }
    let mut text = if markdown {
        as_markdown(&lines)
    } else {
        as_text(&lines)
    };
    for remark in remarks {
        text.push_str(&format!("\n{}{remark}", if markdown { "- " } else { "" }));
    }
    text
}

fn name(figure: &Figure, ours: Role) -> String {
    match ours {
        Role::OursAlways => format!(
            "{} (ours: --durable=always, not asked)",
            figure.meaning.name
        ),
        _ => figure.meaning.name.clone(),
    }
}

fn line(figure: &Figure, ours: Role) -> Vec<String> {
    let value = |role| {
        figure
            .median(role, |measurement| Some(measurement.value))
            .map_or("-".into(), number)
    };
    let (ratio, spread) = match figure.ratio(ours) {
        Some((ratio, lowest, highest)) => (
            format!("{ratio:.2}"),
            format!("{lowest:.2} to {highest:.2}"),
        ),
        None => ("-".into(), "-".into()),
    };
    let pair = |of: &dyn Fn(&Measurement) -> Option<f64>| match (
        figure.median(Role::Reference, of),
        figure.median(ours, of),
    ) {
        (Some(theirs), Some(mine)) => format!("{} / {}", seconds(theirs), seconds(mine)),
        _ => String::new(),
    };
    vec![
        name(figure, ours),
        figure.meaning.unit.to_owned(),
        value(Role::Reference),
        value(ours),
        ratio,
        spread,
        pair(&|measurement| measurement.p50.map(|time| time.as_secs_f64())),
        pair(&|measurement| measurement.p99.map(|time| time.as_secs_f64())),
        pair(&|measurement| measurement.server_time),
    ]
}

fn remark(figure: &Figure, ours: Role) -> Vec<String> {
    let mut remarks = Vec::new();
    for (role, whose) in [(Role::Reference, "the reference"), (ours, "ours")] {
        let generator = figure
            .median(role, |measurement| Some(measurement.generator))
            .unwrap_or(0.0);
        if generator >= GENERATOR_BOUND {
            let percent = generator * 100.0;
            remarks.push(format!(
                "{}: with {whose} the load generator used {percent:.0} % of a processor; the server may be faster than this.",
                name(figure, ours)
            ));
        }
        let lost: u64 = figure
            .rounds
            .get(&role)
            .into_iter()
            .flatten()
            .map(|measurement| measurement.lost)
            .sum();
        if lost > 0 {
            remarks.push(format!(
                "{}: {whose} closed {lost} connections.",
                name(figure, ours)
            ));
        }
    }
    remarks
}

fn as_markdown(lines: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, cells) in lines.iter().enumerate() {
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
        if number == 0 {
            text.push_str("|---|---|--:|--:|--:|--:|--:|--:|--:|\n");
        }
    }
    text
}

fn as_text(lines: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| {
            lines
                .iter()
                .map(|cells| cells[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for cells in lines {
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            if column < 2 {
                text.push_str(&format!("{cell:<width$}  "));
            } else {
                text.push_str(&format!("{cell:>width$}  "));
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Three or more significant digits.
fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// A time in the unit that suits it.
fn seconds(value: f64) -> String {
    match value {
        _ if value >= 1.0 => format!("{value:.2} s"),
        _ if value >= 1e-3 => format!("{:.1} ms", value * 1e3),
        _ => format!("{:.1} µs", value * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Meaning;

    #[test]
    fn a_line_has_both_figures_and_their_ratio() {
        let mut figures = Figures::default();
        let meaning = Meaning {
            name: "update 1x1".into(),
            unit: "txn/s",
            more_is_better: true,
        };
        figures.add(
            Role::Reference,
            meaning.clone(),
            Measurement::new(1000.0).lost(2),
        );
        figures.add(
            Role::Ours,
            meaning.clone(),
            Measurement::new(2500.0).generator(0.95),
        );
        let text = render(&figures, true);
        assert!(
            text.contains("| update 1x1 | txn/s | 1000 | 2500 | 2.50 | 2.50 to 2.50 |"),
            "{text}"
        );
        assert!(
            text.contains("with ours the load generator used 95 % of a processor"),
            "{text}"
        );
        assert!(
            text.contains("the reference closed 2 connections"),
            "{text}"
        );
        assert!(render(&figures, false).lines().count() > 2);
    }
}
