# The commands of this project. Each target installs the tools that it needs.

CARGO_ABOUT_VERSION := 0.9.3
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_MACHETE_VERSION := 0.9.2
CARGO_MUTANTS_VERSION := 27.1.0
UV_VERSION := 0.13.9
VENV := .venv
PEERS := target/peers
NATIVE := $(patsubst aarch64,arm64,$(shell uname -m))
# x86_64 or arm64. For another architecture than this machine's, install the Rust target and a linker.
ARCH := $(NATIVE)
TARGET := $(patsubst arm64,aarch64,$(ARCH))-unknown-linux-gnu
BUILT := target/$(if $(filter $(ARCH),$(NATIVE)),,$(TARGET)/)function
ZIP := dist/bootstrap-$(ARCH).zip
STATIC_TARGET := $(patsubst arm64,aarch64,$(ARCH))-unknown-linux-musl
# Named as `uname -m` names the architecture.
STATIC := dist/imdsv2-$(patsubst arm64,aarch64,$(ARCH)).tar.gz
# The binary does not contain paths of this machine, so that builds are reproducible.
BUILD := RUSTFLAGS='--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo --remap-path-prefix=$(CURDIR)=/src' \
	cargo build --locked
RELEASE := $(BUILD) --release
FUNCTION := --profile function --no-default-features --features lambda --bin bootstrap $(if $(filter $(ARCH),$(NATIVE)),,--target $(TARGET))
PYTHON := tests/python benchmarks packaging
RUFF_OPTIONS := --config tests/python/pyproject.toml

.PHONY: checksums download static help test model fuzz soak mutants browser browser-install lint fmt clippy features doc deny advisories templates python workflows render package zip licences sbom locks deploy deploy-function deploy-rule bucket bench bench-callers bench-cold-start bench-organization bench-scan bench-scheduled bench-templates clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

test: $(VENV)/installed $(PEERS)/installed browser ## Run all tests
	cargo test --locked
	for suite in formats peers release runbooks live session report sql templates docs; do $(VENV)/bin/pytest tests/python/$$suite || exit; done

model: ## Run 20,000 random histories of `remediate` and `restore` against a model of AWS
	PROPTEST_CASES=5000 cargo test --locked --lib cli::model::no_history -- --nocapture

# What `make fuzz` runs, and for how many seconds each.
FUZZ_TARGETS := cloudtrail event item journal plan recorded rule_parameters tag_date template
FUZZ_SECONDS := 900
# Examples of the input of each target.
cloudtrail_EXAMPLES := examples/cloudtrail
event_EXAMPLES := tests/fixtures examples
item_EXAMPLES := tests/fixtures examples
journal_EXAMPLES := tests/fixtures
plan_EXAMPLES := examples
recorded_EXAMPLES := tests/fixtures examples
template_EXAMPLES := examples cloudformation

fuzz: $(addprefix fuzz-,$(FUZZ_TARGETS)) ## Feed each parser with bytes that reach new code (15 minutes each, nightly Rust)

fuzz-%:
	$(call cargo-tool,fuzz,$(CARGO_FUZZ_VERSION))
	mkdir -p fuzz/corpus/$*
	cargo +nightly fuzz run $* fuzz/corpus/$* $($*_EXAMPLES) -- \
		-max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10 -dict=fuzz/json.dict

mutants: ## Change the code that decides and the journal, and check that a test fails each time (20 minutes)
	$(call cargo-tool,mutants,$(CARGO_MUTANTS_VERSION))
	cargo mutants || test $$? -eq 3 # a mutant that never ends is found, too

lint: fmt clippy features doc deny templates python workflows ## Check formatting, code, dependencies, templates and workflows

fmt:
	cargo fmt --check

clippy:
	cargo clippy --locked --all-targets -- -D warnings

# Each feature compiles without the others.
features:
	for feature in offline live lambda; do \
		cargo clippy --locked --no-default-features --features $$feature -- -D warnings || exit; done

doc:
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

# What dependencies are allowed, and that each is used.
deny:
	$(call cargo-tool,deny,$(CARGO_DENY_VERSION))
	$(call cargo-tool,machete,$(CARGO_MACHETE_VERSION))
	cargo deny check bans licenses sources
	cargo machete --with-metadata

advisories: ## Look up the dependencies in the databases of vulnerabilities, which are downloaded
	$(call cargo-tool,deny,$(CARGO_DENY_VERSION))
	cargo deny check advisories

templates: $(VENV)/installed
	$(VENV)/bin/python packaging/render_templates.py --check
	$(VENV)/bin/cfn-lint --include-checks I -- cloudformation/*.yaml

python: $(VENV)/installed
	$(VENV)/bin/ruff check $(RUFF_OPTIONS) $(PYTHON)
	$(VENV)/bin/ruff format --check $(RUFF_OPTIONS) $(PYTHON)

workflows: $(VENV)/installed
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-actions action.yml
	$(VENV)/bin/actionlint -shellcheck $(VENV)/bin/shellcheck
	$(VENV)/bin/zizmor --offline --quiet .github/workflows action.yml
	$(VENV)/bin/shellcheck packaging/*.sh src/cli/output/import.sh .ci/run
	$(VENV)/bin/hadolint Dockerfile
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml

render: $(VENV)/installed ## Copy the runbooks into the templates
	$(VENV)/bin/python packaging/render_templates.py

# Each lock file has the hashes of the packages that its requirements.txt names, and of all that these depend on.
PIP_OPTIONS := --quiet --disable-pip-version-check --require-hashes

locks: ## Write the lock files after a change of a requirements.txt
	python3 -m venv target/uv
	target/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	for folder in . benchmarks benchmarks/prowler tests/python/peers; do target/uv/bin/uv pip compile --quiet --generate-hashes --universal --no-header \
		--no-annotate $$folder/requirements.txt --output-file $$folder/requirements.lock || exit; done

$(VENV)/installed: requirements.lock
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install $(PIP_OPTIONS) --requirement requirements.lock
	touch $@

$(PEERS)/installed: tests/python/peers/requirements.lock
	python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install $(PIP_OPTIONS) --requirement tests/python/peers/requirements.lock
	touch $@

# The tests of the HTML report open it in a browser and print it.
browser:
	@for tool in chromium chromedriver pdftotext; do command -v $$tool > /dev/null || exec $(MAKE) --no-print-directory $@-install; done

browser-install:
	@command -v apt-get > /dev/null || { echo 'chromium, chromedriver or pdftotext is missing: install all three to run the tests'; exit 2; }
	$(SUDO) apt-get update --quiet --quiet
	$(SUDO) apt-get install --quiet --quiet --yes --no-install-recommends chromium chromium-driver poppler-utils

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

package: zip licences sbom ## Create dist/: the function, templates, checksums, licences and a bill of materials
	cp cloudformation/*.yaml dist/
	$(MAKE) --no-print-directory checksums
	@echo
	@echo 'dist/ is complete. To deploy it, name a bucket in the Region of the rule:'
	@echo '  make deploy BUCKET=...'

zip:
	$(BUILD) $(FUNCTION)
	python3 packaging/lambda_zip.py $(BUILT)/bootstrap $(ZIP)

# Of everything in dist/ but itself, whatever was built.
checksums:
	cd dist && rm -f SHA256SUMS && sums=$$(sha256sum --binary -- *) && echo "$$sums" > SHA256SUMS

static: ## Create dist/imdsv2-ARCH.tar.gz: the command line, as one binary that needs no library (musl-tools, 10 minutes)
	rustup target add $(STATIC_TARGET)
	CC_$(subst -,_,$(STATIC_TARGET))=musl-gcc $(BUILD) --release --bin imdsv2 --target $(STATIC_TARGET)
	python3 packaging/static_archive.py target/$(STATIC_TARGET)/release/imdsv2 $(STATIC)

licences:
	$(call cargo-tool,about,$(CARGO_ABOUT_VERSION),--features cli)
	mkdir -p dist
	cargo about generate --locked --no-default-features --features lambda --config packaging/about.toml \
		--output-file dist/LICENCES.txt packaging/about.hbs

sbom:
	$(call cargo-tool,cyclonedx,$(CARGO_CYCLONEDX_VERSION))
	mkdir -p dist
	cargo cyclonedx --quiet --format json --no-default-features --features lambda --target $(TARGET) --override-filename bootstrap.cdx
	cargo cyclonedx --quiet --format json --no-default-features --features live --target $(TARGET) --override-filename imdsv2.cdx
	mv bootstrap.cdx.json imdsv2.cdx.json dist/

# Installs a cargo subcommand unless it is installed in this version.
define cargo-tool
	cargo $(1) --version 2>/dev/null | grep -Eq '(^| )$(2)$$' || cargo install --locked cargo-$(1) --version $(2) $(3)
endef

# The name of the function, with which the names of all other resources begin, and of the stacks.
NAME := imdsv2-config-rule
# Parameters of the stacks, for example FUNCTION_PARAMETERS=MemorySize=512 PARAMETERS='Schedule=TwentyFour_Hours'.
FUNCTION_PARAMETERS :=
PARAMETERS :=
CODE_KEY = imdsv2-config-rule/bootstrap-$(ARCH)-$(firstword $(shell sha256sum $(ZIP))).zip
DEPLOY := aws cloudformation deploy --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset

# The release that is deployed without building anything.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
REPOSITORY = $(patsubst %.git,%,$(shell git remote get-url origin))

download: ## Download the function and the templates of a release into dist/. Set VERSION and REPOSITORY, or take this one's
	packaging/download.sh $(REPOSITORY)/releases/download/v$(VERSION) dist $(notdir $(ZIP)) $(notdir $(wildcard cloudformation/*.yaml))

deploy: deploy-function deploy-rule ## Deploy the function and the rules. Set BUCKET, and optionally PARAMETERS

deploy-function: bucket ## Upload and deploy the function. Set BUCKET, and optionally FUNCTION_PARAMETERS and NAME
	@test -f $(ZIP) || { echo '$(ZIP) does not exist: run make package'; exit 2; }
	aws s3 cp $(ZIP) s3://$(BUCKET)/$(CODE_KEY)
	$(DEPLOY) --stack-name $(NAME)-function --template-file cloudformation/function.yaml --parameter-overrides \
		FunctionName=$(NAME) CodeBucket=$(BUCKET) CodeKey=$(CODE_KEY) Architecture=$(ARCH) $(FUNCTION_PARAMETERS)

deploy-rule: bucket ## Deploy the rules of this account. Set BUCKET, and optionally PARAMETERS and NAME
	$(DEPLOY) --stack-name $(NAME) --template-file cloudformation/rule.yaml --s3-bucket $(BUCKET) \
		--parameter-overrides FunctionName=$(NAME) $(PARAMETERS)

bucket:
	@test -n '$(BUCKET)' || { echo 'BUCKET is not set: expected the name of a bucket in the Region of the rules'; exit 2; }

bench: ## Measure `imdsv2 evaluate` on a large snapshot, compared with jq and Python
	$(RELEASE) --bin imdsv2
	python3 benchmarks/evaluate_snapshot.py

bench-callers: $(VENV)/installed ## Measure `imdsv2 callers`, compared with gzip, Python and DuckDB
	$(RELEASE) --no-default-features --features offline --bin imdsv2
	$(VENV)/bin/python benchmarks/callers.py

bench-cold-start: target/bench/venv/installed ## Measure how the function starts, compared with one that does nothing and rules in Python
	$(BUILD) --profile function --no-default-features --features floor --bin bootstrap --bin floor
	target/bench/venv/bin/python benchmarks/cold_start.py

soak: ## Send 200,000 events through one process of the function, and events of 5,000 accounts (3 minutes)
	$(BUILD) $(FUNCTION)
	python3 benchmarks/soak.py

bench-organization: target/bench/venv/installed target/bench/prowler/installed ## Measure `imdsv2 scan` over 1,000 accounts, compared with c7n-org and Prowler
	$(RELEASE) --bin imdsv2
	target/bench/venv/bin/python benchmarks/organization.py

bench-scheduled: target/bench/venv/installed ## Measure scheduled runs, compared with a rule in Python
	$(BUILD) $(FUNCTION)
	target/bench/venv/bin/python benchmarks/scheduled_run.py

bench-templates: $(VENV)/installed $(PEERS)/installed ## Measure `imdsv2 evaluate` on 2,000 templates, compared with checkov
	$(RELEASE) --no-default-features --features offline --bin imdsv2
	$(VENV)/bin/python benchmarks/templates.py

bench-scan: target/bench/venv/installed ## Measure `imdsv2 scan`, compared with the AWS CLI and boto3
	$(RELEASE) --bin imdsv2
	target/bench/venv/bin/python benchmarks/scan.py

target/bench/venv/installed: benchmarks/requirements.lock
	python3 -m venv target/bench/venv
	target/bench/venv/bin/pip install $(PIP_OPTIONS) --requirement benchmarks/requirements.lock
	touch $@

target/bench/prowler/installed: benchmarks/prowler/requirements.lock
	python3 -m venv target/bench/prowler
	target/bench/prowler/bin/pip install $(PIP_OPTIONS) --requirement benchmarks/prowler/requirements.lock
	touch $@

clean: ## Remove everything that was built or installed here
	cargo clean
	rm -rf $(VENV) dist
