//! What is said of headers that came in, and of the settings of an exporter.

use std::error::Error as _;

use stageflow::context::{TraceContext, TraceParent, TraceParentError};
use stageflow_otel::{Otlp, OtlpError};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    headers().into_iter().chain(settings()).collect()
}

fn headers() -> Vec<Sample> {
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let texts = [
        (format!("00-{trace}-{span}-0x"), "flags"),
        (format!("00_{trace}-{span}-01"), "dashes"),
        (format!("00-{trace}-{span}-01-more"), "55"),
        (format!("00-{trace}-{}-01", "0".repeat(16)), "span id"),
        (format!("00-{}-{span}-01", trace.to_uppercase()), "trace id"),
        (format!("ff-{trace}-{span}-01"), "version"),
    ];
    let sample = |kind: &str, error: &TraceParentError, fact| {
        Sample::of("TraceParentError", kind, error.code(), error)
            .names(["traceparent"])
            .facts([fact])
    };
    let read = |(text, fact): (String, &'static str)| {
        let error = text.parse::<TraceParent>().unwrap_err();
        sample(
            &kind_name("TraceParentErrorKind", &error.kind()),
            &error,
            fact,
        )
    };
    let mut samples: Vec<Sample> = texts.into_iter().map(read).collect();
    let good = format!("00-{trace}-{span}-01");
    let twice = [
        ("traceparent", &good),
        ("traceparent", &good),
        ("authorization", &CANARY.to_owned()),
    ];
    let several = TraceContext::from_headers(twice);
    let text = several.refused().unwrap();
    let several = Sample::with_text(
        "TraceParentError",
        "TraceParentErrorKind::Several",
        Some("SF0531"),
        text,
    );
    samples.push(
        several
            .names(["traceparent"])
            .facts(["1 more"])
            .beside_a_secret(),
    );
    samples
}

fn settings() -> Vec<Sample> {
    let sample = |error: &OtlpError, fact| {
        let kind = kind_name("OtlpErrorKind", &error.kind());
        Sample::of("OtlpError", &kind, error.code(), error)
            .names(["OTLP"])
            .facts([fact])
            .beside_a_secret()
    };
    let with = |endpoint: &str, name: &str, value: &str| {
        let otlp = Otlp::builder(endpoint).headers([(name, value)]);
        otlp.start().map(drop).unwrap_err()
    };
    let broken = format!("{CANARY}\n");
    let none = with("http://127.0.0.1:4317", "authorization", CANARY);
    assert!(none.source().is_some());
    vec![
        sample(
            &with("127.0.0.1:4317", "authorization", CANARY),
            "127.0.0.1:4317",
        ),
        sample(
            &with("http://127.0.0.1:4317", "authorization", &broken),
            "authorization",
        ),
        sample(
            &with("https://collector:4317", "authorization", CANARY),
            "https://collector:4317",
        ),
        sample(&none, "http://127.0.0.1:4317"),
    ]
}
