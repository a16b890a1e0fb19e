// Package coordination is the REST storage of coordination.k8s.io: leases.
package coordination
