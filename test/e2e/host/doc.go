// Package host tests Annex behind the aggregator of a real kube-apiserver, as a user of that cluster sees it.
package host
