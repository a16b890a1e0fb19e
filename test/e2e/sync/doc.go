// Package sync runs `annex sync` between a real host cluster, where the controllers of cert-manager and trust-manager run as they are, and the
// workspaces of two consumers who call everything alike. The agent has the rights that charts/annex-sync gives it for examples/sync and goes through the host.
package sync
