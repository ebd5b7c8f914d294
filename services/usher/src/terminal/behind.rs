//! For whoever must not wait for a reader: `usher up`, whose children depend on it, and the last
//! words of any command. A command's answer is waited for instead: it is to arrive whole.

use std::{
    io::{self, Write as _},
    sync::{Mutex, OnceLock},
};

use anstream::{AutoStream, ColorChoice};
use kit::write_behind::{self, LastLines, NonBlocking};

use super::lost::lose;

static OUTPUT: OnceLock<Behind> = OnceLock::new();
static ERRORS: OnceLock<Behind> = OnceLock::new();

struct Behind {
    writer: NonBlocking,
    colours: ColorChoice,
    last_lines: Mutex<Option<LastLines>>,
}

/// From now on nothing that is said is waited for; what nobody reads is dropped.
pub(crate) fn write_behind() {
    let (output, errors) = (io::stdout(), io::stderr());
    begin(
        &OUTPUT,
        "output",
        AutoStream::choice(&output),
        Noted(output),
    );
    begin(&ERRORS, "errors", AutoStream::choice(&errors), errors);
}

/// Standard output, which notes that it takes no more.
struct Noted(io::Stdout);

impl io::Write for Noted {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.write(text).inspect_err(lose)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().inspect_err(lose)
    }
}

fn begin(
    of: &OnceLock<Behind>,
    thread: &str,
    colours: ColorChoice,
    to: impl io::Write + Send + 'static,
) {
    of.get_or_init(|| {
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
    wait_for(&OUTPUT);
    wait_for(&ERRORS);
}

/// The same of standard output alone.
pub(crate) fn finish_output() {
    wait_for(&OUTPUT);
}

fn wait_for(behind: &OnceLock<Behind>) {
    if let Some(behind) = behind.get() {
        let mut last_lines = behind.last_lines.lock();
        drop(last_lines.as_mut().ok().and_then(|lines| lines.take()));
    }
}

/// Whether it will be said to standard output without waiting.
pub(super) fn print(text: &str) -> bool {
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
    let mut shown = AutoStream::new(Vec::new(), *colours);
    // Neither can fail: one is memory, the other a queue that drops.
    let _ = shown.write_all(text.as_bytes());
    let _ = writer.clone().write_all(&shown.into_inner());
    true
}
