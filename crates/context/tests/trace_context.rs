//! W3C Trace Context and Baggage: what is read, what is refused, what goes on.

use proptest::collection::vec;
use proptest::prelude::*;
use stageflow_context::{TraceContext, TraceParent, TraceParentErrorKind as Kind};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn good() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

fn kind(text: &str) -> Option<Kind> {
    text.parse::<TraceParent>().err().map(|error| error.kind())
}

fn from(headers: &[(&str, &str)]) -> TraceContext {
    TraceContext::from_headers(headers.iter().copied())
}

#[test]
fn a_traceparent_is_read_as_the_recommendation_has_it() {
    let cases = [
        (good(), None),
        (format!("00-{TRACE}-{SPAN}-00"), None),
        (format!("00-{TRACE}-{SPAN}-ff"), None),
        // A later version, with and without more of it.
        (format!("cc-{TRACE}-{SPAN}-01"), None),
        (format!("cc-{TRACE}-{SPAN}-01-what-follows"), None),
        (format!("cc-{TRACE}-{SPAN}-01-"), None),
        (format!("cc-{TRACE}-{SPAN}-01."), Some(Kind::Form)),
        (format!("00-{TRACE}-{SPAN}-01-"), Some(Kind::Length)),
        (format!("00-{TRACE}-{SPAN}-01-what"), Some(Kind::Length)),
        (format!("00-{TRACE}-{SPAN}-0"), Some(Kind::Length)),
        (format!("ff-{TRACE}-{SPAN}-01"), Some(Kind::Version)),
        (format!("CC-{TRACE}-{SPAN}-01"), Some(Kind::Version)),
        (format!("0x-{TRACE}-{SPAN}-01"), Some(Kind::Version)),
        (format!("+0-{TRACE}-{SPAN}-01"), Some(Kind::Version)),
        (format!("00-{TRACE}-{SPAN}-0X"), Some(Kind::Flags)),
        (format!("00-{TRACE}-{SPAN}-+1"), Some(Kind::Flags)),
        (
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            Some(Kind::TraceId),
        ),
        (
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            Some(Kind::TraceId),
        ),
        (
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            Some(Kind::SpanId),
        ),
        (
            format!("00-{TRACE}-{}-01", "00f067aa0ba902bg"),
            Some(Kind::SpanId),
        ),
        (format!("00_{TRACE}-{SPAN}-01"), Some(Kind::Form)),
        (format!(" {}", good()), Some(Kind::Form)),
        (String::new(), Some(Kind::Length)),
    ];
    for (text, expected) in cases {
        assert_eq!(kind(&text), expected, "`{text}`");
    }
}

#[test]
fn flags_without_a_meaning_are_not_sent_on() {
    let parent: TraceParent = format!("00-{TRACE}-{SPAN}-ff").parse().unwrap();
    assert!(parent.flags.is_sampled());
    assert_eq!(parent.to_string(), format!("00-{TRACE}-{SPAN}-03"));
    let later: TraceParent = format!("cc-{TRACE}-{SPAN}-00-more").parse().unwrap();
    assert_eq!(later.to_string(), format!("00-{TRACE}-{SPAN}-00"));
}

#[test]
fn names_have_any_case_and_values_spaces_around_them() {
    let padded = format!(" \t{} ", good());
    let trace = from(&[
        ("Host", "x"),
        ("TraceParent", &padded),
        ("TRACESTATE", "a=1"),
    ]);
    assert_eq!(trace.parent().map(ToString::to_string), Some(good()));
    assert_eq!((trace.state(), trace.refused()), (Some("a=1"), None));
}

#[test]
fn a_malformed_traceparent_begins_a_trace_and_says_why() {
    let text = format!("00-{}-{SPAN}-01", TRACE.to_uppercase());
    let trace = from(&[("traceparent", &text), ("tracestate", "a=1")]);
    assert_eq!((trace.parent(), trace.state()), (None, None));
    let refused = trace.refused().unwrap();
    assert!(
        refused.starts_with("SF0531: traceparent `00-4BF9"),
        "{refused}"
    );
    // Both ids can be read: enough for a link.
    let meant = trace.refused_parent().unwrap();
    assert_eq!(
        (meant.trace_id.to_string(), meant.span_id.to_string()),
        (TRACE.into(), SPAN.into())
    );
    assert!(!meant.flags.is_sampled());
    assert_eq!(from(&[("traceparent", "what?")]).refused_parent(), None);
}

#[test]
fn several_traceparents_are_none() {
    let trace = from(&[("traceparent", &good()), ("Traceparent", &good())]);
    assert_eq!(trace.parent(), None);
    assert!(
        trace
            .refused()
            .unwrap()
            .contains("and 1 more`: the header is there more than once")
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let trace = TraceContext::from_headers([("traceparent", [0xff; 55].as_slice())]);
    assert!(trace.parent().is_none() && trace.refused().is_some());
}

#[test]
fn a_tracestate_is_passed_on_as_it_is_or_not_at_all() {
    let state = |value: &str| {
        let trace = from(&[("traceparent", &good()), ("tracestate", value)]);
        assert!(trace.parent().is_some());
        trace
            .state()
            .map(str::to_owned)
            .ok_or_else(|| trace.refused().map(str::to_owned))
    };
    for kept in [
        "rojo=00f067aa0ba902b7",
        "a=1 , b= 2,,c=3",
        "fw529a3039@dt=x/y;z",
        "0a_-*/=!",
    ] {
        assert_eq!(state(kept).as_deref(), Ok(kept));
    }
    assert_eq!(state(""), Err(None));
    let long = format!("a={}", "x".repeat(256));
    let many: Vec<String> = (0..33).map(|index| format!("k{index}=v")).collect();
    let cases = [
        ("A=1", "`A=1` is no entry"),
        ("a", "`a` is no entry"),
        ("a=", "`a=` is no entry"),
        ("a=b=c", "`a=b=c` is no entry"),
        ("a=\u{e9}", "is no entry"),
        ("a=1,b=2,a=3", "`a` is there twice"),
        (&many.join(","), "more than 32 entries"),
        (
            &format!("{long},b=1,c={}", "y".repeat(255)),
            "longer than 512 bytes",
        ),
    ];
    for (text, why) in cases {
        let refused = state(text).unwrap_err().unwrap();
        assert!(
            refused.starts_with("tracestate: ") && refused.contains(why),
            "{refused}"
        );
    }
    let both = from(&[
        ("traceparent", &good()),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ]);
    assert_eq!(both.state(), Some("a=1,b=2"));
}

#[test]
fn baggage_keeps_what_is_well_formed() {
    let text =
        "shop=north%20pole;ttl=5 ; secret, bad, plan = gold,k%C3=%C3%28,=x,odd=100%,plan=silver";
    let trace = from(&[("baggage", text)]);
    let baggage = trace.baggage();
    assert_eq!(baggage.get("shop"), Some("north pole"));
    assert_eq!(baggage.get("plan"), Some("silver"));
    assert_eq!(baggage.get("k%C3"), Some("\u{fffd}("));
    assert_eq!(baggage.get("odd"), Some("100%"));
    assert_eq!(baggage.get("Shop"), None);
    let shop = baggage.iter().next().unwrap();
    assert_eq!(shop.properties().collect::<Vec<_>>(), ["ttl=5", "secret"]);
    assert_eq!(
        trace.refused(),
        Some("baggage: `bad` and 1 more are no entries of it")
    );
    let out = "shop=north%20pole;ttl=5 ; secret,plan = gold,k%C3=%C3%28,odd=100%,plan=silver";
    assert_eq!(baggage.to_string(), out);
}

#[test]
fn baggage_has_bounds() {
    let many: Vec<String> = (0..70).map(|index| format!("k{index}=v")).collect();
    let trace = from(&[("baggage", &many.join(","))]);
    assert_eq!(trace.baggage().iter().count(), 64);
    assert_eq!(
        trace.refused(),
        Some("baggage: 6 entries are more than 64, or than 8192 bytes")
    );

    let large: Vec<String> = (0..5)
        .map(|index| format!("k{index}={}", "x".repeat(2000)))
        .collect();
    let trace = from(&[
        ("baggage", &large[..2].join(",")),
        ("baggage", &large[2..].join(",")),
    ]);
    assert_eq!(trace.baggage().iter().count(), 4);
    assert!(trace.baggage().to_string().len() <= 8192);
}

#[test]
fn what_came_goes_on_under_the_current_span() {
    let trace = from(&[
        ("traceparent", &good()),
        ("tracestate", "a=1"),
        ("baggage", "b=2"),
    ]);
    let current = format!("00-{TRACE}-00000000000000aa-01");
    let sent: Vec<_> = trace.headers(current.parse().unwrap()).collect();
    let expected = [
        ("traceparent", &*current),
        ("tracestate", "a=1"),
        ("baggage", "b=2"),
    ];
    assert_eq!(sent, expected.map(|(name, value)| (name, value.to_owned())));

    // Another trace has nothing to do with what was noted about this one.
    let other = format!("00-{}-00000000000000aa-01", "a".repeat(32));
    let names: Vec<_> = trace
        .headers(other.parse().unwrap())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["traceparent", "baggage"]);
    assert_eq!(
        TraceContext::default()
            .headers(other.parse().unwrap())
            .count(),
        1
    );
}

proptest! {
    #[test]
    fn nothing_that_comes_can_make_it_panic_and_what_goes_out_can_be_read(
        headers in vec((0_usize..4, prop_oneof![vec(any::<u8>(), 0..80), "[ -~]{0,80}".prop_map(String::into_bytes)]), 0..6),
    ) {
        let names = ["traceparent", "tracestate", "baggage", "x"];
        let trace = TraceContext::from_headers(headers.iter().map(|(name, value)| (names[*name], value)));
        let current = trace.parent().copied().unwrap_or_else(|| good().parse().unwrap());
        let again = TraceContext::from_headers(trace.headers(current));
        prop_assert_eq!(again.parent(), Some(&current));
        prop_assert_eq!((again.state(), again.baggage(), again.refused()), (trace.state(), trace.baggage(), None));
    }

    #[test]
    fn one_changed_byte_never_panics_and_what_is_read_was_well_formed(at in 0_usize..55, byte in any::<u8>()) {
        let mut bytes = good().into_bytes();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) && let Ok(parent) = text.parse::<TraceParent>() {
            let version_aside = |text: &str| text[2..53].to_owned();
            prop_assert_eq!(version_aside(&parent.to_string()), version_aside(&text));
        }
    }
}
