//! A contract that destroys itself takes its storage along; a heavier branch without that block brings both back.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{BufMut, Encodable, RlpEncodable};
use alloy_trie::EMPTY_ROOT_HASH;
use alloy_trie::root::ordered_trie_root_encoded;
use shingle::{At, Batch, Database, RoutingKey, Snapshot};
use shingle_replay::state::{self, Account};
use shingle_replay::{Block, Chain, ExecuteError, Fork, Header, Imported, InvalidBlock, Network, execute, state_root};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const CONTRACT: Address = Address::repeat_byte(0xcc);
/// The next address: its storage comes right behind the contract's.
const NEIGHBOUR: Address = alloy_primitives::address!("0xcccccccccccccccccccccccccccccccccccccccd");
const HEIR: Address = Address::repeat_byte(0xee);
const MINER: Address = Address::repeat_byte(0xaa);
/// The hash of a list of no uncles.
const NO_OMMERS: B256 = alloy_primitives::b256!("0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");
const FUNDS: u64 = 1_000_000_000;
const BEQUEST: u64 = 77;
const SLOTS: u64 = 500;
/// Wei that a block without uncles pays since Constantinople.
const REWARD: u64 = 2_000_000_000_000_000_000;

/// PUSH20 heir, SELFDESTRUCT.
fn code() -> Vec<u8> {
    [&[0x73], HEIR.as_slice(), &[0xff]].concat()
}

/// Bytes that are RLP already.
struct Raw(Vec<u8>);

impl Encodable for Raw {
    fn encode(&self, out: &mut dyn BufMut) {
        out.put_slice(&self.0);
    }

    fn length(&self) -> usize {
        self.0.len()
    }
}

#[derive(RlpEncodable)]
struct Wire<'a> {
    header: &'a Header,
    transactions: Vec<Raw>,
    ommers: Vec<Header>,
}

#[derive(RlpEncodable)]
struct Legacy {
    nonce: u64,
    gas_price: u64,
    gas_limit: u64,
    to: Address,
    value: u64,
    data: Bytes,
    v: u64,
    r: U256,
    s: U256,
}

/// A call of the contract. Nobody signed it: for these numbers there is a key that would have, and so a sender.
fn call() -> Vec<u8> {
    let r = alloy_primitives::uint!(0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276_U256);
    let (v, s, data) = (27, U256::from(1), Bytes::new());
    let call = Legacy { nonce: 0, gas_price: 1, gas_limit: 100_000, to: CONTRACT, value: 0, data, v, r, s };
    alloy_rlp::encode(call)
}

fn encode(header: &Header, transactions: &[Vec<u8>]) -> Bytes {
    let transactions = transactions.iter().cloned().map(Raw).collect();
    alloy_rlp::encode(Wire { header, transactions, ommers: vec![] }).into()
}

fn fork() -> TestResult<Fork> {
    Ok(Network::parse("Berlin").ok_or("a network")?.fork_at(0, 0))
}

fn put_contract(batch: &mut Batch, address: Address) {
    let code_hash = keccak256(code());
    let account = Account { nonce: 1, balance: U256::from(BEQUEST), code_hash };
    batch.put(state::account_key(address), account.encode()).put(state::code_key(code_hash), code());
    for slot in 1..=SLOTS {
        batch.put(state::storage_key(address, U256::from(slot)), state::encode_slot(U256::from(slot)));
    }
}

fn put_account(batch: &mut Batch, address: Address, nonce: u64, balance: u64) {
    let account = Account { nonce, balance: U256::from(balance), ..Account::default() };
    batch.put(state::account_key(address), account.encode());
}

/// Who calls, and the state before.
fn genesis_state(header: &Header) -> TestResult<(Address, Batch)> {
    let caller = Block::decode(&encode(header, &[call()]))?.transactions.0[0].sender(fork()?)?;
    let mut batch = Batch::new();
    put_account(&mut batch, caller, 0, FUNDS);
    put_contract(&mut batch, CONTRACT);
    put_contract(&mut batch, NEIGHBOUR);
    Ok((caller, batch))
}

/// The root of a state made by hand.
fn root_of(state: Batch) -> TestResult<B256> {
    let db = Database::in_memory()?;
    db.commit(state)?;
    Ok(state_root(&db.snapshot())?)
}

fn child(parent: &Header, miner: Address, state_root: B256) -> Header {
    let (number, timestamp) = (parent.number + 1, parent.timestamp + 10);
    Header { parent_hash: parent.hash(), beneficiary: miner, number, timestamp, state_root, ..parent.clone() }
}

/// The block in which the contract is called. The state after it is made by hand; only gas and receipt are taken from its execution.
fn destroying_block(genesis: &Header, caller: Address, before: &Snapshot) -> TestResult<Bytes> {
    let mut header = child(genesis, MINER, B256::ZERO);
    header.transactions_root = ordered_trie_root_encoded(&[call()]);
    loop {
        match execute(before.clone(), &Block::decode(&encode(&header, &[call()]))?, fork()?) {
            Ok(_) => break,
            Err(ExecuteError::Invalid(InvalidBlock::Field { field: "gas used", computed, .. })) => {
                header.gas_used = computed.parse()?;
            }
            Err(ExecuteError::Invalid(InvalidBlock::Field { field: "receipts root", computed, .. })) => {
                header.receipts_root = computed.parse()?;
            }
            Err(other) => return Err(other.into()),
        }
    }
    assert!(header.gas_used > 21_000, "the contract was run");
    let mut after = Batch::new();
    put_account(&mut after, caller, 1, FUNDS - header.gas_used);
    put_account(&mut after, HEIR, 0, BEQUEST);
    put_account(&mut after, MINER, 0, REWARD + header.gas_used);
    put_contract(&mut after, NEIGHBOUR);
    header.state_root = root_of(after)?;
    Ok(encode(&header, &[call()]))
}

fn slots(snapshot: &Snapshot, address: Address) -> TestResult<Vec<U256>> {
    Ok((0..=SLOTS + 1).map(|slot| state::slot(snapshot, address, U256::from(slot))).collect::<Result<_, _>>()?)
}

#[test]
fn a_destroyed_contracts_storage_goes_and_comes_back_with_the_other_branch() -> TestResult {
    let mut genesis = Header {
        parent_hash: B256::ZERO,
        ommers_hash: NO_OMMERS,
        beneficiary: Address::ZERO,
        state_root: B256::ZERO,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        logs_bloom: Bloom::ZERO,
        difficulty: U256::from(0x20000),
        number: 0,
        gas_limit: 1_000_000,
        gas_used: 0,
        timestamp: 1_000,
        extra_data: Bytes::new(),
        mix_hash: B256::ZERO,
        nonce: B64::ZERO,
        base_fee_per_gas: None,
        withdrawals_root: None,
        blob_gas_used: None,
        excess_blob_gas: None,
        parent_beacon_block_root: None,
    };
    let (caller, before) = genesis_state(&genesis)?;
    genesis.state_root = root_of(before.clone())?;
    let dir = tempfile::tempdir()?;
    let routing_key = RoutingKey::Prefix(state::ROUTING_KEY_LEN);
    let db = Database::builder(dir.path().join("store")).shards(3).routing_key(routing_key).open()?;
    let network = Network::parse("Berlin").ok_or("a network")?;
    let mut chain = Chain::start(db.clone(), network, Block::decode(&encode(&genesis, &[]))?, before)?;
    let whole: Vec<_> = slots(&db.snapshot(), CONTRACT)?;
    assert_eq!(whole[SLOTS as usize], U256::from(SLOTS));

    let destroying = destroying_block(&genesis, caller, &db.snapshot())?;
    assert_eq!(chain.import(&destroying)?, Imported::Extended);
    let after = db.snapshot();
    assert_eq!(state::account(&after, CONTRACT)?, None);
    assert_eq!(after.prefix(state::account_key(CONTRACT)).count(), 0, "neither the account nor a slot has a row");
    assert_eq!(slots(&after, CONTRACT)?, vec![U256::ZERO; whole.len()]);
    assert_eq!(slots(&after, NEIGHBOUR)?, whole);
    assert_eq!(slots(&db.snapshot_at(At::Height(0))?, CONTRACT)?, whole, "the past is as it was");
    let gone = db.diff(0, 1)?.filter(|row| row.as_ref().is_ok_and(|row| row.before.is_some() && row.after.is_none()));
    assert_eq!(gone.count() as u64, 1 + SLOTS, "the account and its storage");
    db.flush()?;

    // Two blocks in which nobody calls: the state before, and what their miner gets.
    let rewarded = |blocks: u64| -> TestResult<B256> {
        let (_, mut state) = genesis_state(&genesis)?;
        put_account(&mut state, HEIR, 0, REWARD * blocks);
        root_of(state)
    };
    let first = child(&genesis, HEIR, rewarded(1)?);
    let second = child(&first, HEIR, rewarded(2)?);
    assert_eq!(chain.import(&encode(&first, &[]))?, Imported::Aside);
    assert_eq!(chain.import(&encode(&second, &[]))?, Imported::Reorganised);
    assert_eq!(slots(&db.snapshot(), CONTRACT)?, whole);
    assert_eq!(state::account(&db.snapshot(), CONTRACT)?.map(|account| account.balance), Some(U256::from(BEQUEST)));
    assert!(db.verify(&|_| {})?.is_sound());
    Ok(())
}
