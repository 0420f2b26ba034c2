//! What exporters say of events that they did not take.

use stageflow::events::{ExportError, ExportErrorKind};

use super::{Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let kinds = [
        ExportErrorKind::Transient,
        ExportErrorKind::Permanent,
        ExportErrorKind::Refused(3),
    ];
    kinds.map(sample).into()
}

fn sample(kind: ExportErrorKind) -> Sample {
    let cause = std::io::Error::other("connection refused");
    let error = ExportError::new(kind, "the collector at otel:4317 did not take the events");
    let error = error.caused_by(cause);
    let name = kind_name("ExportErrorKind", &error.kind());
    let sample = Sample::of("ExportError", &name, error.code(), &error);
    sample.names(["otel:4317"]).facts(["connection refused"])
}
