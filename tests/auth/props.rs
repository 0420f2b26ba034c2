//! What holds for any token: held against the plainest rules there are.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use stageflow::auth::{
    AuthErrorKind, Authenticator as _, JwtAuthenticator, KeySource as _, StaticKeys, VerifyingKey,
};
use stageflow::context::FixedClock;
use stageflow::prelude::*;
use stageflow_testkit::proptest::collection::vec;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::sample::select;
use stageflow_testkit::tokens::{Signer, SigningKey, unsigned};
use stageflow_testkit::{Property, paused};

use crate::support::{AUDIENCE, ISSUER, NOW, claims, clock, org, rules};

fn key() -> SigningKey {
    SigningKey::generate(Signer::EdDsa, "only")
}

fn door(key: &SigningKey) -> JwtAuthenticator {
    JwtAuthenticator::new(StaticKeys::jwks(&key.jwks()).unwrap(), rules()).with_clock(clock(0))
}

fn kind(door: &JwtAuthenticator, token: String) -> Option<AuthErrorKind> {
    let shown = Credentials::bearer(token);
    paused(door.authenticate(&shown))
        .err()
        .map(|error| error.kind())
}

#[test]
fn a_token_of_which_one_byte_is_another_is_refused() {
    for signer in Signer::ALL {
        let key = SigningKey::generate(signer, "only");
        let (door, token) = (door(&key), key.token(&claims(org(1))));
        assert_eq!(kind(&door, token.clone()), None);
        let changes = (any::<prop::sample::Index>(), any::<u8>());
        Property::new("a changed token is another token").holds_for(&changes, |(at, byte)| {
            let mut bytes = token.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            // Credentials are text.
            let Ok(changed) = String::from_utf8(bytes) else {
                return Ok(());
            };
            prop_assert!(kind(&door, changed).is_some(), "{signer:?}, byte {at}");
            Ok(())
        });
    }
}

/// JSON of any shape, that often has the names that count.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|it| json!(it)),
        any::<f64>().prop_map(|it| json!(it)),
        any::<i64>().prop_map(|it| json!(it)),
        any::<u64>().prop_map(|it| json!(it)),
        "[ -~]{0,20}".prop_map(|it| json!(it)),
        select(vec![ISSUER, AUDIENCE, "EdDSA", "HS256", "none", "only"]).prop_map(|it| json!(it)),
        Just(json!(NOW)),
        Just(json!(org(1))),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            members(inner).prop_map(Value::Object),
        ]
    })
}

fn members(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    const NAMES: &[&str] = &[
        "alg", "kid", "crit", "iss", "aud", "exp", "nbf", "sub", "org_id", "roles", "scope", "scp",
        "region",
    ];
    vec((select(NAMES), inner), 0..10).prop_map(|members| {
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

#[test]
fn any_json_is_an_answer_and_no_panic() {
    let key = key();
    let door = door(&key);
    let any_two = (json_value(), members(json_value()), any::<bool>());
    Property::new("any JSON is an answer")
        .cases(1000)
        .holds_for(&any_two, |(header, payload, well)| {
            let payload = Value::Object(payload);
            // Half of them are signed and have a right header, so that their claims are looked at.
            let token = if well {
                key.token(&payload)
            } else {
                key.token_with(&header, &payload)
            };
            let refused = kind(&door, token);
            if refused.is_none() {
                prop_assert_eq!(payload.get("iss"), Some(&json!(ISSUER)));
                prop_assert_eq!(payload.get("org_id"), Some(&json!(org(1))));
            }
            prop_assert!(
                kind(&door, format!("{}.", unsigned(&header, &payload))).is_some(),
                "without a signature"
            );
            Ok(())
        });
}

#[test]
fn any_text_is_an_answer_and_no_panic() {
    let (key, keys) = (key(), key().jwks());
    let door = door(&key);
    Property::new("any text is an answer")
        .cases(1000)
        .holds_for(&"\\PC{0,200}", |text| {
            prop_assert!(kind(&door, text.clone()).is_some());
            prop_assert!(StaticKeys::jwks(&text).is_err());
            Ok(())
        });
    // A set with one part changed is a set or it is not; it is never a panic.
    Property::new("any set is an answer").cases(1000).holds_for(
        &(
            json_value(),
            select(&["kty", "x", "alg", "kid", "use", "key_ops", "crv"][..]),
        ),
        |(value, name)| {
            let mut set: Value = serde_json::from_str(&keys).unwrap();
            set["keys"][0][name] = value;
            if let Ok(read) = StaticKeys::jwks(&set.to_string()) {
                let found = paused(read.key(None)).unwrap();
                prop_assert!(found.is_some_and(|key| !key.signed(b"text", b"signature")));
            }
            Ok(())
        },
    );
}

/// When a token counts, in whole and half seconds.
#[test]
fn a_token_counts_exactly_as_long_as_it_says() {
    let key = key();
    let keys = key.jwks();
    let near = || -20_i64..20;
    let cases = (
        near(),
        proptest::option::of(near()),
        0_u64..10,
        any::<bool>(),
        any::<bool>(),
    );
    Property::new("a token counts as long as it says")
        .cases(1000)
        .holds_for(&cases, |(exp, nbf, leeway, half, parts)| {
            // All in half seconds.
            let of = |offset: i64| 2 * NOW as i64 + 2 * offset + i64::from(parts);
            let now = 2 * NOW as i64 + i64::from(half);
            let counts = now < of(exp) + 2 * leeway as i64
                && nbf.is_none_or(|nbf| now >= of(nbf) - 2 * leeway as i64);

            let number = |halves: i64| {
                if halves % 2 == 0 {
                    json!(halves / 2)
                } else {
                    json!(halves as f64 / 2.0)
                }
            };
            let mut says = claims(org(1));
            says["exp"] = number(of(exp));
            says.as_object_mut().unwrap().remove("nbf");
            if let Some(nbf) = nbf {
                says["nbf"] = number(of(nbf));
            }
            let clock =
                FixedClock::new(SystemTime::UNIX_EPOCH + Duration::from_millis(500 * now as u64));
            let rules = rules().leeway(Duration::from_secs(leeway));
            let door =
                JwtAuthenticator::new(StaticKeys::jwks(&keys).unwrap(), rules).with_clock(clock);
            let refused = kind(&door, key.token(&says));
            prop_assert_eq!(refused.is_none(), counts, "{:?}", refused);
            Ok(())
        });
}

#[test]
fn a_clock_before_1970_lets_nobody_in() {
    let key = key();
    let clock = FixedClock::new(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    let door =
        JwtAuthenticator::new(StaticKeys::jwks(&key.jwks()).unwrap(), rules()).with_clock(clock);
    assert_eq!(
        kind(&door, key.token(&claims(org(1)))),
        Some(AuthErrorKind::Undecided)
    );
}

#[test]
fn the_length_counts_to_the_byte() {
    let key = key();
    let token = key.token(&claims(org(1)));
    for (most, refused) in [
        (token.len(), None),
        (token.len() - 1, Some(AuthErrorKind::TooLong)),
    ] {
        let rules = rules().max_len(most.try_into().unwrap());
        let door = JwtAuthenticator::new(StaticKeys::jwks(&key.jwks()).unwrap(), rules)
            .with_clock(clock(0));
        assert_eq!(kind(&door, token.clone()), refused);
    }
}

#[test]
fn pem_files_are_keys_and_private_ones_are_not_taken() {
    use stageflow::auth::TokenAlgorithm::{EdDsa, Es256, Ps256, Rs256};
    for (signer, algorithm) in [
        (Signer::EdDsa, EdDsa),
        (Signer::Es256, Es256),
        (Signer::Ps256, Ps256),
        (Signer::Rs256, Rs256),
    ] {
        let key = SigningKey::generate(signer, "only");
        let read = VerifyingKey::from_pem(algorithm, key.public_pem())
            .unwrap()
            .with_kid("only");
        let other = VerifyingKey::from_pem(
            algorithm,
            SigningKey::generate(signer, "other").public_pem(),
        )
        .unwrap();
        let door = JwtAuthenticator::new(StaticKeys::of(other.with_kid("other")).or(read), rules())
            .with_clock(clock(0));
        assert_eq!(kind(&door, key.token(&claims(org(1)))), None, "{algorithm}");
        let private = key.public_pem().replace("PUBLIC", "PRIVATE");
        assert!(VerifyingKey::from_pem(algorithm, private).is_err());
    }
}

#[test]
fn claims_are_found_where_the_rules_say() {
    let key = key();
    let mut says = claims(org(1));
    says["https://example.org/tenant"] = json!(org(2));
    says["realm_access"] = json!({ "roles": ["admin", "ops"] });
    says["permissions"] = json!("a b");
    says["geo"] = json!("eu");
    let rules = rules()
        .org_claim("https://example.org/tenant")
        .roles_claim("/realm_access/roles")
        .scopes_claim("permissions")
        .region_claim("geo");
    let door =
        JwtAuthenticator::new(StaticKeys::jwks(&key.jwks()).unwrap(), rules).with_clock(clock(0));
    let shown = Credentials::bearer(key.token(&says));
    let who = paused(door.authenticate(&shown)).unwrap();
    assert_eq!(who.org(), org(2));
    assert_eq!(who.roles().collect::<Vec<_>>(), ["admin", "ops"]);
    assert_eq!(who.scopes().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(who.region(), Some("eu"));
    for (name, wrong) in [
        ("permissions", json!(7)),
        ("geo", json!([])),
        ("realm_access", json!({ "roles": [7] })),
    ] {
        let mut says = says.clone();
        says[name] = wrong;
        assert_eq!(
            kind(&door, key.token(&says)),
            Some(AuthErrorKind::Unreadable),
            "{name}"
        );
    }
}
