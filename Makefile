# make alone lists what there is.

export GOTOOLCHAIN := local
TOOL := go tool -modfile=.ci/tools/go.mod

.DEFAULT_GOAL := help
.PHONY: help test storm storm-planted fuzz build fmt lint generate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## Run the whole check, as CI does
	@.ci/check

fuzz: ## Fuzz every target for FUZZTIME, one minute if it is not set
	@.ci/fuzz $(or $(FUZZTIME),1m)

STORM ?= 10m
storm: ## Let trouble of every kind befall the bot for STORM (10m), on all cores
	STORM=$(STORM) go test ./cmd/gmbot/storm -run '^TestStorm$$' -count=1 -timeout 0 -v

storm-planted: ## See that the storm finds faults that are built in on purpose
	go test -tags planted ./cmd/gmbot/storm -run '^TestPlanted$$' -count=1 -timeout 30m -v

build: ## Build the program into bin/
	go build -o bin/ ./cmd/...

fmt: ## Format the code in place
	$(TOOL) golangci-lint fmt

lint: ## Run the linters
	$(TOOL) golangci-lint run ./...

generate: ## Make the generated files again
	.ci/generate
