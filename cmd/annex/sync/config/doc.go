// Package config is the configuration file of `annex sync`: its types, how it is read, its defaults, and every fault in it.
//
//	types.go     the types
//	load.go      reading and defaults
//	validate.go  faults, each with the path of its field
//
// The file is read strictly: a field that does not exist is a fault. All parts of `annex sync` take their settings from these types.
package config
