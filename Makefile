# The targets that a person or CI runs. What a target needs, it installs.

CARGO_DENY_VERSION := 0.20.2
VENV := .venv
NATIVE := $(patsubst aarch64,arm64,$(shell uname -m))
# x86_64 or arm64; another one than this machine's needs Rust's standard library and a linker for it.
ARCH := $(NATIVE)
TARGET := $(patsubst arm64,aarch64,$(ARCH))-unknown-linux-gnu
BUILT := target/$(if $(filter $(ARCH),$(NATIVE)),,$(TARGET)/)release
ZIP := dist/bootstrap-$(ARCH).zip

.PHONY: help test lint fmt clippy deny templates render package bench bench-scan bench-scheduled clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

test: $(VENV)/installed ## Install what the tests need, and run them all
	cargo test --locked
	$(VENV)/bin/pytest tests/runbooks
	$(VENV)/bin/pytest tests/live

lint: fmt clippy deny templates ## Check formatting, code, dependencies and templates

fmt:
	cargo fmt --check

clippy:
	cargo clippy --locked --all-targets -- -D warnings

# Advisories need their database from the network; `cargo deny check` has them too.
deny:
	cargo deny --version 2>/dev/null | grep -qx 'cargo-deny $(CARGO_DENY_VERSION)' || \
		cargo install --locked cargo-deny --version $(CARGO_DENY_VERSION)
	cargo deny check bans licenses sources

templates: $(VENV)/installed
	$(VENV)/bin/python packaging/render_templates.py --check
	$(VENV)/bin/cfn-lint cloudformation/*.yaml

render: $(VENV)/installed ## Write the runbooks into the templates
	$(VENV)/bin/python packaging/render_templates.py

$(VENV)/installed: requirements.txt requirements.lock
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt --constraint requirements.lock
	touch $@

package: ## Build the function, zip it for Lambda, and say how to deploy it
	cargo build --release --locked --no-default-features --bin bootstrap $(if $(filter $(ARCH),$(NATIVE)),,--target $(TARGET))
	python3 packaging/lambda_zip.py $(BUILT)/bootstrap $(ZIP)
	@echo
	@echo 'Deploy it with a bucket of yours, in the Region of the rule:'
	@echo '  aws s3 cp $(ZIP) s3://BUCKET/imdsv2-config-rule/bootstrap.zip'
	@echo '  aws cloudformation deploy --stack-name imdsv2-config-rule --template-file cloudformation/rule.yaml' \
		'--s3-bucket BUCKET --capabilities CAPABILITY_IAM --parameter-overrides CodeBucket=BUCKET Architecture=$(ARCH)'

bench: ## Measure `evaluate` on a large snapshot, beside jq and Python
	cargo build --release --locked --bin imdsv2
	python3 benches/evaluate_snapshot.py

bench-scheduled: target/bench/venv/installed ## Measure scheduled runs, beside a rule in Python
	cargo build --release --locked --no-default-features --bin bootstrap
	target/bench/venv/bin/python benches/scheduled_run.py

bench-scan: target/bench/venv/installed ## Measure a live scan, beside the AWS CLI and boto3
	cargo build --release --locked --bin imdsv2
	target/bench/venv/bin/python benches/scan.py

target/bench/venv/installed: benches/requirements.txt
	python3 -m venv target/bench/venv
	target/bench/venv/bin/pip install --quiet --disable-pip-version-check --requirement benches/requirements.txt
	touch $@

clean: ## Remove what was built
	cargo clean
	rm -rf $(VENV) dist
