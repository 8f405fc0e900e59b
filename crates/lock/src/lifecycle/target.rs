//! What is leased.

use std::sync::Arc;

use crate::error::Error;
use crate::lifecycle::core::Core;
use crate::options::AcquireOptions;
use crate::protocol::keys::Keys;
use crate::resource::Resource;

/// What to lease: a name and its keys.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    pub(crate) keys: Arc<Keys>,
    /// Who is to hold it, unless the one that is configured.
    pub(crate) owner: Option<Arc<str>>,
}

impl Target {
    pub(crate) fn new(
        core: &Core,
        resource: Resource,
        options: &AcquireOptions,
    ) -> Result<Self, Error> {
        Ok(Self {
            keys: Arc::new(Keys::new(&core.options.key_prefix, &resource)?),
            resource,
            owner: options.owner.clone(),
        })
    }
}
