// Package v1 has the API that the database operator offers: a Database is a database in a PostgreSQL server that the provider runs.
//
// +k8s:deepcopy-gen=package
package v1
