//! A transaction: its wire format, its sender, and what revm makes of it.

use crate::fork::Fork;
use crate::invalid::TransactionError;
use alloy_primitives::{Address, B256, B512, Bytes, TxKind, U256, keccak256, uint};
use alloy_rlp::{Buf, Decodable, Encodable, Header};
use revm::context::TxEnv;
use revm::context_interface::transaction::{AccessList, TransactionType};
use revm::precompile::secp256k1::ecrecover;

/// Half the order of secp256k1: of the two signatures that fit, the one with `s` up to here counts (EIP-2).
const HALF_ORDER: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// As blocks and tries carry it: a list for a legacy transaction, else its type and a list (EIP-2718).
    pub encoded: Bytes,
    /// What revm executes, its caller still to be filled in.
    pub env: TxEnv,
    signing_hash: B256,
    odd_y: bool,
    r: U256,
    s: U256,
}

impl Transaction {
    /// The type of a legacy transaction is 0.
    pub fn kind(&self) -> u8 {
        self.env.tx_type
    }

    /// Reads a transaction as it stands in a block's list: a legacy one as a list, others wrapped in a string.
    fn decode_in_block(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let before = *buf;
        let header = Header::decode(buf)?;
        let head = before.len() - buf.len();
        let payload = &buf[..header.payload_length];
        buf.advance(header.payload_length);
        if header.list {
            Self::decode_fields(TransactionType::Legacy, payload, &before[..head + header.payload_length])
        } else {
            let (&kind, mut fields) = payload.split_first().ok_or(alloy_rlp::Error::InputTooShort)?;
            let kind = match kind {
                1 => TransactionType::Eip2930,
                2 => TransactionType::Eip1559,
                3 => TransactionType::Eip4844,
                _ => return Err(alloy_rlp::Error::Custom("a transaction type that is not known")),
            };
            let fields = Header::decode_bytes(&mut fields, true)?;
            Self::decode_fields(kind, fields, payload)
        }
    }

    fn decode_fields(kind: TransactionType, fields: &[u8], encoded: &[u8]) -> alloy_rlp::Result<Self> {
        let mut rest = fields;
        let buf = &mut rest;
        let mut env = TxEnv { tx_type: kind as u8, chain_id: None, ..TxEnv::default() };
        if kind != TransactionType::Legacy {
            env.chain_id = Some(Decodable::decode(buf)?);
        }
        env.nonce = Decodable::decode(buf)?;
        if matches!(kind, TransactionType::Eip1559 | TransactionType::Eip4844) {
            env.gas_priority_fee = Some(Decodable::decode(buf)?);
        }
        env.gas_price = Decodable::decode(buf)?;
        env.gas_limit = Decodable::decode(buf)?;
        env.kind = if kind == TransactionType::Eip4844 {
            TxKind::Call(Decodable::decode(buf)?)
        } else {
            Decodable::decode(buf)?
        };
        env.value = Decodable::decode(buf)?;
        env.data = Decodable::decode(buf)?;
        if kind != TransactionType::Legacy {
            env.access_list = AccessList::decode(buf)?;
        }
        if kind == TransactionType::Eip4844 {
            env.max_fee_per_blob_gas = Decodable::decode(buf)?;
            env.blob_hashes = Decodable::decode(buf)?;
        }
        let signed = &fields[..fields.len() - buf.len()];
        let v = u64::decode(buf)?;
        let r = Decodable::decode(buf)?;
        let s = Decodable::decode(buf)?;
        if !buf.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        let odd_y = match (kind, v) {
            (TransactionType::Legacy, 27 | 28) => v == 28,
            (TransactionType::Legacy, 35..) => {
                env.chain_id = Some((v - 35) / 2);
                (v - 35) % 2 == 1
            }
            (TransactionType::Legacy, _) | (_, 2..) => return Err(alloy_rlp::Error::Custom("a signature's parity")),
            (_, _) => v == 1,
        };
        let signing_hash = signing_hash(kind, signed, env.chain_id);
        Ok(Self { encoded: Bytes::copy_from_slice(encoded), env, signing_hash, odd_y, r, s })
    }

    /// Who signed it.
    pub fn sender(&self, fork: Fork) -> Result<Address, TransactionError> {
        if self.kind() == 0 && self.env.chain_id.is_some() && !fork.has_chain_id() {
            return Err(TransactionError::Signature);
        }
        if self.s > HALF_ORDER && fork.has_low_s() {
            return Err(TransactionError::Signature);
        }
        let mut signature = B512::ZERO;
        signature[..U256::BYTES].copy_from_slice(&self.r.to_be_bytes::<{ U256::BYTES }>());
        signature[U256::BYTES..].copy_from_slice(&self.s.to_be_bytes::<{ U256::BYTES }>());
        let signer = ecrecover(&signature, u8::from(self.odd_y), &self.signing_hash);
        signer.map(Address::from_word).map_err(|_| TransactionError::Signature)
    }
}

/// The hash that was signed: of all fields before the signature, and of a legacy transaction's chain, if it names one.
fn signing_hash(kind: TransactionType, fields: &[u8], chain_id: Option<u64>) -> B256 {
    let mut suffix = Vec::new();
    if let (TransactionType::Legacy, Some(chain_id)) = (kind, chain_id) {
        chain_id.encode(&mut suffix);
        0u8.encode(&mut suffix);
        0u8.encode(&mut suffix);
    }
    let mut message = Vec::with_capacity(fields.len() + suffix.len() + 10);
    if kind != TransactionType::Legacy {
        message.push(kind as u8);
    }
    Header { list: true, payload_length: fields.len() + suffix.len() }.encode(&mut message);
    message.extend_from_slice(fields);
    message.extend_from_slice(&suffix);
    keccak256(message)
}

/// A block's list of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transactions(pub Vec<Transaction>);

impl Decodable for Transactions {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut list = Header::decode_bytes(buf, true)?;
        let mut transactions = Vec::new();
        while !list.is_empty() {
            transactions.push(Transaction::decode_in_block(&mut list)?);
        }
        Ok(Self(transactions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork::Network;
    use alloy_primitives::{address, hex};

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    /// The example of EIP-155.
    const EXAMPLE: [u8; 110] = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195"
        "fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );

    fn decode(encoded: &[u8]) -> alloy_rlp::Result<Transaction> {
        Transaction::decode_in_block(&mut &*encoded)
    }

    fn fork(name: &str) -> Result<Fork, String> {
        Ok(Network::parse(name).ok_or_else(|| name.to_owned())?.fork_at(0, 0))
    }

    #[test]
    fn the_sender_of_the_standards_example_is_recovered() -> TestResult {
        let transaction = decode(&EXAMPLE)?;
        assert_eq!(transaction.encoded.as_ref(), EXAMPLE);
        assert_eq!((transaction.env.chain_id, transaction.env.nonce, transaction.env.gas_limit), (Some(1), 9, 21_000));
        let sender = address!("0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f");
        assert_eq!(transaction.sender(fork("Berlin")?)?, sender);
        assert!(transaction.sender(fork("Homestead")?).is_err(), "chain ids came later");
        Ok(())
    }

    #[test]
    fn another_nonce_is_another_sender() -> TestResult {
        let mut changed = EXAMPLE;
        changed[2] += 1;
        let [sender, other] = [&EXAMPLE, &changed]
            .map(|encoded| decode(encoded)?.sender(fork("Berlin")?).map_err(Box::<dyn std::error::Error>::from));
        assert_ne!(sender?, other?);
        Ok(())
    }

    #[test]
    fn the_higher_of_two_signatures_is_refused() -> TestResult {
        const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
        let mut transaction = decode(&EXAMPLE)?;
        let sender = transaction.sender(fork("Berlin")?)?;
        transaction.s = ORDER - transaction.s;
        transaction.odd_y = !transaction.odd_y;
        assert!(matches!(transaction.sender(fork("Berlin")?), Err(TransactionError::Signature)));
        transaction.env.chain_id = None;
        assert_eq!(transaction.sender(fork("Frontier")?)?, sender, "it was fine at first");
        Ok(())
    }

    #[test]
    fn what_is_no_transaction_is_refused() {
        for length in 0..EXAMPLE.len() {
            assert!(decode(&EXAMPLE[..length]).is_err(), "cut to {length} bytes");
        }
        assert!(decode(&[0x81, 0x80]).is_err(), "an unknown type");
        assert!(decode(&[0x80]).is_err(), "no type");
        assert!(decode(&[0x82, 0x02, 0x80]).is_err(), "a type without fields");
    }
}
