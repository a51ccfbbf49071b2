//! Which addresses the server may ask, with which key, for a change nobody has
//! approved yet.
//!
//! A model's entry says where prompts go and which of the server's keys goes with
//! them. Whoever may propose could otherwise have any key sent anywhere, by a
//! preview or a paid suite, before anybody looked. So both ask only where a model
//! on `main`, or production itself, is asked already, with that very key.

use domain::snapshot::{ModelContent, Provider, ServedRelease};
use opsrepo::Desired;

/// The address and the key's name of a release's model that neither `main` nor
/// production asks; none if it may be asked.
pub(crate) fn unknown_address(
    served: &ServedRelease,
    main: &Desired,
    production: Option<&ServedRelease>,
) -> Option<String> {
    let asked = provider(served)?;
    let known = main.models.values().any(|model| asked_at(&model.content).as_ref() == Some(&asked))
        || production.and_then(provider).as_ref() == Some(&asked);
    (!known).then(|| match asked.1 {
        Some(key) => format!("`{}` with the key `{key}`", asked.0),
        None => format!("`{}`", asked.0),
    })
}

type Asked = (String, Option<String>);

fn provider(served: &ServedRelease) -> Option<Asked> {
    asked_at(&checks::template::model(served).ok()?)
}

fn asked_at(model: &ModelContent) -> Option<Asked> {
    match &model.provider {
        Provider::Openai { base_url, key_env } => {
            Some((base_url.trim_end_matches('/').to_owned(), key_env.clone()))
        }
        Provider::Replay { .. } | Provider::Rules {} => None,
    }
}
