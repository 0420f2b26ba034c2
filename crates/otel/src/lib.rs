//! Stageflow's runs as OpenTelemetry traces, metrics and logs, over OTLP.
