//! The table of the manual, row by row.

use stageflow::auth::{PolicyEngine as _, Rbac, Resource, Role};

use super::somebody;

const PAGE: &str = include_str!("../../../docs/manual/35-who-may-do-what.md");

/// The cells of the table below this heading, without its head.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, below) = PAGE.split_once(heading).unwrap();
    let rows = below.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let line = line.trim_matches('|');
        line.split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    };
    rows.map(cells).collect()
}

#[test]
fn the_roles_of_the_manual_permit_what_its_table_says() {
    let roles = table("## Roles");
    let rbac = Rbac::new(roles[2..].iter().map(|row| {
        let role = Role::new(&*row[0]);
        let listed = |cell: &str| -> Vec<String> {
            cell.split(", ")
                .filter(|word| *word != "–")
                .map(ToOwned::to_owned)
                .collect()
        };
        let role = listed(&row[1]).into_iter().fold(role, Role::permits);
        listed(&row[2]).into_iter().fold(role, Role::inherits)
    }))
    .unwrap();
    let table = table("### Who may do what");
    let roles: Vec<_> = table[0][1..].to_vec();
    assert_eq!(rbac.roles().collect::<Vec<_>>(), roles);
    let mut cells = [0, 0];
    for row in &table[2..] {
        for (role, cell) in roles.iter().zip(&row[1..]) {
            let expected = match &**cell {
                "yes" => true,
                "no" => false,
                other => panic!("{other:?} is neither yes nor no"),
            };
            let decision = rbac.decide(&somebody(role), &row[0], &Resource::new("document", "17"));
            assert_eq!(
                decision.is_allowed(),
                expected,
                "{role} {}: {decision}",
                row[0]
            );
            cells[usize::from(expected)] += 1;
        }
    }
    assert_eq!(cells, [16, 16]);
}
