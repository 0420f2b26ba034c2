//! What sealed bytes say that are not opened.

use stageflow::context::{
    ContextSnapshot, Migrations, OrgId, RunId, SealError, SealKey, SealKeys, Sealed, SealedAs,
    SeededIds, Tag,
};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let sample = |error: &SealError, facts: &'static str| {
        let kind = kind_name("SealErrorKind", &error.kind());
        let sample = Sample::of("SealError", &kind, error.code(), error);
        sample
            .names(["checkpoint"])
            .facts([facts])
            .beside_a_secret()
    };
    let ids = SeededIds::new(1);
    let org = || OrgId::generate(&ids);
    let run = || RunId::generate(&ids);
    let (mine, my_run) = (org(), run());
    let place = |version| {
        SealedAs::new("checkpoint", version)
            .of_org(mine)
            .of_run(my_run)
    };
    let keys = SealKeys::new(SealKey::new(7, [17; 32]));
    let sealed = keys.seal(&place(2), CANARY.as_bytes());
    let refused = |place: &SealedAs| sealed.open(&keys, place).unwrap_err();

    let altered = [sealed.as_bytes(), b"."].concat();
    let altered = Sealed::from_bytes(altered)
        .open(&keys, &place(2))
        .unwrap_err();
    let not_sealed = Sealed::from_bytes(CANARY.as_bytes())
        .open(&keys, &place(2))
        .unwrap_err();
    let other_key = SealKeys::new(SealKey::new(8, [1; 32]));
    let unknown = sealed.open(&other_key, &place(2)).unwrap_err();
    let gap = Migrations::new();
    let older = sealed.open_with(&keys, &place(3), &gap).unwrap_err();
    let label = SealedAs::new("snapshot", 1).of_org(mine).of_run(my_run);
    let bad = keys.seal(&label, CANARY.as_bytes());
    let content = ContextSnapshot::from_sealed(&bad, &keys, mine, my_run).unwrap_err();
    let kind = kind_name("SealErrorKind", &content.kind());
    let content = Sample::of("SealError", &kind, content.code(), &content);

    let tag = CANARY.parse::<Tag>().unwrap_err();
    let tag = Sample::of("TagError", "TagError", tag.code(), &tag);
    vec![
        sample(&altered, "hash"),
        sample(&not_sealed, "does not begin"),
        sample(&unknown, "no key 7"),
        sample(&older, "version is 2"),
        sample(&refused(&place(1)), "version is 2"),
        sample(&refused(&place(2).of_org(org())), "org is"),
        sample(&refused(&place(2).of_run(run())), "run is"),
        {
            let kind = SealedAs::new("notes", 2).of_org(mine).of_run(my_run);
            let error = refused(&kind);
            let kind = kind_name("SealErrorKind", &error.kind());
            let sample = Sample::of("SealError", &kind, error.code(), &error);
            sample
                .names(["notes"])
                .facts(["kind is `checkpoint`"])
                .beside_a_secret()
        },
        content
            .names(["snapshot"])
            .facts(["not JSON"])
            .beside_a_secret(),
        tag.names(["tag"])
            .facts(["64 hex digits"])
            .beside_a_secret(),
    ]
}
