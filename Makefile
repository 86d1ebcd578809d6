# The targets that a person or CI runs. What a target needs, it installs.

CARGO_DENY_VERSION := 0.20.2
VENV := .venv

.PHONY: help test lint fmt clippy deny templates package clean

help: ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

test: ## Install what the tests need, and run them all
	cargo test --locked

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
	$(VENV)/bin/cfn-lint cloudformation/*.yaml

$(VENV)/installed: requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

clean: ## Remove what was built
	cargo clean
	rm -rf $(VENV) dist
