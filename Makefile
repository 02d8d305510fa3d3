# make help says what there is.

BINARIES := analyzer detector restorer builder exporter creator rebaser launcher lifecycle slipway
TRIPLE := $(shell rustc -vV | sed -n 's/^host: //p')
# The launcher alone is linked with musl: in every app image it is less than half as large as with glibc, and it starts
# programs in half the time (docs/performance.md). rustup has the target.
LAUNCHER_TRIPLE := $(subst -gnu,-musl,$(TRIPLE))
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# The standard library starts a program in another folder by posix_spawn where it finds this function, to which it refers
# weakly; so the linker must be told to take it from a static libc. Else it falls back to execvp, and that hands a file
# without #! to a shell, where the reference says "exec format error".
STATIC := -C target-feature=+crt-static -C link-arg=-Wl,-u,posix_spawn_file_actions_addchdir_np
# Panics end a program at once, so that nothing is unwound; and relocations take a tenth of their room when they are packed.
SMALL := -C force-unwind-tables=no -C link-arg=-Wl,-z,pack-relative-relocs
# Static, so that the binaries run in any base image. With a target of its own given, the flags are not for build scripts
# and macros, and the artefacts lie apart from those of a plain `cargo build --release`: neither makes the other start again.
RELEASE := RUSTFLAGS="$(RUSTFLAGS) $(STATIC) $(SMALL)" cargo build --release --target $(TRIPLE)
APP ?= java-maven
BUILDER ?=

BUILD_TOOLS := cc
TEST_TOOLS := skopeo umoci runc jq curl nsenter unshare mount
# Those that only tests use: other people's readers of layouts, daemons, and what shows each rename that a program makes.
FOREIGN_TOOLS := podman catatonit dockerd docker busybox crun containerd ctr crane strace taskset setpriv mmdebstrap newuidmap zstd \
	useradd perl zip valgrind docker-registry htpasswd openssl
DEMO_TOOLS := skopeo umoci runc jq curl nsenter $(if $(filter bash-hello,$(APP)),,mmdebstrap)

.DEFAULT_GOAL := help
.PHONY: help build test golden-strict check conformance bench demo sample-builder dist clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

# install(1) replaces a file, where cp would write through cargo's hard link; -C leaves one alone that is the same, so that
# nobody finds a program half copied who runs it meanwhile. `bench` and the tests that it stands on are for `make bench`.
build: ## every binary, static, in target/release
	@demo/install.sh $(BUILD_TOOLS)
	$(RELEASE) --workspace --exclude launcher --exclude bench --exclude tests --bins
	@install -C -D -m 0755 -t target/release \
		$(addprefix $(TARGET_DIR)/$(TRIPLE)/release/,$(filter-out launcher,$(BINARIES)))
	@set -e; triple=$(LAUNCHER_TRIPLE); \
	if ! [ -d "$$(rustc --print target-libdir --target $$triple)" ] && ! rustup target add $$triple; then \
		echo "the launcher becomes twice as large, with glibc: rustup cannot add $$triple" >&2; triple=$(TRIPLE); \
	fi; \
	RUSTFLAGS="$(RUSTFLAGS) $(STATIC)" cargo build --profile launcher -p launcher --target $$triple; \
	install -C -D -m 0755 -t target/release $(TARGET_DIR)/$$triple/launcher/launcher

# The tests run the programs that users get: static, optimised, from target/release.
test: ## all tests, with the programs that they need
	@demo/install.sh $(BUILD_TOOLS) $(TEST_TOOLS) $(FOREIGN_TOOLS)
	$(MAKE) build
	SLIPWAY_BIN=$(CURDIR)/target/release cargo test --workspace

golden-strict: ## where the recorded cases differ in wording, raw text and modes too
	$(MAKE) build
	SLIPWAY_BIN=$(CURDIR)/target/release GOLDEN_STRICT=1 cargo test -p tests --test golden -- golden::

check: ## format, clippy, docs, shell scripts
	@demo/install.sh $(BUILD_TOOLS) shellcheck
	cargo fmt --all --check
	cargo fmt --manifest-path samples/buildpacks/rust-hello/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps
	shellcheck -x .ci/run demo/*.sh samples/*.sh samples/images/*.sh samples/apps/*/*.sh \
		samples/buildpacks/*/*.sh samples/buildpacks/*/bin/* samples/buildpacks/*/lib/*.sh

conformance: ## the rules of both APIs by area: how many are tested
	@cargo run --quiet -p tests --example conformance

bench: ## what slipway costs, as ratios to what does the same with less
	@demo/install.sh $(BUILD_TOOLS) umoci jq pigz time skopeo crane docker-registry
	$(MAKE) build
	$(RELEASE) -p bench
	SLIPWAY_BIN=$(CURDIR)/target/release $(TARGET_DIR)/$(TRIPLE)/release/bench

demo: ## a sample app becomes an image and runs: APP=java-maven, nodejs or bash-hello
	@demo/install.sh $(BUILD_TOOLS) $(DEMO_TOOLS)
	$(MAKE) build
	@demo/run.sh $(APP) $(BUILDER)

sample-builder: ## a builder with the sample buildpacks and this lifecycle: BUILDER=builder.toml
	@demo/install.sh $(BUILD_TOOLS) $(TEST_TOOLS) mmdebstrap
	$(MAKE) build
	@samples/make-builder.sh samples/$(or $(BUILDER),builder.toml)

# SLIPWAY_COMMIT and SLIPWAY_REPOSITORY, given here, are what images say of their launcher; `build` alone leaves them out,
# because every commit would then compile all crates above `platform` anew.
dist: ## a release in target/dist: archives, lifecycle image, SBOMs, checksums
	@demo/install.sh $(BUILD_TOOLS)
	$(MAKE) build
	@cargo metadata --format-version 1 --locked --filter-platform $(TRIPLE) | \
		cargo run --quiet -p distribution --example dist -- target/release target/dist
	@cd target/dist && sha256sum --check --quiet SHA256SUMS && ls -l

clean: ## what was compiled and built; the bases and builders in ~/.cache/slipway stay
	cargo clean
	rm -rf sample-app bundle .demo samples/buildpacks/rust-hello/target
