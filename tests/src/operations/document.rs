//! The sections of a document, and what is typed in each.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// A command, and where it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `A` to `D`, or [`ANYWHERE`].
    pub machine: char,
    /// What is typed.
    pub command: String,
    /// Lines that it prints, with `...` for what differs.
    pub printed: Vec<String>,
    /// Its exit status.
    pub status: i32,
}

/// The prompt of commands for any machine that has the program.
pub const ANYWHERE: char = '$';

/// A heading and what is typed below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading, with those above it: `Upgrade / Back`.
    pub heading: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// The sections of docs/operations.md in which something is typed.
///
/// # Errors
/// If it cannot be read, or a block is not as its first lines say.
pub fn read() -> Result<Vec<Section>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    parse(&text)
}

/// How much deeper than the text a block is.
const INDENT: &str = "    ";

fn parse(text: &str) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    let (mut above, mut heading) = (String::new(), String::new());
    // The heading's own example of what a block looks like is not typed.
    let mut block: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if let Some(line) = line.strip_prefix(INDENT) {
            block.push(line);
            continue;
        }
        if !block.is_empty() {
            let steps = typed(&block).with_context(|| heading.clone())?;
            block.clear();
            match sections.last_mut() {
                Some(last) if last.heading == heading => last.steps.extend(steps),
                _ if steps.is_empty() => {}
                _ => sections.push(Section {
                    heading: heading.clone(),
                    steps,
                }),
            }
        }
        if let Some(words) = line.strip_prefix("## ") {
            above = words.to_owned();
            heading = words.to_owned();
        } else if let Some(words) = line.strip_prefix("### ") {
            heading = format!("{above} / {words}");
        }
    }
    Ok(sections)
}

/// The machines of a prompt, and what is behind it.
fn prompt(line: &str) -> Option<(&str, &str)> {
    if let Some(command) = line.strip_prefix("$ ") {
        return Some(("$", command));
    }
    let (machines, command) = line.split_once("# ")?;
    let right = !machines.is_empty() && machines.chars().all(|name| ('A'..='D').contains(&name));
    right.then_some((machines, command))
}

/// The steps of one block. What is for several machines is done whole on one after the other.
fn typed(block: &[&str]) -> Result<Vec<Step>> {
    let mut groups: Vec<(&str, Vec<Step>)> = Vec::new();
    let mut goes_on = false;
    for line in block {
        if goes_on {
            let step = groups.last_mut().and_then(|(_, steps)| steps.last_mut());
            let step = step.context("no command")?;
            goes_on = append(&mut step.command, line);
            continue;
        }
        if let Some((machines, text)) = prompt(line) {
            let mut command = String::new();
            goes_on = append(&mut command, text);
            let step = Step {
                machine: ANYWHERE,
                command,
                printed: Vec::new(),
                status: 0,
            };
            match groups.last_mut() {
                Some((last, steps)) if *last == machines => steps.push(step),
                _ => groups.push((machines, vec![step])),
            }
            continue;
        }
        let Some(step) = groups.last_mut().and_then(|(_, steps)| steps.last_mut()) else {
            // Something to look at.
            return Ok(Vec::new());
        };
        match line
            .strip_prefix("[status ")
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(status) => step.status = status.parse().with_context(|| (*line).to_owned())?,
            None if step.status != 0 => bail!("{line:?} behind the status"),
            None => step.printed.push((*line).to_owned()),
        }
    }
    ensure!(!goes_on, "the last line of a block goes on");
    let mut all = Vec::new();
    for (machines, steps) in groups {
        for machine in machines.chars() {
            all.extend(steps.iter().cloned().map(|step| Step { machine, ..step }));
        }
    }
    Ok(all)
}

/// Adds a line to a command; whether another one follows.
fn append(command: &mut String, line: &str) -> bool {
    command.push_str(line);
    let goes_on = line.ends_with('\\');
    if goes_on {
        command.push('\n');
    }
    goes_on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(machine: char, command: &str, printed: &[&str], status: i32) -> Step {
        Step {
            machine,
            command: command.to_owned(),
            printed: printed.iter().map(|line| (*line).to_owned()).collect(),
            status,
        }
    }

    #[test]
    fn sections_steps_and_what_is_printed() -> Result<()> {
        let text = "\
# Title

    A# not yet

## One

Words.

    A# first \\
      and more
    prints ...
      two
    $ second
    [status 1]

### Back

    AB# a
    x
    AB# b

    BC# c

## Nothing

    only to look at
    $ this, too
";
        let sections = parse(text)?;
        let headings: Vec<&str> = sections.iter().map(|s| s.heading.as_str()).collect();
        assert_eq!(headings, ["", "One", "One / Back"]);
        let one = [
            step('A', "first \\\n  and more", &["prints ...", "  two"], 0),
            step('$', "second", &[], 1),
        ];
        assert_eq!(sections[1].steps, one);
        let back = [
            step('A', "a", &["x"], 0),
            step('A', "b", &[], 0),
            step('B', "a", &["x"], 0),
            step('B', "b", &[], 0),
            step('B', "c", &[], 0),
            step('C', "c", &[], 0),
        ];
        assert_eq!(sections[2].steps, back);
        assert!(parse("## x\n\n    $ a \\\n").is_err());
        assert!(parse("## x\n\n    $ a\n    [status x]\n").is_err());
        Ok(())
    }
}
