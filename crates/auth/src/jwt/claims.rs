//! What a token says, once it is known who signed it.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use stageflow_context::OrgId;

use super::JwtRules;
use super::token::unreadable;
use crate::user::id;
use crate::{AuthError, AuthErrorKind, Principal};

/// OpenID Connect Core 1.0, section 2: `sub` has at most 255 characters.
const LONGEST_SUBJECT: usize = 255;

/// The year 2106: stands for ends that no clock can show.
const FAR_OFF: Duration = Duration::from_secs(u32::MAX as u64);

/// Who the claims speak of, if they count at this moment.
pub(super) fn principal(
    claims: &Map<String, Value>,
    rules: &JwtRules,
    now: SystemTime,
) -> Result<Principal, AuthError> {
    made_here_and_for_us(claims, rules)?;
    let end = in_time(claims, rules, now)?;
    let subject = subject(claims)?;
    let mut principal = Principal::new(subject, org(claims, rules)?)
        .vouched_for_by(std::sync::Arc::clone(&rules.issuer))
        .until(end)
        .with_some_user();
    for role in texts(claims, &rules.roles, Spaces::InOne)? {
        principal = principal.with_role(role);
    }
    let of_rules = rules.scopes.as_deref();
    let names: &[&str] = match &of_rules {
        Some(name) => std::slice::from_ref(name),
        None => &["scope", "scopes", "scp"],
    };
    for name in names {
        for scope in texts(claims, name, Spaces::Between)? {
            principal = principal.with_scope(scope);
        }
    }
    Ok(match claim(claims, &rules.region) {
        None => principal,
        Some(Value::String(region)) => principal.in_region(region.as_str()),
        Some(_) => {
            return Err(unreadable(format!(
                "the claim `{}` is not a text; let the issuer write it so",
                rules.region
            )));
        }
    })
}

fn made_here_and_for_us(claims: &Map<String, Value>, rules: &JwtRules) -> Result<(), AuthError> {
    let JwtRules {
        issuer, audience, ..
    } = rules;
    // Rules that name nobody are nobody's, and not everybody's.
    if issuer.is_empty() || claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(AuthError::new(
            AuthErrorKind::WrongIssuer,
            format!(
                "the claim `iss` is not `{issuer}`, whose tokens count here; ask there for a token"
            ),
        ));
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(one)) => **one == **audience,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    };
    if audience.is_empty() || !for_us {
        return Err(AuthError::new(
            AuthErrorKind::WrongAudience,
            format!(
                "the claim `aud` does not name `{audience}`, which this is; ask for a token for it"
            ),
        ));
    }
    Ok(())
}

/// When the token is over, with the leeway, if it counts now.
fn in_time(
    claims: &Map<String, Value>,
    rules: &JwtRules,
    now: SystemTime,
) -> Result<SystemTime, AuthError> {
    let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else {
        // Nothing would ever be over.
        return Err(AuthError::new(
            AuthErrorKind::Undecided,
            "the `clock` of this machine stands before 1970, so no token can be held against it; correct it",
        ));
    };
    let end = moment(claims, "exp")?.ok_or_else(|| {
        unreadable("the token has no `exp`, so it would never be over; ask for one that has it")
    })?;
    let end = end.saturating_add(rules.leeway);
    if now >= end {
        let late = whole(now.saturating_sub(end));
        return Err(AuthError::new(
            AuthErrorKind::Expired,
            format!(
                "the token is over: its `exp` and {:?} of leeway passed {late:?} ago; ask for a new one",
                rules.leeway
            ),
        ));
    }
    if let Some(start) = moment(claims, "nbf")? {
        let start = start.saturating_sub(rules.leeway);
        if now < start {
            let early = start.saturating_sub(now);
            return Err(AuthError::new(
                AuthErrorKind::NotYetValid,
                format!(
                    "the token is not valid yet by its `nbf` less {:?} of leeway, for another {:?}; wait that long, or correct the clocks",
                    rules.leeway,
                    whole(early),
                ),
            ));
        }
    }
    Ok(SystemTime::UNIX_EPOCH
        .checked_add(end)
        .unwrap_or_else(|| SystemTime::UNIX_EPOCH + FAR_OFF))
}

/// Whole seconds, and at least one.
fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs().max(1))
}

/// A moment since 1970: RFC 7519 allows parts of seconds.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<Duration>, AuthError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let moment = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => Some(Duration::from_secs(seconds)),
        (None, Some(seconds)) => Duration::try_from_secs_f64(seconds).ok(),
        (None, None) => None,
    };
    match moment {
        Some(moment) => Ok(Some(moment)),
        None => Err(unreadable(format!(
            "the claim `{name}` is not a number of seconds since 1970; let the issuer write it so"
        ))),
    }
}

fn subject(claims: &Map<String, Value>) -> Result<&str, AuthError> {
    match claims.get("sub").and_then(Value::as_str) {
        Some(subject) if !subject.is_empty() && subject.len() <= LONGEST_SUBJECT => Ok(subject),
        _ => Err(unreadable(format!(
            "the claim `sub` is not a name of 1 to {LONGEST_SUBJECT} characters; let the issuer give it one"
        ))),
    }
}

fn org(claims: &Map<String, Value>, rules: &JwtRules) -> Result<OrgId, AuthError> {
    let text = claim(claims, &rules.org).and_then(Value::as_str);
    text.and_then(|text| id(text, OrgId::PREFIX)).ok_or_else(|| {
        AuthError::new(
            AuthErrorKind::NoOrg,
            format!(
                "the claim `{}` is not the id of an org, and without one nobody is anybody; let the issuer add it",
                rules.org
            ),
        )
    })
}

fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name);
    };
    let (first, rest) = match path.split_once('/') {
        Some((first, _)) => (first, &path[first.len()..]),
        None => (path, ""),
    };
    let first = first.replace("~1", "/").replace("~0", "~");
    claims.get(&first)?.pointer(rest)
}

/// Whether spaces in a text stand between things.
#[derive(Clone, Copy)]
enum Spaces {
    Between,
    InOne,
}

/// The texts of a claim that is one, or a list of them.
fn texts<'a>(
    claims: &'a Map<String, Value>,
    name: &str,
    spaces: Spaces,
) -> Result<Vec<&'a str>, AuthError> {
    let wrong = || {
        unreadable(format!(
            "the claim `{name}` is not a list of texts; let the issuer write it so"
        ))
    };
    match (claim(claims, name), spaces) {
        (None, _) => Ok(Vec::new()),
        (Some(Value::String(text)), Spaces::Between) => Ok(text.split_ascii_whitespace().collect()),
        (Some(Value::String(text)), Spaces::InOne) => Ok(vec![text]),
        (Some(Value::Array(many)), _) => many
            .iter()
            .map(|one| one.as_str().ok_or_else(wrong))
            .collect(),
        (Some(_), _) => Err(wrong()),
    }
}
