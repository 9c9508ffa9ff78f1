//! Children that end with this process, however it ends.
//!
//! The kernel kills them (`PR_SET_PDEATHSIG`, set by `setpriv`) when the
//! thread that made them ends. So one thread makes them all, and lives as long
//! as the process.

use std::ffi::OsString;
use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

struct Order {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

/// What a command line has to begin with so that the program is killed when
/// its maker is gone. Nothing behind it may change user or capabilities, as
/// that would undo it.
#[must_use]
pub fn leash() -> Vec<OsString> {
    ["setpriv", "--pdeathsig", "KILL", "--"]
        .map(OsString::from)
        .to_vec()
}

/// Starts a child from the thread that lives as long as the process.
///
/// # Errors
/// As [`Command::spawn`].
pub fn spawn(command: Command) -> io::Result<Child> {
    static MAKER: OnceLock<Sender<Order>> = OnceLock::new();
    let maker = MAKER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for mut order in inbox {
                // Whoever ordered waits for it.
                let _ = order.answer.send(order.command.spawn());
            }
        });
        orders
    });
    let (answer, made) = channel();
    let gone = |_| io::Error::other("the thread that starts programs is gone");
    maker
        .send(Order { command, answer })
        .map_err(|_| gone(()))?;
    made.recv().map_err(|_| gone(()))?
}
