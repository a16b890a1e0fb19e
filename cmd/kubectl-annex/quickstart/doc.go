// Package quickstart builds workspaces to try things in: a provider of an API with a consumer, or a random tree. Everything is below one
// workspace, so that removing it removes all. Building it again builds what is missing.
//
//	quickstart.go    what both scenarios share
//	provider.go      the scenario api-provider, with the manifests in manifests/
//	tree.go          the scenario workspaces
package quickstart
