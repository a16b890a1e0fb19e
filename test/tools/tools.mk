# Rules for the programs that tests and checks need, all built from source into
# bin/. The Makefile at the root includes this file, so CURDIR is the root.
#
# A program is built again when the go.mod or go.sum of its module changes; that
# is where its version is pinned, and nowhere else.

GO ?= go

# $(call go-tool,FOLDER OF MODULE,PACKAGE,HOW LONG,LINKER FLAGS) builds $@.
# The touch is for a build that finds nothing to do and leaves the old time. None of these modules is in go.work.
define go-tool
@echo "building $@ from $(2) ($(3))"
@mkdir -p $(@D)
@cd $(1) && GOWORK=off CGO_ENABLED=0 $(GO) build -ldflags "-s -w $(4)" -o $(CURDIR)/$@ $(2)
@touch $@
endef

# The version of module $(2) that the module in folder $(1) pins.
module-version = $(shell cd $(1) && GOWORK=off $(GO) list -m -f '{{.Version}}' $(2))

# Kubernetes stamps its release into two packages at link time; without that it
# calls itself v0.0.0, which clients refuse to parse. Expanded only when a rule
# runs.
kubernetes-version = $(call module-version,test/host,k8s.io/kubernetes)
kubernetes-stamps = $(call stamp-kubernetes,$(kubernetes-version))
stamp-kubernetes = $(foreach package,k8s.io/component-base/version k8s.io/client-go/pkg/version,\
	-X $(package).gitVersion=$(1) -X $(package).gitMajor=1 -X $(package).gitMinor=$(word 2,$(subst ., ,$(1))))

bin/kube-apiserver: test/host/go.mod test/host/go.sum
	$(call go-tool,test/host,k8s.io/kubernetes/cmd/kube-apiserver,6 to 10 minutes on two cores the first time,$(kubernetes-stamps))

# The same at the release of our libraries, for the tests that compare a workspace with it. Most of it is other code than the one above.
bin/kube-apiserver-1.37: test/parity/upstream/go.mod test/parity/upstream/go.sum
	$(call go-tool,test/parity/upstream,k8s.io/kubernetes/cmd/kube-apiserver,6 to 10 minutes on two cores the first time,\
		$(call stamp-kubernetes,$(call module-version,test/parity/upstream,k8s.io/kubernetes)))

bin/kube-controller-manager: test/host/go.mod test/host/go.sum
	$(call go-tool,test/host,k8s.io/kubernetes/cmd/kube-controller-manager,3 minutes after kube-apiserver,$(kubernetes-stamps))

bin/kubectl: test/host/go.mod test/host/go.sum
	$(call go-tool,test/host,k8s.io/kubernetes/cmd/kubectl,half a minute after kube-apiserver; 4 minutes without,$(kubernetes-stamps))

bin/helm: test/tools/helm/go.mod test/tools/helm/go.sum
	$(call go-tool,test/tools/helm,helm.sh/helm/v4/cmd/helm,about 3 minutes the first time,\
		-X helm.sh/helm/v4/internal/version.version=$(call module-version,test/tools/helm,helm.sh/helm/v4))

# The controllers of other projects that tests run against a workspace. Most of it is what kube-apiserver-1.37 is made of.
bin/ecosystem-controllers: $(wildcard test/e2e/ecosystem/controllers/*)
	$(call go-tool,test/e2e/ecosystem/controllers,.,about a minute after kube-apiserver-1.37; 4 to 6 minutes without)

# The linter takes its version from the main module of the build, which is ours,
# unless a date is set.
bin/golangci-lint: test/tools/golangci-lint/go.mod test/tools/golangci-lint/go.sum
	$(call go-tool,test/tools/golangci-lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,about 3 minutes the first time,\
		-X main.date=unknown -X main.version=$(patsubst v%,%,$(call module-version,test/tools/golangci-lint,github.com/golangci/golangci-lint/v2)))

# The database of vulnerabilities as it was when this version was made. A newer one finds more; it needs no other change.
VULNDB ?= golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018

bin/govulncheck: test/tools/govulncheck/go.mod test/tools/govulncheck/go.sum
	$(call go-tool,test/tools/govulncheck,golang.org/x/vuln/cmd/govulncheck,about a minute the first time)

# A folder, not a program. It is empty on a machine that has PostgreSQL.
bin/postgresql: test/tools/postgresql.sh
	@test/tools/postgresql.sh
	@touch $@
