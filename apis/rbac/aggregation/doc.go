// Package aggregation computes the rules of ClusterRoles that consist of other ClusterRoles. It is pure: the server uses it
// for the roles that it makes at start, a controller for those of users.
package aggregation
