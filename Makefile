# make alone lists what there is.

export GOTOOLCHAIN := local
TOOL := go tool -modfile=.ci/tools/go.mod

.DEFAULT_GOAL := help
.PHONY: help test build fmt lint generate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## Run the whole check, as CI does
	@.ci/check

build: ## Build the program into bin/
	go build -o bin/ ./cmd/...

fmt: ## Format the code in place
	$(TOOL) golangci-lint fmt

lint: ## Run the linters
	$(TOOL) golangci-lint run ./...

generate: ## Make the generated files again
	.ci/generate
