// Module crds pins the projects whose CustomResourceDefinitions Annex must serve: ../framework/projects takes the files from these
// modules. It is a module of its own, without code, so that nobody who imports Annex inherits a dependency. To take another release, change
// the version here and run `go mod download` with its path and version in this folder; do not tidy, nothing imports these.
module github.com/annex-dev/annex/test/crds

go 1.26.0

require (
	github.com/argoproj/argo-cd/v2 v2.14.21
	github.com/cert-manager/cert-manager v1.21.2
	github.com/cert-manager/trust-manager v0.25.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
	knative.dev/serving v0.51.0
	sigs.k8s.io/cluster-api v1.14.2
	sigs.k8s.io/gateway-api v1.5.0
)
