//! What errors say.

use expect_test::expect;
use stageflow::context::TraceParent;
use stageflow_otel::Otlp;

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let otlp = |endpoint: &str| Otlp::builder(endpoint).start().unwrap_err().to_string();
    let header = Otlp::builder("http://x:1")
        .headers([("x-token", "a\nb")])
        .exporter()
        .unwrap_err();
    let parent = "00-0-0-00".parse::<TraceParent>().unwrap_err();
    let all = [
        otlp("x"),
        header.to_string(),
        otlp("https://x:1"),
        otlp("http://x:1"),
        parent.to_string(),
    ];
    expect![[r#"
        SF0532: the OTLP endpoint `x` cannot be used: it is no URL that begins with `http://`; give the gRPC port of a collector, such as `http://127.0.0.1:4317`
        SF0533: the OTLP header `x-token` cannot be sent: HTTP does not allow its name or its value; use letters, digits and `-` in the name, and printable ASCII in the value
        SF0534: the OTLP endpoint `https://x:1` wants TLS, which is not built in; run a collector beside the program and give its `http://` port
        SF0535: nothing can be sent to the OTLP endpoint `http://x:1`: there is no tokio runtime here; call `start` inside one
        SF0531: traceparent `00-0-0-00`: version 00 has 55 characters; send `00-<trace id>-<span id>-<flags>` and nothing else"#]].assert_eq(&all.join("\n"));
}
