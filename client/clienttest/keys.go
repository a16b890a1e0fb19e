package clienttest

import (
	"testing"

	"github.com/annex-dev/annex/client"
)

// Keys returns what takes the result of a mapping of events to keys, and fails the test if that is an error.
func Keys(tb testing.TB) func([]client.Key, error) []client.Key {
	tb.Helper()
	return func(keys []client.Key, err error) []client.Key {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return keys
	}
}
