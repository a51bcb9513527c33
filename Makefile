# Each target does the set-up that it needs, then its work.
#
# Everything is built with one profile and for the whole workspace: another selection would mean other features of the dependencies,
# and RocksDB compiled again, which takes a quarter of an hour on two cores.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/shingle/target
export PATH := /usr/lib/ccache:$(PATH)

CARGO_FLAGS := --release --workspace --locked

.PHONY: help demo test build setup

help:
	@echo 'make demo    run a node for a few seconds, in ./data, and see what it proved'
	@echo 'make test    run every test'
	@echo 'make build   build the shingle command: $(CARGO_TARGET_DIR)/release/shingle'
	@echo 'make setup   install what building needs, if it is missing'

setup:
	@scripts/setup

build: setup
	cargo build $(CARGO_FLAGS) --bin shingle
	@echo 'the command: $(CARGO_TARGET_DIR)/release/shingle'

demo: build
	@$(CARGO_TARGET_DIR)/release/shingle demo

test:
	@scripts/setup tests
	cargo test $(CARGO_FLAGS)
	cargo test $(CARGO_FLAGS) --features failpoints --test crash --test checkpoint_crash --test prune_crash --test rebalance_crash --test rebalance_failures --test rebalance_stages --test backend_failpoints
