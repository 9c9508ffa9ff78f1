# make run    the program                    make test   everything that must pass
# make world  two zones with real daemons
# make bench  ours beside Debian's server    make soak   random requests and faults for hours
# make image  the container image ovn-ic-db:latest
# make fuzz   each fuzzer for FUZZ_MINUTES (10), those of FUZZERS or all
# make faults what faults cost a cluster's clients, ours beside Debian's

CARGO ?= cargo

.PHONY: run packages lint build test image world bench faults soak fuzz clean

run:
	$(CARGO) run --release

packages:
	tests/install-packages.sh
	tests/install-python.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# Integration tests look for the program beside themselves: same profile.
build:
	$(CARGO) build -p ovn-ic-db

# Documentation tests come first, so that the last line is the runner's summary. The program is built
# with the tests of its own package. One more test than processors: those with containers mostly wait.
test: packages lint
	$(CARGO) test --workspace --doc
	@if command -v cargo-nextest >/dev/null; then \
		echo "$(CARGO) nextest run --workspace"; \
		$(CARGO) nextest run --workspace --no-fail-fast --test-threads $$(($$(nproc) + 1)); \
	else \
		echo "$(CARGO) test --workspace"; \
		$(CARGO) test --workspace --lib --bins --tests --no-fail-fast; \
	fi

IMAGE ?= ovn-ic-db:latest

# On debian:bookworm-slim, or on what BASE names; made from Debian's packages where there is no registry.
image:
	$(CARGO) build --release -p ovn-ic-db
	docker/make-image.sh $${CARGO_TARGET_DIR:-target}/release/ovn-ic-db $(IMAGE)

bench: packages
	$(CARGO) build --release -p ovn-ic-db
	$(CARGO) run --release -p ovn-ic-db-bench

SOAK_SECONDS ?= 14400

# A hundred schemas after the other, from a new seed on; the seed that shows a difference is
# printed with the shortest story that was found, and ends it. Between them, ten minutes of random
# faults upon a cluster under writers and monitors, and a large snapshot.
soak: packages
	$(CARGO) build --release -p ovn-ic-db
	@end=$$(($$(date +%s) + $(SOAK_SECONDS))); seed=$$(date +%s); \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
		DIFFERENTIAL_SEED=$$seed DIFFERENTIAL_SCHEMAS=100 DIFFERENTIAL_STEPS=60000 \
			$(CARGO) test --release -p ovn-ic-db-tests --test differential -- --nocapture \
			|| exit 1; \
		CLUSTER_SEED=$$seed CLUSTER_SOAK_SECONDS=600 \
			$(CARGO) test --release -p ovn-ic-db-tests --test cluster_soak -- --nocapture \
			|| exit 1; \
		CLUSTER_SNAPSHOT_MB=400 \
			$(CARGO) test --release -p ovn-ic-db-tests --test cluster_snapshot -- --nocapture \
			|| exit 1; \
		seed=$$((seed + 100)); \
	done

FUZZ_MINUTES ?= 10
FUZZERS ?=

fuzz:
	fuzz/run.sh $(FUZZ_MINUTES) $(FUZZERS)

FAULT_ROUNDS ?= 10

faults: packages
	$(CARGO) build --release -p ovn-ic-db
	$(CARGO) run --release -p ovn-ic-db-tests --bin fault-figures -- $(FAULT_ROUNDS)

# Two availability zones with real daemons on the reference and on ours, with times side by side.
world: packages build
	$(CARGO) test -p ovn-ic-db-tests --test world -- --nocapture

clean:
	$(CARGO) clean
