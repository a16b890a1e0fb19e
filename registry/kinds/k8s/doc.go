// Package k8s adds to a scheme what k8s.io/api leaves to servers: the defaults of its kinds, the fields that selectors may name,
// and the conversion between the two kinds of Event. The table of registry/kinds names its functions; nobody else needs them.
package k8s
