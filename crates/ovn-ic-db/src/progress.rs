//! How far something is that takes long, on a terminal; nothing is shown anywhere else.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that changes, on the standard error.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Of so many bytes.
    pub fn bytes(what: impl Into<Cow<'static, str>>, total: u64) -> Progress {
        let bar = ProgressBar::new(total);
        begin(bar, what, "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}")
    }

    /// Of bytes that nobody has counted before.
    pub fn stream(what: impl Into<Cow<'static, str>>) -> Progress {
        spin(what, "{spinner} {msg} {bytes} {elapsed}")
    }

    /// Of something that says nothing until it is over.
    pub fn wait(what: impl Into<Cow<'static, str>>) -> Progress {
        spin(what, "{spinner} {msg} {elapsed}")
    }

    /// So many bytes are done.
    pub fn reached(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Takes the line away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// A line that moves by itself.
fn spin(what: impl Into<Cow<'static, str>>, template: &str) -> Progress {
    let progress = begin(ProgressBar::no_length(), what, template);
    progress.0.enable_steady_tick(Duration::from_millis(200));
    progress
}

fn begin(bar: ProgressBar, what: impl Into<Cow<'static, str>>, template: &str) -> Progress {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    Progress(bar.with_message(what))
}
