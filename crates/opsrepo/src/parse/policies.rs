//! Policies and their examples: read here, understood in `checks`.

use super::{Layout, Reader};
use crate::format::policy_cases::PolicyCasesFile;
use crate::limits::MAX_YAML_LEN;
use crate::text::Source;
use domain::facts::PolicyCase;
use std::collections::BTreeMap;

impl Reader<'_> {
    pub(super) fn policies(&mut self, layout: &Layout) -> BTreeMap<String, String> {
        let mut read = BTreeMap::new();
        for path in &layout.policies {
            match self.files.get(path).map(|bytes| Source::read(path, bytes, MAX_YAML_LEN)) {
                Some(Ok(source)) => {
                    read.insert(path.clone(), source.into_text());
                }
                Some(Err(finding)) => self.findings.push(*finding),
                None => {}
            }
        }
        read
    }

    pub(super) fn policy_cases(&mut self, layout: &Layout) -> BTreeMap<String, Vec<PolicyCase>> {
        layout
            .policy_cases
            .iter()
            .filter_map(|path| {
                Some((path.clone(), self.read::<PolicyCasesFile>(path)?.value?.cases))
            })
            .collect()
    }
}
