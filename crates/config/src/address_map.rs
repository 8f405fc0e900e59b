//! From the address that Redis or Sentinel announces to the one that can be reached from here.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::endpoint::{self, AddressError, Endpoint};

/// Translates announced addresses, for networks with address translation and for containers.
///
/// Written `announced=reachable,…`. A port that is missing on the left stands for every port, one that
/// is missing on the right is kept. An entry with a port beats one without.
///
/// ```
/// use leasehold_config::{AddressMap, Endpoint};
///
/// let map: AddressMap = "172.18.0.3=127.0.0.1,172.18.0.4:6379=127.0.0.1:6380".parse()?;
/// assert_eq!(map.map(&Endpoint::new("172.18.0.3", 6379)), Endpoint::new("127.0.0.1", 6379));
/// assert_eq!(map.map(&Endpoint::new("172.18.0.4", 6379)), Endpoint::new("127.0.0.1", 6380));
/// assert_eq!(map.map(&Endpoint::new("10.0.0.9", 6379)), Endpoint::new("10.0.0.9", 6379));
/// # Ok::<(), leasehold_config::AddressError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressMap {
    entries: BTreeMap<Address, Address>,
}

/// A host with or without a port.
type Address = (String, Option<u16>);

impl AddressMap {
    /// The reachable address of an announced one; the same address where no entry matches.
    pub fn map(&self, announced: &Endpoint) -> Endpoint {
        let exact = (announced.host().to_owned(), Some(announced.port()));
        let any_port = (announced.host().to_owned(), None);
        let found = self
            .entries
            .get(&exact)
            .or_else(|| self.entries.get(&any_port));
        match found {
            Some((host, port)) => Endpoint::new(host.clone(), port.unwrap_or(announced.port())),
            None => announced.clone(),
        }
    }

    /// Whether there is no entry, so that every address maps to itself.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl FromStr for AddressMap {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut entries = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let (announced, reachable) = entry.split_once('=').ok_or(AddressError::NoEquals)?;
            let reachable = endpoint::split(reachable)?;
            let announced = endpoint::split(announced)?;
            match entries.insert(announced, reachable.clone()) {
                Some(former) if former != reachable => return Err(AddressError::MappedTwice),
                _ => {}
            }
        }
        Ok(Self { entries })
    }
}

impl FromIterator<(Endpoint, Endpoint)> for AddressMap {
    /// Collects pairs of announced and reachable addresses; the last of two pairs with one announced address counts.
    fn from_iter<I: IntoIterator<Item = (Endpoint, Endpoint)>>(pairs: I) -> Self {
        let address = |endpoint: &Endpoint| (endpoint.host().to_owned(), Some(endpoint.port()));
        let entries = pairs
            .into_iter()
            .map(|(announced, reachable)| (address(&announced), address(&reachable)))
            .collect();
        Self { entries }
    }
}
