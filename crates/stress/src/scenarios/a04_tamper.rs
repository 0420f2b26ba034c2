//! What is sealed and was altered is not opened, whatever was altered.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::context::{
    ContextSnapshot, Message, OrgId, RunId, RunIdentity, SealKey, SealKeys, Sealed, SeededIds,
};
use tokio::time::Instant;

use crate::{Breach, Control, Lab, LabError, Op, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("A04-TAMPER", "what is stored is not altered unseen")
        .proves(
            "every altered byte of a sealed snapshot, every cut, and every swap of its org, run, version, key or hash is refused \
             with a code; what was not touched is opened",
        )
        .theme(Theme::Mon)
        .tier(Tier::Smoke)
        .targets(["CONTRACT-002"])
        .modes(["C10", "T6"])
        .expected(Duration::from_secs(2))
        .control(Control::own("org-not-hashed", "leaves the org out of the hash"))
        .control(Control::own("short-hash", "compares the start of the hash only"))
        .control(Control::own("any-run", "does not look at the run"))
        .control(Control::own("any-version", "does not look at the version"))
        .run(run)
}

/// Whose a snapshot is.
#[derive(Clone, Copy, PartialEq)]
struct Whose {
    org: OrgId,
    run: RunId,
}

/// How a seal is made and opened: as the library does, or by a copy of it with a mistake.
#[derive(Clone, Copy, PartialEq)]
enum Opener {
    Library,
    OrgNotHashed,
    ShortHash,
    AnyRun,
    AnyVersion,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let opener = match () {
        () if lab.is_broken("org-not-hashed") => Opener::OrgNotHashed,
        () if lab.is_broken("short-hash") => Opener::ShortHash,
        () if lab.is_broken("any-run") => Opener::AnyRun,
        () if lab.is_broken("any-version") => Opener::AnyVersion,
        () => Opener::Library,
    };
    let (mut altered, mut accepted) = (0_u64, 0_u64);
    lab.trials(lab.scaled(12), |lab, trial| {
        let ids = SeededIds::new(trial.seed.get());
        let rng = &mut trial.seed.rng();
        let whose = || Whose {
            org: OrgId::generate(&ids),
            run: RunId::generate(&ids),
        };
        let (mine, theirs) = (whose(), whose());
        let keys = SealKeys::new(SealKey::new(7, rng.random()));
        let sealed = opener.seal(&keys, &snapshot(rng, mine))?;
        let other = opener.seal(&keys, &snapshot(rng, theirs))?;
        let whole = opener.open(&keys, &sealed, mine);
        let law = "what was not touched is opened";
        lab.check(whole.is_ok(), law, Breach::Lost, || format!("{whole:?}"));
        let versions = opener.with_version(&keys, &sealed, 2);
        let changes = bytes(rng, &sealed)
            .chain(cuts(&sealed))
            .chain(swaps(&sealed, &other));
        let asked = changes.map(|changed| (changed, mine));
        // Not touched, and asked for by somebody else.
        let moved = [
            (sealed.clone(), theirs),
            (
                sealed.clone(),
                Whose {
                    org: theirs.org,
                    ..mine
                },
            ),
            (
                sealed.clone(),
                Whose {
                    run: theirs.run,
                    ..mine
                },
            ),
            (versions, mine),
        ];
        let named = swapped_org(&sealed, mine, theirs);
        for (changed, asked) in asked.chain(moved).chain([named]) {
            altered += 1;
            let opened = opener.open(&keys, &changed, asked);
            accepted += u64::from(opened.is_ok());
            let refused = matches!(&opened, Err(code) if code.starts_with("SF022"));
            let law = "what was altered is refused with a code";
            lab.check(refused, law, Breach::CrossTenant, || format!("{opened:?}"));
            if lab.is_over() {
                return Ok(());
            }
        }
        Ok(())
    })?;
    lab.metric("alterations", "count", altered as f64);
    lab.metric("accepted", "count", accepted as f64);
    lab.law("accepted", Op::AtMost, 0.0);
    if !lab.is_control() {
        speed(lab)?;
    }
    Ok(())
}

fn snapshot(rng: &mut ChaCha8Rng, whose: Whose) -> ContextSnapshot {
    let identity = RunIdentity::new(whose.run).with_org_id(whose.org);
    let words = (0..rng.random_range(0..5)).map(|_| rng.random::<u64>().to_string());
    words.fold(ContextSnapshot::new(identity), |snapshot, word| {
        snapshot.with_message(Message::user(word))
    })
}

/// Each byte, changed in another way each time.
fn bytes(rng: &mut ChaCha8Rng, sealed: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let flips: Vec<u8> = sealed.iter().map(|_| rng.random_range(1..=255)).collect();
    let sealed = sealed.to_vec();
    flips.into_iter().enumerate().map(move |(at, flip)| {
        let mut changed = sealed.clone();
        changed[at] ^= flip;
        changed
    })
}

/// Each length but the whole one, from the front and from the back, and one byte too many.
fn cuts(sealed: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let front = (0..sealed.len()).map(|length| sealed[..length].to_vec());
    let back = (1..=sealed.len()).map(|length| sealed[length..].to_vec());
    front.chain(back).chain([[sealed, b"."].concat()])
}

/// Each word of the first line, taken from another seal under the same key; and the two bodies.
fn swaps(sealed: &[u8], other: &[u8]) -> Vec<Vec<u8>> {
    let (line, body) = split(sealed);
    let (other_line, other_body) = split(other);
    let (words, others): (Vec<_>, Vec<_>) =
        (line.split(' ').collect(), other_line.split(' ').collect());
    let mut swapped = Vec::new();
    for at in 0..words.len().min(others.len()) {
        let mut changed = words.clone();
        changed[at] = others[at];
        if changed != words {
            swapped.push(joined(&changed.join(" "), body));
        }
    }
    for (word, instead) in [
        ("version=1", "version=0"),
        ("version=1", "version=2"),
        ("key=7", "key=8"),
    ] {
        swapped.push(joined(&line.replace(word, instead), body));
    }
    swapped.push(joined(line, other_body));
    swapped
}

/// With the org of somebody else on it, and the rest as it was: for those who ask for that org and this run.
fn swapped_org(sealed: &[u8], mine: Whose, theirs: Whose) -> (Vec<u8>, Whose) {
    let (line, body) = split(sealed);
    let line = line.replace(&mine.org.to_string(), &theirs.org.to_string());
    let org = theirs.org;
    (joined(&line, body), Whose { org, ..mine })
}

fn split(sealed: &[u8]) -> (&str, &[u8]) {
    let end = sealed.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let line = std::str::from_utf8(&sealed[..end]).unwrap_or_default();
    (line, &sealed[end + 1..])
}

fn joined(line: &str, body: &[u8]) -> Vec<u8> {
    [line.as_bytes(), b"\n", body].concat()
}

impl Opener {
    fn seal(self, keys: &SealKeys, snapshot: &ContextSnapshot) -> Result<Vec<u8>, LabError> {
        if self == Self::Library {
            let sealed = snapshot.seal(keys).map_err(LabError::new)?;
            return Ok(sealed.into_bytes());
        }
        let identity = snapshot.identity();
        let org = identity
            .org_id()
            .map(|org| org.to_string())
            .unwrap_or_default();
        let said = format!(
            "kind=snapshot version=1 org={org} run={} key=7",
            identity.run_id()
        );
        let body = snapshot.to_json().map_err(LabError::new)?;
        let tag = self.tag(keys, &said, body.as_bytes());
        Ok(joined(&format!("{said} mac={tag}"), body.as_bytes()))
    }

    /// The body, or the code that says why not.
    fn open(self, keys: &SealKeys, sealed: &[u8], whose: Whose) -> Result<Vec<u8>, String> {
        if self == Self::Library {
            let sealed = Sealed::from_bytes(sealed);
            let read = ContextSnapshot::from_sealed(&sealed, keys, whose.org, whose.run);
            return read
                .map(|_| Vec::new())
                .map_err(|error| error.code().to_owned());
        }
        let refused = || "SF0222".to_owned();
        if !sealed.contains(&b'\n') {
            return Err(refused());
        }
        let (line, body) = split(sealed);
        let (said, mac) = line.split_once(" mac=").ok_or_else(refused)?;
        let tag = self.tag(keys, said, body);
        let same = match self {
            Self::ShortHash => tag.get(..4) == mac.get(..4) && mac.len() == tag.len(),
            _ => tag == mac,
        };
        let says = |word: String| said.split(' ').any(|said| said == word);
        let is_theirs = says(format!("org={}", whose.org))
            && (self == Self::AnyRun || says(format!("run={}", whose.run)))
            && (self == Self::AnyVersion || says("version=1".to_owned()));
        match same && is_theirs {
            true => Ok(body.to_vec()),
            false => Err(refused()),
        }
    }

    /// The same bytes as a seal of another version, by somebody who has the key.
    fn with_version(self, keys: &SealKeys, sealed: &[u8], version: u32) -> Vec<u8> {
        let (line, body) = split(sealed);
        let (said, _) = line.split_once(" mac=").unwrap_or_default();
        let said = said.replace("version=1", &format!("version={version}"));
        let tag = match self {
            Self::Library => keys.tag("sealed", &[said.as_bytes(), body]).to_string(),
            _ => format!("7.{}", self.tag(keys, &said, body)),
        };
        let mac = tag.split_once('.').map_or("", |(_, mac)| mac);
        joined(&format!("{said} mac={mac}"), body)
    }

    fn tag(self, keys: &SealKeys, said: &str, body: &[u8]) -> String {
        let hashed = match self {
            Self::OrgNotHashed => {
                let words = said.split(' ').filter(|word| !word.starts_with("org="));
                words.collect::<Vec<_>>().join(" ")
            }
            _ => said.to_owned(),
        };
        let tag = keys.tag("copy", &[hashed.as_bytes(), body]).to_string();
        tag.split_once('.')
            .map_or_else(String::new, |(_, mac)| mac.to_owned())
    }
}

/// What it costs to seal and open ten kilobytes.
fn speed(lab: &Lab) -> Result<(), LabError> {
    const ROUNDS: u32 = 200;

    let ids = SeededIds::new(1);
    let (org, run) = (OrgId::generate(&ids), RunId::generate(&ids));
    let identity = RunIdentity::new(run).with_org_id(org);
    let text = "x".repeat(10_000);
    let snapshot = ContextSnapshot::new(identity).with_message(Message::user(text));
    let keys = SealKeys::new(SealKey::new(7, [17; 32]));
    let sealed = snapshot.seal(&keys).map_err(LabError::new)?;
    let began = Instant::now();
    for _ in 0..ROUNDS {
        snapshot.seal(&keys).map_err(LabError::new)?;
    }
    let sealing = began.elapsed() / ROUNDS;
    let began = Instant::now();
    for _ in 0..ROUNDS {
        ContextSnapshot::from_sealed(&sealed, &keys, org, run).map_err(LabError::new)?;
    }
    let opening = began.elapsed() / ROUNDS;
    lab.metric("seal_10_kb", "us", sealing.as_secs_f64() * 1e6);
    lab.metric("open_10_kb", "us", opening.as_secs_f64() * 1e6);
    Ok(())
}
