//! What was logged, for the tests of the crate's own modules too.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// Runs a function and returns, beside its result, what it logged: level and message, a line each.
pub(crate) fn logged<T>(run: impl FnOnce() -> T) -> (T, String) {
    struct Capture(Arc<Mutex<String>>);

    impl<S: Subscriber> tracing_subscriber::Layer<S> for Capture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = format!("{} ", event.metadata().level());
            event.record(&mut Message(&mut line));
            self.0.lock().unwrap().push_str(&(line + "\n"));
        }
    }

    struct Message<'a>(&'a mut String);

    impl Visit for Message<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                write!(self.0, "{value:?}").unwrap();
            }
        }
    }

    let lines = Arc::new(Mutex::new(String::new()));
    let capture = tracing_subscriber::registry().with(Capture(Arc::clone(&lines)));
    let result = tracing::subscriber::with_default(capture, run);
    let text = lines.lock().unwrap().clone();
    (result, text)
}
