// Package events is the REST storage of events.k8s.io. It serves the very events of the core group, through their store,
// under the names that events.k8s.io has for their fields; registry/kinds/k8s converts.
package events
