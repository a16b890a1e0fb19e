// Package validation checks which objects of topology.kcp.io are valid, as far as the object alone tells.
package validation
