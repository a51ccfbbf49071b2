//! `environments/`: the promoted state.

use super::layout::Layout;
use super::{Reader, unknown};
use crate::format::aliases::{Aliases, AliasesFile};
use crate::format::settings::Settings;
use domain::ids::{AppName, EnvName};
use std::collections::BTreeMap;

impl Reader<'_> {
    pub(super) fn environments(
        &mut self,
        layout: &Layout,
        settings: &Settings,
    ) -> BTreeMap<EnvName, BTreeMap<AppName, Aliases>> {
        let mut environments: BTreeMap<EnvName, BTreeMap<AppName, Aliases>> =
            settings.environments.iter().map(|env| (env.clone(), BTreeMap::new())).collect();
        for env in &layout.environments {
            let path = format!("environments/{env}/aliases.yaml");
            if !settings.environments.contains(env) {
                self.file(
                    &path,
                    "unknown_environment",
                    format!("there is no environment `{env}`"),
                    "add it to `environments` in `tidegate.yaml`, or remove the folder",
                );
            }
            let Some(reading) = self.read::<AliasesFile>(&path) else { continue };
            let (Some(file), Some(document)) = (reading.value, reading.document) else { continue };
            for app in file.apps.keys().filter(|app| !layout.apps.contains_key(*app)) {
                let names = layout.apps.keys().map(AppName::as_str);
                let fault =
                    unknown(format!("apps.{app}"), "unknown_app", "app", app.as_str(), names);
                self.findings.push(document.finding(fault));
            }
            environments.insert(env.clone(), file.apps);
        }
        environments
    }
}
