//! A subscriber that keeps every span and event with its fields.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// A span, or an event under its message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) level: String,
    id: Option<u64>,
    /// The name of the span around it.
    pub(crate) parent: Option<u64>,
}

#[derive(Clone, Default)]
pub(crate) struct Recorder {
    told: Arc<Mutex<Vec<Told>>>,
}

impl Recorder {
    /// Records what this thread tells, for as long as the guard lives.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        // Without a subscriber for everybody, whichever thread comes first to a span or an event may
        // find that nobody wants it, and that is remembered for all threads.
        static FOR_EVERYBODY: Once = Once::new();
        FOR_EVERYBODY.call_once(|| {
            let everybody = tracing_subscriber::registry();
            let _ = tracing::subscriber::set_global_default(everybody);
        });
        let recorder = Self::default();
        let subscriber = tracing_subscriber::registry().with(recorder.clone());
        (recorder, tracing::subscriber::set_default(subscriber))
    }

    /// Everything of this name, in order.
    pub(crate) fn named(&self, name: &str) -> Vec<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter()
            .filter(|told| told.name == name)
            .cloned()
            .collect()
    }

    /// The only span or event of this name.
    pub(crate) fn one(&self, name: &str) -> Told {
        let mut named = self.named(name);
        assert_eq!(named.len(), 1, "{name}: {named:#?}");
        named.remove(0)
    }

    pub(crate) fn text(&self) -> String {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{told:?}")
    }

    fn push(&self, told: Told) {
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(told);
    }
}

impl Told {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(crate) fn is_within(&self, span: &Told) -> bool {
        self.parent.is_some() && self.parent == span.id
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields
            .insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields
            .insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent());
        let mut told = Told {
            name: attributes.metadata().name().to_owned(),
            level: attributes.metadata().level().to_string(),
            id: Some(id.into_u64()),
            parent: parent.map(|span| span.id().into_u64()),
            ..Told::default()
        };
        attributes.record(&mut told);
        self.push(told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Numbers of closed spans are given again: the last one is meant.
        let span = all
            .iter_mut()
            .rev()
            .find(|told| told.id == Some(id.into_u64()));
        values.record(span.expect("a span that was told"));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut told = Told {
            level: event.metadata().level().to_string(),
            parent: context.event_span(event).map(|span| span.id().into_u64()),
            ..Told::default()
        };
        event.record(&mut told);
        told.name = told.fields.remove("message").unwrap_or_default();
        self.push(told);
    }
}
