// Package e2e does what users do: it runs bin/annex and types into a real kubectl and helm.
package e2e
