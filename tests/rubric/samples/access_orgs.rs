//! What belongs to another org.

use stageflow::auth::{AccessErrorKind, Authorize, Principal, Resource, Scopes};
use stageflow::context::{OrgId, SeededIds};

use super::{Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let ids = SeededIds::new(7);
    let [acme, other] = [(); 2].map(|()| OrgId::generate(&ids));
    let ada = Principal::new("ada", acme).with_scope("kb:read");
    let document = Resource::new("document", "17").owned_by(other);
    let ruling = Authorize::new(Scopes).rule(&ada, "kb:read", document);
    let error = ruling.into_result().unwrap_err();
    let kind = kind_name("AccessErrorKind", &AccessErrorKind::ForeignResource);
    let sample = Sample::of("AccessError", &kind, error.code(), &error)
        .names(["kb:read", "document `17`"])
        .facts(["`ada`", "another org's"]);
    vec![sample]
}
