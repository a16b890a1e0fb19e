# Everything a developer runs. `make help` lists it; `make run` and `make test` need nothing but Go and make.

GO ?= go
# The modules of go.work: the server, what programs import that use Annex, and examples of such programs.
MODULES = . apis client examples generated
WHAT ?= $(MODULES:%=./%/...)
ROOT_DIRECTORY ?= .annex
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
KUBERNETES_VERSION = $(shell $(GO) list -m -f '{{.Version}}' k8s.io/apiserver | sed 's/^v0\./v1./')
LDFLAGS = -X k8s.io/component-base/version.gitVersion=$(KUBERNETES_VERSION)+annex \
	-X github.com/annex-dev/annex/cmd/annex/app.version=$(VERSION) -X github.com/annex-dev/annex/cmd/kubectl-annex/app.version=$(VERSION)
# Tests that start programs take them from here.
TEST_PROGRAMS = bin/annex bin/annex-race bin/kubectl-annex bin/kube-apiserver bin/kube-apiserver-1.37 bin/kube-controller-manager bin/kubectl bin/helm \
	bin/ecosystem-controllers bin/postgresql bin/demo bin/govulncheck $(EXAMPLES)
# The operators in examples/.
EXAMPLES = bin/database-operator bin/route-operator bin/initializer bin/composition
# What goes into the image, one for each platform, and into a release.
IMAGE_BINARIES = bin/linux-amd64/annex bin/linux-arm64/annex
PLATFORMS = linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64
RELEASE_BINARIES = $(foreach platform,$(PLATFORMS),bin/$(platform)/annex bin/$(platform)/kubectl-annex)
# What a release is called. A commit without a tag is a step towards the version of the chart.
RELEASE_VERSION = $(if $(filter v%,$(VERSION)),$(VERSION),v$(shell sed -n 's/^version: //p' charts/annex/Chart.yaml)-dev.g$(VERSION))

.DEFAULT_GOAL := help
include test/tools/tools.mk

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-zA-Z_-]+:.*## / {printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: bin/annex bin/kubectl-annex ## build bin/annex and the kubectl plugin, bin/kubectl-annex

.PHONY: bin/annex
bin/annex:
	@GO="$(GO)" test/tools/build.sh -ldflags "$(LDFLAGS)" -o $@ ./cmd/annex

# The plugin, `kubectl annex`, with the name by which kubectl asks it for completions, and the names of kcp's plugins.
.PHONY: bin/kubectl-annex
bin/kubectl-annex:
	@GO="$(GO)" test/tools/build.sh -ldflags "$(LDFLAGS)" -o $@ ./cmd/kubectl-annex
	@for name in kubectl_complete-annex kubectl-ws kubectl_complete-ws kubectl-create-workspace kubectl-create_workspace kubectl-kcp kubectl_complete-kcp; do \
		ln -sf kubectl-annex bin/$$name; done

# The same program with the race detector, for the tests of several replicas. Built for the first time it takes some minutes.
# The detector needs cgo; on a machine with Go and no C compiler the tests run without it.
.PHONY: bin/annex-race
bin/annex-race: RACE = $(if $(shell command -v $$($(GO) env CC) 2>/dev/null),-race)
bin/annex-race:
	$(if $(RACE),,@echo "no C compiler: $@ is built without the race detector")
	@GO="$(GO)" test/tools/build.sh $(RACE) -ldflags "$(LDFLAGS)" -o $@ ./cmd/annex

.PHONY: $(EXAMPLES)
$(EXAMPLES): bin/%:
	@GO="$(GO)" test/tools/build.sh -o $@ ./examples/$*

.PHONY: run
run: bin/annex bin/kubectl-annex $(if $(shell command -v kubectl 2>/dev/null),,bin/kubectl) ## start a server on an embedded etcd in .annex; PORT=7443 sets another port
	@bin/annex serve --root-directory $(ROOT_DIRECTORY) $(if $(PORT),--secure-port $(PORT))

# A host, a node and Annex by its chart, on this machine: see test/demo.
.PHONY: demo
demo: bin/annex bin/kubectl-annex bin/kube-apiserver bin/kube-controller-manager bin/kubectl bin/helm bin/demo ## show Annex in a cluster: an organization with two teams and a provider, and a shell
	@bin/demo

.PHONY: bin/demo
bin/demo:
	@GO="$(GO)" test/tools/build.sh -o $@ ./test/demo

.PHONY: test
test: $(TEST_PROGRAMS) ## run every test, real components included; WHAT=./registry/... narrows it
	@echo "testing $(WHAT); all tests take 30 to 50 minutes on two processors, and half an hour more the first time"
	$(GO) test -timeout 30m $(WHAT)
	@test ! -t 1 || echo "all tests pass; next: make run (a server), make demo (Annex in a cluster), make verify (the other checks of CI)"

.PHONY: test-race
test-race: $(TEST_PROGRAMS) ## the same with the race detector
	$(GO) test -race -timeout 60m $(WHAT)

.PHONY: bench
bench: bin/annex bin/kube-apiserver bin/load ## measure a server of its own beside a kube-apiserver, one figure a line
	@bin/load --server-binary bin/annex --start-plain $(BENCH_FLAGS)

.PHONY: bin/load
bin/load:
	@$(GO) build -o $@ ./test/load

.PHONY: generate
generate: ## write generated code, the API references and the chart's table of values anew
	@test/tools/codegen/generate.sh
	@$(GO) build -ldflags "$(LDFLAGS)" -o bin/annex ./cmd/annex
	@$(GO) test ./test/reference -count=1 -update

.PHONY: fmt
fmt: bin/golangci-lint ## format the code
	@bin/golangci-lint fmt

.PHONY: image
image: $(IMAGE_BINARIES) ## write bin/annex-image.tar, an OCI archive for amd64 and arm64; needs no container engine
	@$(GO) run ./test/tools/image -version "$(VERSION)" -license LICENSE -out bin/annex-image.tar $^

# Static, the same bytes in whatever folder they are built, and stamped with their commit whatever GOFLAGS says: image and release
# take time and revision from there. A platform not built before takes some minutes.
.PHONY: $(RELEASE_BINARIES)
$(RELEASE_BINARIES): bin/%:
	@CGO_ENABLED=0 GOOS=$(firstword $(subst -, ,$*)) GOARCH=$(notdir $(subst -,/,$(patsubst %/,%,$(dir $*)))) GO="$(GO)" \
		test/tools/build.sh -trimpath -buildvcs=auto -ldflags "-s -w $(LDFLAGS)" -o $@ ./cmd/$(notdir $@)

.PHONY: chart
chart: bin/helm ## write bin/annex-chart.tgz, the Helm chart as a package
	@mkdir -p bin/chart && bin/helm package charts/annex --destination bin/chart >/dev/null && mv bin/chart/annex-*.tgz bin/annex-chart.tgz

# SIGNING_KEY is a file with a private key (Ed25519 or ECDSA P-256, PEM), RELEASE_URL where the files will be, BUILDER_ID the URI of who builds.
.PHONY: release
release: bin/helm ## write a release into bin/release: make release VERSION=v0.1.0 [SIGNING_KEY=file] [RELEASE_URL=url] [BUILDER_ID=uri]
	@test -d .git || { echo "make release: use a clone: into what it builds elsewhere, also in a linked worktree, Go stamps no commit"; exit 1; } >&2
	@test -z "$$(git status --porcelain)" || { echo "make release: a release says of which commit it is. Commit or remove these files first:"; git status --short; exit 1; } >&2
	@echo "building $(RELEASE_VERSION) for $(PLATFORMS); about 6 minutes of two processors for each platform that was not built before"
	@$(MAKE) --no-print-directory VERSION=$(RELEASE_VERSION) $(RELEASE_BINARIES) image
	@rm -rf bin/chart && mkdir -p bin/chart
	@bin/helm package charts/annex --version $(RELEASE_VERSION:v%=%) --app-version $(RELEASE_VERSION:v%=%) --destination bin/chart >/dev/null
	@$(GO) run ./test/tools/release -version $(RELEASE_VERSION) -chart bin/chart/annex-$(RELEASE_VERSION:v%=%).tgz \
		-signing-key "$(SIGNING_KEY)" -url "$(RELEASE_URL)" -builder "$(BUILDER_ID)" $(RELEASE_BINARIES)

.PHONY: verify
verify: verify-format verify-lint verify-tidy verify-generate verify-vulnerabilities ## check all that CI checks, changing nothing

.PHONY: verify-format
verify-format: bin/golangci-lint ## check the format; make fmt mends it
	@bin/golangci-lint fmt --diff

.PHONY: verify-lint
verify-lint: bin/golangci-lint ## run the linters
	@bin/golangci-lint run --allow-parallel-runners $(MODULES:%=./%/...)

.PHONY: verify-tidy
verify-tidy: ## check that each go.mod and go.sum is tidy, and that they agree; make tidy mends it
	@for module in $(MODULES) codegen; do (cd $$module && $(GO) mod tidy -diff) || exit 1; done
	@$(GO) test ./test/lint -run TestModules

.PHONY: tidy
tidy: ## bring each go.mod and go.sum up to date
	@for module in apis generated client examples codegen .; do (cd $$module && $(GO) mod tidy) || exit 1; done

.PHONY: verify-generate
verify-generate: bin/annex ## check that generated code is current; make generate mends it
	@test/tools/codegen/verify.sh
	@$(GO) test ./test/reference

# GOVULNDB is a directory or URL with another database than that of the Go module.
.PHONY: verify-vulnerabilities
verify-vulnerabilities: bin/annex bin/kubectl-annex bin/govulncheck ## search the programs for known vulnerabilities of Go modules
	@$(GO) run ./test/tools/vulnerabilities -db "$(GOVULNDB)" -module $(VULNDB) bin/annex bin/kubectl-annex
