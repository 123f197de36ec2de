# posthorn: build, test, measure. `make test` is the whole truth; it sets up
# what it needs on a Debian machine when it runs as root.

SHELL := /bin/bash
GO ?= go
BIN := bin/posthorn
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X posthorn/internal/app/cli.version=$(VERSION)
FUZZTIME ?= 10m

.PHONY: build test check setup fuzz bench soak mutants docs clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/posthorn

# Everything: formatting, vet, staticcheck, floors, stale documents, all tests
# with the race detector, whole-binary tests, mutants.
test: setup check build
	$(GO) test -race -shuffle=on -timeout 25m ./...
	$(GO) run ./internal/mutants/cmd

check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt differs:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

setup:
	@test/setup/install

mutants:
	$(GO) run ./internal/mutants/cmd

# Every fuzz target in turn, FUZZTIME each.
fuzz:
	@test/setup/fuzz $(FUZZTIME)

bench: build
	$(GO) run ./test/bench -posthorn $(BIN) $(BENCH)

# The long figures: fault tests, random clients for ten minutes, the store's
# random model, a flood of connections.
soak: setup build
	POSTHORN_SOAK=10m $(GO) test -race -timeout 3h -count 1 ./test/... ./internal/server/... ./internal/state/store/...

# Repairs the derived documents.
docs:
	$(GO) run ./internal/state/setting/gen -update
	$(GO) test ./internal ./internal/base/event ./internal/policy/check ./internal/app ./internal/server/api -run 'Stale|Fresh' -update

clean:
	rm -rf bin build
