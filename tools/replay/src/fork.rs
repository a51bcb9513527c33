//! Networks and their forks: which rules a block is executed by.

use revm::primitives::hardfork::SpecId;

/// Wei in one ether.
const ETHER: u128 = 1_000_000_000_000_000_000;

/// The rules of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// What revm executes by.
    pub spec: SpecId,
    /// Wei that a block's miner earns; none since the merge (EIP-649, EIP-1234, EIP-3675).
    pub reward: u128,
}

impl Fork {
    const fn new(spec: SpecId, ether: u128) -> Self {
        Self { spec, reward: ether * ETHER }
    }

    /// Signatures must be the lower of the two possible ones (EIP-2).
    pub fn has_low_s(self) -> bool {
        self.spec.is_enabled_in(SpecId::HOMESTEAD)
    }

    /// Transactions may name their chain (EIP-155).
    pub fn has_chain_id(self) -> bool {
        self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON)
    }

    /// Receipts say whether the transaction succeeded (EIP-658) in place of the state root after it.
    pub fn has_receipt_status(self) -> bool {
        self.spec.is_enabled_in(SpecId::BYZANTIUM)
    }

    /// Blocks set a base fee (EIP-1559).
    pub fn has_base_fee(self) -> bool {
        self.spec.is_enabled_in(SpecId::LONDON)
    }

    /// The consensus layer chooses the head; blocks have no difficulty and no uncles (EIP-3675).
    pub fn is_merged(self) -> bool {
        self.spec.is_enabled_in(SpecId::MERGE)
    }

    /// Blocks carry withdrawals (EIP-4895).
    pub fn has_withdrawals(self) -> bool {
        self.spec.is_enabled_in(SpecId::SHANGHAI)
    }

    /// Blocks account for blob gas (EIP-4844) and know the beacon block that they belong to (EIP-4788).
    pub fn has_blobs(self) -> bool {
        self.spec.is_enabled_in(SpecId::CANCUN)
    }
}

/// Every fork by the names that the test chains use. Constantinople itself is missing: it was withdrawn before it went
/// live, and Petersburg took its place.
const FORKS: &[(&str, Fork)] = &[
    ("Frontier", Fork::new(SpecId::FRONTIER, 5)),
    ("Homestead", Fork::new(SpecId::HOMESTEAD, 5)),
    ("EIP150", Fork::new(SpecId::TANGERINE, 5)),
    ("EIP158", Fork::new(SpecId::SPURIOUS_DRAGON, 5)),
    ("Byzantium", Fork::new(SpecId::BYZANTIUM, 3)),
    ("ConstantinopleFix", Fork::new(SpecId::PETERSBURG, 2)),
    ("Petersburg", Fork::new(SpecId::PETERSBURG, 2)),
    ("Istanbul", Fork::new(SpecId::ISTANBUL, 2)),
    ("MuirGlacier", Fork::new(SpecId::ISTANBUL, 2)),
    ("Berlin", Fork::new(SpecId::BERLIN, 2)),
    ("London", Fork::new(SpecId::LONDON, 2)),
    ("ArrowGlacier", Fork::new(SpecId::LONDON, 2)),
    ("GrayGlacier", Fork::new(SpecId::LONDON, 2)),
    ("Paris", Fork::new(SpecId::MERGE, 0)),
    ("Merge", Fork::new(SpecId::MERGE, 0)),
    ("Shanghai", Fork::new(SpecId::SHANGHAI, 0)),
    ("Cancun", Fork::new(SpecId::CANCUN, 0)),
];

fn fork_named(name: &str) -> Option<Fork> {
    FORKS.iter().find(|(known, _)| *known == name).map(|&(_, fork)| fork)
}

/// When a network goes over to its second fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activation {
    Number(u64),
    /// Seconds since 1970.
    Timestamp(u64),
}

impl Activation {
    /// Reads "5" (a block number), "Time15" or "Time15k" (a timestamp).
    fn parse(text: &str) -> Option<Self> {
        let Some(time) = text.strip_prefix("Time") else { return text.parse().ok().map(Self::Number) };
        let seconds = match time.strip_suffix('k') {
            Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000)?,
            None => time.parse().ok()?,
        };
        Some(Self::Timestamp(seconds))
    }

    fn is_reached(self, number: u64, timestamp: u64) -> bool {
        match self {
            Self::Number(first) => number >= first,
            Self::Timestamp(first) => timestamp >= first,
        }
    }
}

/// A chain's schedule of forks: one from genesis on, and perhaps another later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    genesis: Fork,
    later: Option<(Activation, Fork)>,
}

/// The chain id that the test chains are signed for.
pub(crate) const CHAIN_ID: u64 = 1;

impl Network {
    /// Reads a network's name: a fork ("Berlin"), or two and when the second begins ("BerlinToLondonAt5",
    /// "ShanghaiToCancunAtTime15k").
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(genesis) = fork_named(name) {
            return Some(Self { genesis, later: None });
        }
        let (forks, at) = name.rsplit_once("At")?;
        let (from, to) = forks.split_once("To")?;
        Some(Self { genesis: fork_named(from)?, later: Some((Activation::parse(at)?, fork_named(to)?)) })
    }

    /// The rules of the block with this number and timestamp in seconds.
    pub fn fork_at(&self, number: u64, timestamp: u64) -> Fork {
        match self.later {
            Some((activation, fork)) if activation.is_reached(number, timestamp) => fork,
            _ => self.genesis,
        }
    }
}

/// Wei that the miner of a block earns, with as many uncles as it names (each adds a thirty-second).
pub(crate) fn miner_reward(fork: Fork, ommers: usize) -> u128 {
    fork.reward + fork.reward * ommers as u128 / 32
}

/// Wei that an uncle's miner earns: an eighth less for each block that it is older than the one naming it.
pub(crate) fn ommer_reward(fork: Fork, block_number: u64, ommer_number: u64) -> u128 {
    let eighths = 8u64.saturating_sub(block_number.saturating_sub(ommer_number));
    fork.reward * u128::from(eighths) / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(network: &str, number: u64, timestamp: u64) -> Option<SpecId> {
        Network::parse(network).map(|network| network.fork_at(number, timestamp).spec)
    }

    #[test]
    fn a_network_named_after_a_fork_has_its_rules_from_genesis_on() {
        for &(name, fork) in FORKS {
            assert_eq!(Network::parse(name).map(|network| network.fork_at(0, 0)), Some(fork), "{name}");
        }
    }

    #[test]
    fn a_transition_changes_the_rules_at_its_block_or_time() {
        assert_eq!(spec("BerlinToLondonAt5", 4, u64::MAX), Some(SpecId::BERLIN));
        assert_eq!(spec("BerlinToLondonAt5", 5, 0), Some(SpecId::LONDON));
        assert_eq!(spec("ParisToShanghaiAtTime15k", u64::MAX, 14_999), Some(SpecId::MERGE));
        assert_eq!(spec("ShanghaiToCancunAtTime15k", 0, 15_000), Some(SpecId::CANCUN));
        assert_eq!(spec("ByzantiumToConstantinopleFixAt5", 5, 0), Some(SpecId::PETERSBURG));
    }

    #[test]
    fn an_unknown_network_is_not_guessed_at() {
        for name in ["", "Atlantis", "berlin", "BerlinToLondon", "BerlinToLondonAt", "BerlinToAtlantisAt5", "AtTo5"] {
            assert_eq!(Network::parse(name), None, "{name}");
        }
        assert_eq!(Network::parse("ParisToShanghaiAtTime99999999999999999999k"), None, "out of range");
    }

    #[test]
    fn forks_build_upon_each_other_and_rewards_never_rise() {
        assert!(FORKS.windows(2).all(|pair| pair[0].1.spec <= pair[1].1.spec && pair[0].1.reward >= pair[1].1.reward));
    }

    #[test]
    fn rewards_follow_the_uncles() {
        let [frontier, berlin, paris] = ["Frontier", "Berlin", "Paris"].map(|name| fork_named(name).expect("in FORKS"));
        assert_eq!(miner_reward(frontier, 0), 5 * ETHER);
        assert_eq!(miner_reward(berlin, 2), 2 * ETHER + ETHER / 8);
        assert_eq!(ommer_reward(berlin, 7, 6), 2 * ETHER / 8 * 7);
        assert_eq!(ommer_reward(berlin, 7, 1), 2 * ETHER / 8 * 2);
        assert_eq!(miner_reward(paris, 0), 0);
    }
}
