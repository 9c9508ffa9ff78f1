//! The load generator: ours beside Debian's `ovsdb-server`, in turn, in the same run, under the same loads.
//!
//! One thread with epoll produces every load, so that the servers have the rest of the machine; requests are put
//! together from prepared pieces, and answers are framed and checked without parsing. Every answer is checked: the
//! first that is not the expected success ends the run.

mod closed_loop;
mod cluster;
mod connection;
mod contender;
mod dataset;
mod figure;
mod frame;
mod options;
mod process_stat;
mod reply;
mod scenario;
mod swarm;
mod table;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use contender::{Programs, Role};
use figure::Figures;
use options::Options;
use scenario::{ALL, Run, SELF_CHECK, Scenario};

fn main() -> ExitCode {
    let mut figures = Figures::default();
    let options = Options::parse();
    let outcome = measure(&options, &mut figures);
    // What was measured before a failure is worth seeing.
    if figures.iter().next().is_some() {
        println!("{}", table::render(&figures, options.markdown));
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options, figures: &mut Figures) -> Result<()> {
    let chosen = chosen(options)?;
    allow_many_files()?;
    let programs = Programs::find(options.same)?;
    print_setting(options, &programs)?;
    turns(options, &programs, &SELF_CHECK, figures)?;
    for scenario in chosen {
        turns(options, &programs, scenario, figures)?;
    }
    for figure in figures.iter() {
        for measurement in figure.all() {
            if !measurement.value.is_finite() || measurement.value <= 0.0 {
                bail!("{} came out as {}", figure.meaning.name, measurement.value);
            }
        }
        figure
            .ratio(Role::Ours)
            .with_context(|| format!("{} lacks a side", figure.meaning.name))?;
    }
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<&'static Scenario>> {
    let names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
    for name in &options.only {
        if !names.contains(&name.as_str()) {
            bail!(
                "there is no scenario {name}; there are {}",
                names.join(", ")
            );
        }
    }
    let wanted = |scenario: &&Scenario| {
        options.only.is_empty() || options.only.iter().any(|name| name == scenario.name)
    };
    Ok(ALL.iter().filter(wanted).collect())
}

/// All rounds of one scenario, the servers in turn.
fn turns(
    options: &Options,
    programs: &Programs,
    scenario: &Scenario,
    figures: &mut Figures,
) -> Result<()> {
    let rounds = options.rounds(scenario.at_most);
    for round in 1..=rounds {
        for &role in scenario.roles {
            if role == Role::OursAlways && programs.same() {
                continue;
            }
            eprintln!("{} {round}/{rounds}: {}", scenario.name, role.name());
            let mut run = Run {
                programs,
                role,
                folder: options.dir.clone().unwrap_or_else(std::env::temp_dir),
                unix: options.unix,
                span: options.span(),
                sizes: options.sizes(),
                figures,
            };
            (scenario.run)(&mut run)
                .with_context(|| format!("{} with {}", scenario.name, role.name()))?;
        }
    }
    Ok(())
}

fn print_setting(options: &Options, programs: &Programs) -> Result<()> {
    let processors = std::thread::available_parallelism()?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    println!("reference: {}", programs.version(Role::Reference)?);
    println!("ours: {}", programs.version(Role::Ours)?);
    println!(
        "{processors} processors ({model}), Linux {}, {} rounds of {} s, clients on {}{}\n",
        kernel.trim(),
        options.rounds(u32::MAX),
        options.span().counted.as_secs_f64(),
        if options.unix {
            "a Unix socket"
        } else {
            "TCP over loopback"
        },
        if options.quick {
            ", quick: the figures say nothing about speed"
        } else {
            ""
        }
    );
    Ok(())
}

/// The limit of open files, here and in the servers: a thousand clients are two thousand sockets.
fn allow_many_files() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .context("cannot raise the limit of open files")
}
