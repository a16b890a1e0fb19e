// Package nicetest tells tests whether work gives way to others: see registry/nice.
package nicetest
