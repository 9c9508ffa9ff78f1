# What the project needs is installed by tests/install-packages.sh; see README.md.

.PHONY: run test clean

run:
	cargo run --release

test:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo test --workspace

clean:
	cargo clean
