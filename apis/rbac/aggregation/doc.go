// Package aggregation computes the rules of ClusterRoles that aggregate other ClusterRoles. It is pure. The server uses it
// for the roles that it creates at start, and a controller uses it for the roles of users.
package aggregation
