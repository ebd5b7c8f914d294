//! For whoever must not wait for a reader: `usher up`, whose children depend on it, and the last
//! words of any command. A command's answer is waited for instead: it is to arrive whole.

use std::{
    io::{self, Write as _},
    sync::{Mutex, OnceLock},
};

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use kit::write_behind::{self, LastLines, NonBlocking};

static OUTPUT: OnceLock<Behind> = OnceLock::new();
static ERRORS: OnceLock<Behind> = OnceLock::new();

struct Behind {
    writer: NonBlocking,
    colours: ColorChoice,
    last_lines: Mutex<Option<LastLines>>,
}

/// From now on nothing that is said is waited for; what nobody reads is dropped.
pub(crate) fn write_behind() {
    begin(&OUTPUT, "output", io::stdout());
    begin(&ERRORS, "errors", io::stderr());
}

fn begin(of: &OnceLock<Behind>, thread: &str, to: impl RawStream + Send + 'static) {
    of.get_or_init(|| {
        let colours = AutoStream::choice(&to);
        let (writer, last_lines) = write_behind::write_behind(thread, to);
        Behind {
            writer,
            colours,
            last_lines: Mutex::new(Some(last_lines)),
        }
    });
}

/// Waits for what was said last, but not for long. Nothing may be said after it.
pub(crate) fn finish() {
    for behind in [&OUTPUT, &ERRORS].into_iter().filter_map(OnceLock::get) {
        let mut last_lines = behind.last_lines.lock();
        drop(last_lines.as_mut().ok().and_then(|lines| lines.take()));
    }
}

/// Whether it will be said to standard output without waiting.
pub(super) fn say(text: &str) -> bool {
    put(&OUTPUT, text)
}

/// Whether it will be said to standard error without waiting.
pub(super) fn tell(text: &str) -> bool {
    put(&ERRORS, text)
}

fn put(to: &OnceLock<Behind>, text: &str) -> bool {
    let Some(Behind {
        writer, colours, ..
    }) = to.get()
    else {
        return false;
    };
    let mut line = AutoStream::new(Vec::new(), *colours);
    // Neither can fail: one is memory, the other a queue that drops.
    let _ = writeln!(line, "{text}");
    let _ = writer.clone().write_all(&line.into_inner());
    true
}
