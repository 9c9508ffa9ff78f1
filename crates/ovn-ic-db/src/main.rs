//! The OVN interconnection database as one program.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("ovn-ic-db does not serve yet: see the README for what exists.");
    ExitCode::FAILURE
}
