# make run    the program                    make test   everything that must pass
# make world  two zones with real daemons
# make bench  ours beside Debian's server    make soak   the differential test for hours

CARGO ?= cargo

.PHONY: run packages lint build test world bench soak clean

run:
	$(CARGO) run --release

packages:
	tests/install-packages.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# Integration tests look for the program beside themselves: same profile.
build:
	$(CARGO) build -p ovn-ic-db

# Documentation tests come first, so that the last line is the runner's summary.
test: packages lint build
	$(CARGO) test --workspace --doc
	@if command -v cargo-nextest >/dev/null; then \
		echo "$(CARGO) nextest run --workspace"; \
		$(CARGO) nextest run --workspace --no-fail-fast; \
	else \
		echo "$(CARGO) test --workspace"; \
		$(CARGO) test --workspace --lib --bins --tests --no-fail-fast; \
	fi

bench: packages
	$(CARGO) build --release -p ovn-ic-db
	$(CARGO) run --release -p ovn-ic-db-bench

SOAK_SECONDS ?= 14400

# One seed after the other; the seed that shows a difference is printed and ends it.
soak: packages
	$(CARGO) build --release -p ovn-ic-db
	@end=$$(($$(date +%s) + $(SOAK_SECONDS))); seed=$$(date +%s); \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
		DIFFERENTIAL_AGAINST=ours DIFFERENTIAL_SEED=$$seed DIFFERENTIAL_STEPS=20000 \
			$(CARGO) test --release -p ovn-ic-db-tests --test differential -- --nocapture \
			|| { echo "seed $$seed shows a difference"; exit 1; }; \
		seed=$$((seed + 1)); \
	done

# Two availability zones with real daemons. WORLD_AGAINST=ours takes our server as the second one.
world: packages
	cargo test -p ovn-ic-db-tests --test world -- --ignored --nocapture

clean:
	$(CARGO) clean
