//! From facts to Cedar's terms: a request and the entities it speaks of.
//!
//! Built through JSON with the schema at hand, so that a fact the schema does
//! not know, or knows otherwise, is an error here and not a policy that is
//! silently never true.

use super::schema;
use cedar_policy::{Context, Entities, EntityId, EntityTypeName, EntityUid, Request};
use domain::facts::{AuthorFacts, Facts, PolicyAction};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The one installation there is.
const HERE: &str = "here";

/// The question and what it is about.
pub(super) fn of(
    action: PolicyAction,
    who: &AuthorFacts,
    facts: &Facts,
) -> Result<(Request, Entities), String> {
    let schema = schema()?;
    let said = if action.is_about_a_change() { context(facts) } else { call(who, facts) };
    let about_us = action.is_about_the_installation();
    let action = uid("Action", action.key())?;
    let context =
        Context::from_json_value(said, Some((schema, &action))).map_err(|e| e.to_string())?;
    let entities =
        Entities::from_json_value(entities(who, facts), Some(schema)).map_err(|e| e.to_string())?;
    let resource = if about_us { uid("Installation", HERE)? } else { uid("App", &facts.app.name)? };
    let principal = uid("Person", &who.name)?;
    let request = Request::new(principal, action, resource, context, Some(schema))
        .map_err(|e| e.to_string())?;
    Ok((request, entities))
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName = kind.parse().map_err(|e| format!("{e}"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn named(kind: &str, id: &str) -> Value {
    json!({"type": kind, "id": id})
}

fn entity_of(kind: &str, id: &str) -> Value {
    json!({"__entity": named(kind, id)})
}

/// A record of what is known; the rest is absent.
fn known<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Cedar counts in 64 bits with a sign; what is larger is as good as that.
fn long(number: Option<u64>) -> Option<Value> {
    Some(json!(i64::try_from(number?).unwrap_or(i64::MAX)))
}

fn context(facts: &Facts) -> Value {
    let (tokens, cost) = (&facts.tokens, &facts.cost);
    let authors: Vec<Value> = facts.authors.iter().map(|a| entity_of("Person", &a.name)).collect();
    json!({
        "model": entity_of("Model", &facts.model.name),
        "changed": facts.changed,
        "first": facts.first,
        "agent": facts.authors.iter().any(AuthorFacts::is_agent),
        "authors": authors,
        "tokens": known([("prompt", long(tokens.prompt)), ("answer", long(tokens.answer))]),
        "cost": known([
            ("request_micros", long(cost.request_micros)),
            ("production_micros", long(cost.production_micros)),
            ("change_percent", cost.change_percent.map(|n| json!(n))),
            ("month_micros", long(cost.month_micros)),
        ]),
    })
}

fn call(who: &AuthorFacts, facts: &Facts) -> Value {
    let call = &facts.call;
    json!({
        "agent": who.is_agent(), "token": call.token, "weekday": call.weekday, "hour": call.hour,
    })
}

fn entities(who: &AuthorFacts, facts: &Facts) -> Value {
    // One entity a name: somebody may be asked about and have written part of it.
    let people: BTreeMap<&str, &AuthorFacts> =
        facts.authors.iter().chain([who]).map(|a| (a.name.as_str(), a)).collect();
    let mut all: Vec<Value> = people.values().map(|person| person_entity(person)).collect();
    let (app, model) = (&facts.app, &facts.model);
    all.push(json!({"uid": named("Installation", HERE), "attrs": {}, "parents": []}));
    all.push(json!({
        "uid": named("App", &app.name),
        "attrs": {
            "name": app.name, "risk": app.risk, "audience": app.audience, "owner": app.owner,
        },
        "tags": app.labels,
        "parents": [],
    }));
    let mut attrs = known([
        ("host", model.host.as_ref().map(|h| json!(h))),
        ("context_window", long(model.context_window)),
        ("price_input_micros", long(model.price_input_micros)),
        ("price_output_micros", long(model.price_output_micros)),
        ("days_until_deprecated", model.days_until_deprecated.map(|n| json!(n))),
    ]);
    attrs.extend(known([
        ("name", Some(json!(model.name))),
        ("version", Some(json!(model.version))),
        ("provider", Some(json!(model.provider))),
        ("id", Some(json!(model.id))),
        ("words", Some(json!(model.tags))),
    ]));
    all.push(json!({
        "uid": named("Model", &model.name),
        "attrs": attrs,
        "tags": model.labels,
        "parents": [],
    }));
    Value::Array(all)
}

fn person_entity(person: &AuthorFacts) -> Value {
    let parents: Vec<Value> = person.roles.iter().map(|role| named("Role", role.key())).collect();
    json!({
        "uid": named("Person", &person.name),
        "attrs": {"name": person.name, "agent": person.is_agent()},
        "parents": parents,
    })
}
