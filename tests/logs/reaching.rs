//! A tenant that reaches for another's outside of a run is in the log: there is no run whose event it could be.

use stageflow::context::{OrgId, SystemIds};
use stageflow::tenancy::{Tenants, Tier};

use crate::{paper, somebody};

#[test]
fn reaching_for_somebody_elses_outside_of_a_run_is_a_warning() {
    drop(somebody());
    let [acme, other] = [(); 2].map(|()| OrgId::generate(&SystemIds::new()));
    let tenants = Tenants::builder().tier(Tier::new("free"));
    let tenants = tenants.tenant(acme, "free").build().unwrap();
    let scope = tenants.enter(acme).unwrap();
    scope.check(acme, "read").unwrap();
    scope.check(other, "read").unwrap_err();
    scope.check(None, "erase").unwrap_err();
    let text = paper();
    let lines = text.lines().filter(|line| line.contains(&acme.to_string()));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, code, operation) in [(lines[0], "SF0651", "read"), (lines[1], "SF0655", "erase")] {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "WARN", "{line}");
        let told = &line["fields"];
        assert_eq!(told["org_id"], acme.to_string(), "{line}");
        assert_eq!(told["operation"], operation, "{line}");
        assert!(told["error"].as_str().unwrap().starts_with(code), "{line}");
    }
}
