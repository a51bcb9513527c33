//! Small chains made here: branches, blocks that must be refused, and reports of all that a file may get wrong.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use alloy_rlp::RlpEncodable;
use alloy_trie::EMPTY_ROOT_HASH;
use serde_json::{Value, json};
use shingle::{Batch, Database, ErrorKind};
use shingle_replay::state::{self, Account, StateError};
use shingle_replay::{
    Block, Chain, ExecuteError, Failure, Header, Imported, InvalidBlock, Network, Options, Report, execute, run,
    state_root,
};
use std::path::PathBuf;

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const NETWORK: &str = "Berlin";
const FUNDED: Address = Address::with_last_byte(0xf0);
/// The hash of a list of no uncles.
const NO_OMMERS: B256 = alloy_primitives::b256!("0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

#[derive(RlpEncodable)]
struct Wire<'a> {
    header: &'a Header,
    transactions: Vec<Bytes>,
    ommers: Vec<Header>,
}

fn encode(header: &Header) -> Bytes {
    alloy_rlp::encode(Wire { header, transactions: vec![], ommers: vec![] }).into()
}

/// One account, which nothing here touches.
fn genesis_state() -> Batch {
    let mut batch = Batch::new();
    let account = Account { balance: U256::from(1_000), ..Account::default() };
    batch.put(state::account_key(FUNDED), account.encode());
    batch
}

fn genesis() -> TestResult<Header> {
    let db = Database::in_memory()?;
    db.commit_block(shingle::Block { height: 0, timestamp_ms: 0 }, genesis_state())?;
    Ok(Header {
        parent_hash: B256::ZERO,
        ommers_hash: NO_OMMERS,
        beneficiary: Address::ZERO,
        state_root: state_root(&db.snapshot())?,
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
    })
}

/// A branch of `length` empty blocks on top of `ancestors` (from the genesis block on), mined by `miner`.
fn branch(ancestors: &[Header], miner: u8, length: usize) -> TestResult<Vec<Header>> {
    let fork = Network::parse(NETWORK).ok_or("a network")?.fork_at(0, 0);
    let db = Database::in_memory()?;
    let seal = |header: &Header| shingle::Block { height: header.number, timestamp_ms: header.timestamp * 1_000 };
    db.commit_block(seal(&ancestors[0]), genesis_state())?;
    let mut chain = ancestors.to_vec();
    for number in 1..ancestors.len() + length {
        if number == chain.len() {
            let parent = &chain[number - 1];
            chain.push(Header {
                parent_hash: parent.hash(),
                beneficiary: Address::with_last_byte(miner),
                number: parent.number + 1,
                timestamp: parent.timestamp + 10,
                ..parent.clone()
            });
        }
        let block = Block::decode(&encode(&chain[number]))?;
        db.commit_block(seal(&block.header), execute(db.snapshot(), &block, fork)?)?;
        chain[number].state_root = state_root(&db.snapshot())?;
    }
    Ok(chain.split_off(ancestors.len()))
}

/// The genesis block; two blocks of one branch; three of another, from the genesis block on.
fn two_branches() -> TestResult<(Header, Vec<Header>, Vec<Header>)> {
    let genesis = genesis()?;
    let light = branch(std::slice::from_ref(&genesis), 0xaa, 2)?;
    let heavy = branch(std::slice::from_ref(&genesis), 0xbb, 3)?;
    Ok((genesis, light, heavy))
}

fn start(genesis: &Header) -> TestResult<(Database, Chain)> {
    let db = Database::in_memory()?;
    let network = Network::parse(NETWORK).ok_or("a network")?;
    let chain = Chain::start(db.clone(), network, Block::decode(&encode(genesis))?, genesis_state())?;
    Ok((db, chain))
}

#[test]
fn the_heavier_branch_wins_and_the_lighter_one_waits() -> TestResult {
    let (genesis, light, heavy) = two_branches()?;
    let (db, mut chain) = start(&genesis)?;
    let mut abandoned = None;
    let order = [
        (&light[0], Imported::Extended),
        (&light[1], Imported::Extended),
        (&heavy[0], Imported::Aside),
        (&heavy[1], Imported::Aside),
        (&heavy[1], Imported::Known),
        (&heavy[2], Imported::Reorganised),
        (&light[1], Imported::Known),
    ];
    for (place, (header, expected)) in order.into_iter().enumerate() {
        assert_eq!(chain.import(&encode(header))?, expected, "import {place}");
        if header.hash() == light[1].hash() {
            abandoned.get_or_insert(db.snapshot());
        }
    }
    assert_eq!(chain.head(), heavy[2].hash());
    assert_eq!(state_root(&db.snapshot())?, heavy[2].state_root);
    assert_eq!(state::account(&db.snapshot(), Address::with_last_byte(0xaa))?, None, "who mined the other branch");
    let abandoned = abandoned.ok_or("the lighter branch was the head once")?;
    let refused = state_root(&abandoned);
    assert!(
        matches!(&refused, Err(StateError::Store(error)) if error.kind() == ErrorKind::RolledBack),
        "a snapshot of the other branch neither lies nor reads the new one: {refused:?}"
    );
    for header in [&genesis].into_iter().chain(&heavy) {
        let snapshot = db.snapshot_at(shingle::At::Height(header.number))?;
        assert_eq!(state_root(&snapshot)?, header.state_root);
        let hash = if header.number == 0 { None } else { Some(header.hash()) };
        assert_eq!(state::block_hash(&snapshot, header.number)?, hash);
    }
    Ok(())
}

#[test]
fn a_heavier_branch_that_turns_out_invalid_leaves_the_old_one() -> TestResult {
    let (genesis, light, mut heavy) = two_branches()?;
    heavy[1].state_root = B256::repeat_byte(1);
    heavy[2].parent_hash = heavy[1].hash();
    let (db, mut chain) = start(&genesis)?;
    for header in light.iter().chain(&heavy[..2]) {
        chain.import(&encode(header))?;
    }
    let refused = chain.import(&encode(&heavy[2]));
    assert!(
        matches!(refused, Err(ExecuteError::Invalid(InvalidBlock::Field { field: "state root", .. }))),
        "{refused:?}"
    );
    assert_eq!(chain.head(), light[1].hash());
    assert_eq!(state_root(&db.snapshot())?, light[1].state_root);
    assert_eq!(db.head().map(|sealed| sealed.height), Some(2));
    let orphan = chain.import(&encode(&heavy[2]));
    assert!(matches!(orphan, Err(ExecuteError::Invalid(InvalidBlock::UnknownParent(_)))), "{orphan:?}");
    let next = branch(&[std::slice::from_ref(&genesis), &light].concat(), 0xaa, 1)?;
    assert_eq!(chain.import(&encode(&next[0]))?, Imported::Extended);
    Ok(())
}

#[test]
fn a_block_that_breaks_a_rule_is_refused_and_changes_nothing() -> TestResult {
    let (genesis, light, _) = two_branches()?;
    let (db, mut chain) = start(&genesis)?;
    chain.import(&encode(&light[0]))?;
    let (head, version) = (db.head(), db.version());
    let valid = &light[1];
    let broken = [
        ("number", Header { number: 3, ..valid.clone() }),
        ("time", Header { timestamp: light[0].timestamp, ..valid.clone() }),
        ("gas limit", Header { gas_limit: valid.gas_limit * 2, ..valid.clone() }),
        ("gas used", Header { gas_used: 21_000, ..valid.clone() }),
        ("extra data", Header { extra_data: vec![0; 33].into(), ..valid.clone() }),
        ("uncles", Header { ommers_hash: B256::ZERO, ..valid.clone() }),
        ("transactions", Header { transactions_root: B256::ZERO, ..valid.clone() }),
        ("receipts", Header { receipts_root: B256::ZERO, ..valid.clone() }),
        ("bloom", Header { logs_bloom: Bloom::repeat_byte(1), ..valid.clone() }),
        ("base fee", Header { base_fee_per_gas: Some(7), ..valid.clone() }),
        ("difficulty", Header { difficulty: U256::ZERO, ..valid.clone() }),
        ("parent", Header { parent_hash: B256::ZERO, ..valid.clone() }),
    ];
    for (what, header) in broken {
        let refused = chain.import(&encode(&header));
        assert!(matches!(refused, Err(ExecuteError::Invalid(_))), "{what}: {refused:?}");
        assert_eq!((db.head(), db.version()), (head, version), "{what}");
    }
    let rlp = encode(valid);
    for length in 0..rlp.len() {
        assert!(chain.import(&rlp[..length]).is_err(), "cut to {length} bytes");
    }
    assert_eq!((db.head(), db.version()), (head, version));
    assert_eq!(chain.import(&rlp)?, Imported::Extended);
    Ok(())
}

/// A case whose chain changes branches and meets two blocks to be refused.
fn case() -> TestResult<Value> {
    let (genesis, light, heavy) = two_branches()?;
    let bad = Header { state_root: B256::ZERO, ..light[1].clone() };
    let block = |header: &Header| json!({ "rlp": encode(header).to_string() });
    let invalid = |rlp: String| json!({ "rlp": rlp, "expectException": "some reason" });
    let mut blocks = vec![block(&light[0]), invalid(encode(&bad).to_string()), invalid("0xc0".to_owned())];
    blocks.extend(light[1..].iter().chain(&heavy).map(block));
    let account =
        |balance: U256| json!({ "balance": format!("{balance:#x}"), "nonce": "0x00", "code": "0x", "storage": {} });
    let funded = account(U256::from(1_000));
    let miner = account(U256::from(6_000_000_000_000_000_000_u64));
    Ok(json!({
        "network": NETWORK,
        "genesisRLP": encode(&genesis).to_string(),
        "pre": { FUNDED.to_string(): funded },
        "blocks": blocks,
        "lastblockhash": heavy[2].hash().to_string(),
        "postState": { FUNDED.to_string(): funded, Address::with_last_byte(0xbb).to_string(): miner },
    }))
}

fn replay(cases: Value) -> TestResult<Report> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("chains.json"), cases.to_string())?;
    let mut told = 0;
    let report = run(&[dir.path().to_owned()], &Options { shards: 3, ..Options::default() }, &mut |_| told += 1)?;
    assert_eq!(told, report.totals.counts.cases);
    Ok(report)
}

#[test]
fn a_file_that_is_right_is_reported_in_figures() -> TestResult {
    let report = replay(json!({ "one": case()?, "two": case()? }))?;
    assert!(report.is_success(), "{:?}", report.files[0].failures);
    let counts = report.files[0].counts;
    assert_eq!((report.totals.files, report.totals.counts), (1, counts));
    assert_eq!((counts.cases, counts.blocks, counts.blocks_refused, counts.reorganisations), (2, 14, 4, 2));
    assert_eq!(counts.blocks_executed, 2 * 5, "two blocks of one branch, three of the other");
    // Of each: genesis; five blocks; after two refusals; at the fork point; four heights, examined twice.
    assert_eq!(counts.state_roots_verified, 2 * (1 + 5 + 2 + 1 + 2 * 4));
    Ok(())
}

/// Replays the case after a change: the only failures there are.
fn failures_after(change: impl FnOnce(&mut Value)) -> TestResult<Vec<Failure>> {
    let mut case = case()?;
    change(&mut case);
    let mut report = replay(json!({ "changed": case, "right": self::case()? }))?;
    let failures = std::mem::take(&mut report.files[0].failures);
    assert!(failures.iter().all(|failure| failure.case.as_deref() == Some("changed")), "{failures:?}");
    Ok(failures)
}

fn checks(failures: &[Failure]) -> Vec<&str> {
    failures.iter().map(|failure| failure.check.as_str()).collect()
}

#[test]
fn a_wrong_end_is_a_failure_before_and_after_reopening() -> TestResult {
    let wrong = B256::repeat_byte(7);
    let failures = failures_after(|case| case["lastblockhash"] = json!(wrong.to_string()))?;
    assert_eq!(checks(&failures), ["head", "head"]);
    let block = failures[0].block.ok_or("a block")?;
    assert_eq!(
        (block.number, failures[0].expected.clone(), failures[0].got.clone()),
        (3, wrong.to_string(), block.hash.to_string())
    );

    let account = format!("account {FUNDED}");
    let failures = failures_after(|case| case["postState"][FUNDED.to_string()]["balance"] = json!("0x1"))?;
    assert_eq!(checks(&failures), [account.as_str(), account.as_str()]);
    let failures = failures_after(|case| case["postState"][FUNDED.to_string()]["storage"] = json!({ "0x01": "0x02" }))?;
    assert_eq!(checks(&failures), [account.as_str(), account.as_str()]);
    let failures = failures_after(|case| case["postStateHash"] = json!(wrong.to_string()))?;
    assert_eq!(checks(&failures), ["state root of the case's end"; 2]);
    Ok(())
}

#[test]
fn a_block_that_is_refused_or_accepted_against_expectation_is_a_failure() -> TestResult {
    let failures = failures_after(|case| {
        case["blocks"][1].as_object_mut().map(|block| block.remove("expectException"));
    })?;
    assert_eq!(checks(&failures), ["state root"]);
    assert_eq!(failures[0].expected, B256::ZERO.to_string());
    assert_eq!(failures[0].block.map(|block| block.number), Some(2));

    let failures = failures_after(|case| case["blocks"][0]["expectExceptionBerlin"] = json!("none in truth"))?;
    assert_eq!((checks(&failures), failures[0].got.as_str()), (vec!["import"], "Extended"));

    let failures = failures_after(|case| case["pre"][FUNDED.to_string()]["nonce"] = json!("0x1"))?;
    assert_eq!(checks(&failures), ["state root"]);
    assert_eq!(failures[0].block.map(|block| block.number), Some(0));

    let failures = failures_after(|case| case["network"] = json!("Atlantis"))?;
    assert_eq!(checks(&failures), ["network"]);
    Ok(())
}

#[test]
fn files_that_cannot_be_replayed_are_errors_or_failures_never_success() -> TestResult {
    let dir = tempfile::tempdir()?;
    let none = run(&[dir.path().to_owned()], &Options::default(), &mut |_| ());
    assert!(matches!(none, Err(shingle_replay::Error::NoChains)), "{none:?}");
    let missing = run(&[PathBuf::from("/nowhere/at/all.json")], &Options::default(), &mut |_| ());
    assert!(matches!(missing, Err(shingle_replay::Error::Path { .. })), "{missing:?}");
    for (name, content) in [("empty.json", "{}"), ("text.json", "hello"), ("other.json", r#"{"a": {"b": 1}}"#)] {
        let path = dir.path().join(name);
        std::fs::write(&path, content)?;
        let report = run(&[path], &Options::default(), &mut |_| ())?;
        assert_eq!(report.totals.failures, 1, "{name}");
        assert!(!report.is_success());
    }
    Ok(())
}

#[test]
fn stores_are_kept_where_they_are_wanted_and_never_mixed_with_others() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("chains.json");
    std::fs::write(&path, json!({ "kept": case()? }).to_string())?;
    let options = Options { shards: 2, dir: Some(dir.path().join("stores")), ..Options::default() };
    assert!(run(std::slice::from_ref(&path), &options, &mut |_| ())?.is_success());
    let db = Database::open(dir.path().join("stores/chains/kept"))?;
    assert_eq!(db.head().map(|sealed| sealed.height), Some(3));
    assert!(state::account(&db.snapshot(), FUNDED)?.is_some());
    assert!(run(&[path], &options, &mut |_| ()).is_err(), "the directory is in use");
    Ok(())
}

#[test]
fn a_report_is_json() -> TestResult {
    let report = replay(json!({ "one": case()? }))?;
    let value = serde_json::to_value(&report)?;
    assert_eq!(value["totals"]["cases"], 1);
    assert_eq!(value["files"][0]["reorganisations"], 1);
    Ok(())
}
