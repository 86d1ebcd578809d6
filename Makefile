# The targets that a person or CI runs. What a target needs, it installs.

CARGO_ABOUT_VERSION := 0.9.3
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_DENY_VERSION := 0.20.2
VENV := .venv
NATIVE := $(patsubst aarch64,arm64,$(shell uname -m))
# x86_64 or arm64; another one than this machine's needs Rust's standard library and a linker for it.
ARCH := $(NATIVE)
TARGET := $(patsubst arm64,aarch64,$(ARCH))-unknown-linux-gnu
BUILT := target/$(if $(filter $(ARCH),$(NATIVE)),,$(TARGET)/)release
ZIP := dist/bootstrap-$(ARCH).zip
# Without the paths of the machine that builds: equal sources give equal binaries.
RELEASE := RUSTFLAGS='--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo --remap-path-prefix=$(CURDIR)=/src' \
	cargo build --release --locked
FUNCTION := --no-default-features --bin bootstrap $(if $(filter $(ARCH),$(NATIVE)),,--target $(TARGET))

.PHONY: help test browser browser-install lint fmt clippy deny templates render package zip licences sbom deploy bench bench-scan bench-scheduled clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

test: $(VENV)/installed browser ## Install what the tests need, and run them all
	cargo test --locked
	$(VENV)/bin/pytest tests/python/runbooks
	$(VENV)/bin/pytest tests/python/live
	$(VENV)/bin/pytest tests/python/report
	$(VENV)/bin/pytest tests/python/templates

lint: fmt clippy deny templates ## Check formatting, code, dependencies and templates

fmt:
	cargo fmt --check

clippy:
	cargo clippy --locked --all-targets -- -D warnings

# Advisories need their database from the network; `cargo deny check` has them too.
deny:
	$(call cargo-tool,deny,$(CARGO_DENY_VERSION))
	cargo deny check bans licenses sources

templates: $(VENV)/installed
	$(VENV)/bin/python packaging/render_templates.py --check
	$(VENV)/bin/cfn-lint --include-checks I -- cloudformation/*.yaml

render: $(VENV)/installed ## Write the runbooks into the templates
	$(VENV)/bin/python packaging/render_templates.py

$(VENV)/installed: requirements.txt requirements.lock
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt --constraint requirements.lock
	touch $@

# The report's tests look at it in a browser, and at its printed pages.
browser:
	@for tool in chromium chromedriver pdftotext; do command -v $$tool > /dev/null || exec $(MAKE) --no-print-directory $@-install; done

browser-install:
	@command -v apt-get > /dev/null || { echo 'the tests need chromium, chromedriver and pdftotext: install them'; exit 2; }
	$(SUDO) apt-get update --quiet --quiet
	$(SUDO) apt-get install --quiet --quiet --yes --no-install-recommends chromium chromium-driver poppler-utils

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

package: zip licences sbom ## Make dist/: the function's zip, the templates, checksums, licences and a bill of materials
	cp cloudformation/*.yaml dist/
	cd dist && sha256sum --binary *.zip *.yaml LICENCES.txt bootstrap.cdx.json > SHA256SUMS
	@echo
	@echo 'dist/ is complete. Deploy it in the Region of the rule, with a bucket of yours there:'
	@echo '  make deploy BUCKET=...'

zip:
	$(RELEASE) $(FUNCTION)
	python3 packaging/lambda_zip.py $(BUILT)/bootstrap $(ZIP)

licences:
	$(call cargo-tool,about,$(CARGO_ABOUT_VERSION),--features cli)
	mkdir -p dist
	cargo about generate --locked --no-default-features --config packaging/about.toml \
		--output-file dist/LICENCES.txt packaging/about.hbs

sbom:
	$(call cargo-tool,cyclonedx,$(CARGO_CYCLONEDX_VERSION))
	mkdir -p dist
	cargo cyclonedx --quiet --format json --no-default-features --target $(TARGET) --override-filename bootstrap.cdx
	mv bootstrap.cdx.json dist/

# Says of a cargo tool that it is there in the right version, or installs it.
define cargo-tool
	cargo $(1) --version 2>/dev/null | grep -q '$(1) $(2)$$' || cargo install --locked cargo-$(1) --version $(2) $(3)
endef

STACK := imdsv2-config-rule
# More of `aws cloudformation deploy`, such as PARAMETERS='Schedule=TwentyFour_Hours AutomaticRemediation=true'.
PARAMETERS :=
CODE_KEY = imdsv2-config-rule/bootstrap-$(ARCH)-$(firstword $(shell sha256sum $(ZIP))).zip

deploy: ## Upload what `make package` made, and deploy the rule: BUCKET=..., and PARAMETERS, STACK if you like
	@test -n '$(BUCKET)' || { echo 'BUCKET is not set; expected the name of a bucket in the Region of the rule'; exit 2; }
	@test -f $(ZIP) || { echo '$(ZIP) is not there: make package'; exit 2; }
	aws s3 cp $(ZIP) s3://$(BUCKET)/$(CODE_KEY)
	aws cloudformation deploy --stack-name $(STACK) --template-file cloudformation/rule.yaml --s3-bucket $(BUCKET) \
		--capabilities CAPABILITY_IAM --no-fail-on-empty-changeset --parameter-overrides CodeBucket=$(BUCKET) \
		CodeKey=$(CODE_KEY) Architecture=$(ARCH) $(PARAMETERS)

bench: ## Measure `evaluate` on a large snapshot, beside jq and Python
	$(RELEASE) --bin imdsv2
	python3 benchmarks/evaluate_snapshot.py

bench-scheduled: target/bench/venv/installed ## Measure scheduled runs, beside a rule in Python
	$(RELEASE) $(FUNCTION)
	target/bench/venv/bin/python benchmarks/scheduled_run.py

bench-scan: target/bench/venv/installed ## Measure a live scan, beside the AWS CLI and boto3
	$(RELEASE) --bin imdsv2
	target/bench/venv/bin/python benchmarks/scan.py

target/bench/venv/installed: benchmarks/requirements.txt
	python3 -m venv target/bench/venv
	target/bench/venv/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	touch $@

clean: ## Remove what was built
	cargo clean
	rm -rf $(VENV) dist
