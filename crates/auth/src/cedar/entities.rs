//! Who asks for what, as Cedar has it.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use stageflow_context::BoxError;

use crate::{Principal, Resource};

/// A question, and all it is about.
pub(super) struct Asked {
    pub(super) principal: EntityUid,
    pub(super) action: EntityUid,
    pub(super) resource: EntityUid,
    pub(super) entities: Vec<Entity>,
}

type Attributes = HashMap<String, RestrictedExpression>;

/// Who says which groups an action is in.
#[derive(Clone, Copy)]
pub(super) enum Groups {
    /// The schema.
    BySchema,
    /// The action's name: there is no schema.
    ByName,
}

impl Asked {
    pub(super) fn of(
        principal: &Principal,
        action: &str,
        resource: &Resource,
        groups: Groups,
    ) -> Result<Self, BoxError> {
        let user = uid("User", principal.subject())?;
        let asked = uid("Action", action)?;
        let what = uid(
            "Resource",
            &format!("{}/{}", resource.kind(), resource.id()),
        )?;
        let mut entities = vec![
            Entity::new(
                user.clone(),
                of_principal(principal),
                parents_of(principal)?,
            )?,
            Entity::new(what.clone(), of_resource(resource), owners(resource)?)?,
        ];
        if let Groups::ByName = groups {
            let groups = action_groups(action)?;
            entities.push(Entity::new_no_attrs(asked.clone(), groups));
        }
        Ok(Self {
            principal: user,
            action: asked,
            resource: what,
            entities,
        })
    }
}

fn uid(of: &str, id: &str) -> Result<EntityUid, BoxError> {
    let of: EntityTypeName = of.parse()?;
    Ok(EntityUid::from_type_name_and_id(of, EntityId::new(id)))
}

fn parents_of(principal: &Principal) -> Result<HashSet<EntityUid>, BoxError> {
    let roles = principal.roles().map(|role| uid("Role", role));
    let org = uid("Org", &principal.org().to_string());
    roles.chain([org]).collect()
}

fn owners(resource: &Resource) -> Result<HashSet<EntityUid>, BoxError> {
    let owner = resource.org().map(|org| uid("Org", &org.to_string()));
    owner.into_iter().collect()
}

/// `kb:docs:read` is in `kb:docs:*`, `kb:*` and `*`.
fn action_groups(action: &str) -> Result<HashSet<EntityUid>, BoxError> {
    let ends = action.match_indices(':').map(|(end, _)| end);
    let groups = ends.map(|end| format!("{}:*", &action[..end]));
    groups
        .chain(["*".to_owned()])
        .map(|group| uid("Action", &group))
        .collect()
}

fn of_principal(principal: &Principal) -> Attributes {
    let mut attributes = HashMap::from([
        ("org".to_owned(), text(&principal.org().to_string())),
        ("roles".to_owned(), texts(principal.roles())),
        ("scopes".to_owned(), texts(principal.scopes())),
    ]);
    if let Some(region) = principal.region() {
        attributes.insert("region".to_owned(), text(region));
    }
    attributes
}

fn of_resource(resource: &Resource) -> Attributes {
    let mut attributes = HashMap::from([
        ("kind".to_owned(), text(resource.kind())),
        ("id".to_owned(), text(resource.id())),
    ]);
    if let Some(org) = resource.org() {
        attributes.insert("org".to_owned(), text(&org.to_string()));
    }
    if let Some(region) = resource.region() {
        attributes.insert("region".to_owned(), text(region));
    }
    attributes
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts<'t>(all: impl Iterator<Item = &'t str>) -> RestrictedExpression {
    RestrictedExpression::new_set(all.map(text))
}
