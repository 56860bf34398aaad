# The targets of README.md and CONTRIBUTING.md. `make run` and `make test` need nothing but Go.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
FUZZTIME ?= 30s

.PHONY: build run examples test torture lint fuzz bench million benchmarks check

build:
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/ ./cmd/...

run: build
	bin/encke serve --dev

# a chat, notifications, live charts, joint editing, a game, lines for curl, at http://localhost:8000/, with Encke beside them
examples: build
	sh examples/setup.sh
	go build -o bin/encke-examples ./examples/serve
	bin/encke-examples

test:
	sh tools/setup.sh
	go vet ./...
	ENCKE_OUTSIDE=1 go test -race -timeout 20m ./...
	go test -run 'Alloc|HeapObjects' ./bitset ./channel ./edge ./longpoll ./netloop ./wsframe
	sh tools/clients.sh

lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt'ed:"; echo "$$out"; exit 1; fi
	go vet ./...
	@for f in $$(git ls-files '*.sh' '.ci/run'); do sh -n $$f || exit 1; done

# random clients and publishers behind a TCP fault proxy, and kills, held against the promise for hours:
# make torture HOURS=3, or CHECKS=10000000; SEED=… replays a run as far as the machine lets it
HOURS ?= 1
CHECKS ?= 0
torture:
	TORTURE_SECONDS=$$(awk 'BEGIN { print int($(HOURS) * 3600) }') TORTURE_CHECKS=$(CHECKS) TORTURE_SEED=$(SEED) \
		go test -count=1 -v -timeout 0 -run TestTorture ./tests/model

# every fuzz target, one after the other: FUZZTIME=5m make fuzz
fuzz:
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

bench:
	go test -run '^$$' -bench . -benchmem ./...

# as many connections as this machine holds, up to a million: make million ARGS='--clients 100000 --html million.html'
million: build
	bin/encke-bench million $(ARGS)

# encke and its peers side by side, some half an hour; writes BENCHMARKS.md: make benchmarks ARGS='--only connect,storm'
benchmarks: build
	sh bench/peers/setup.sh
	bin/encke-bench compare --out BENCHMARKS.md $(ARGS)

check: lint test
