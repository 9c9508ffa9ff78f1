//! Runs what the fuzzers have found so far.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ovsdb_fuzzing::TARGETS;

/// In any thread: a server's tasks survive those of one session.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn nothing_in_the_corpora_breaks_a_promise() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |information| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(information);
    }));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut broken = Vec::new();
    for (name, run) in TARGETS {
        let inputs = fs::read_dir(folder.join(name)).expect("a corpus");
        let mut count = 0;
        for input in inputs {
            let path = input.expect("an input").path();
            let data = fs::read(&path).expect("an input");
            let before = PANICS.load(Ordering::SeqCst);
            let ended = panic::catch_unwind(AssertUnwindSafe(|| run(&data)));
            if ended.is_err() || PANICS.load(Ordering::SeqCst) > before {
                broken.push(path);
            }
            count += 1;
        }
        assert!(count > 0, "{name} has inputs");
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
