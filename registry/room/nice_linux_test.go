package room

import (
	"testing"

	"github.com/annex-dev/annex/registry/nice/nicetest"
)

func TestLarge_GivesWay(t *testing.T) {
	for size, want := range map[int]bool{largeBytes - 1: false, largeBytes: true} {
		Large(size, func() {
			if got := nicetest.GivesWay(t); got != want {
				t.Errorf("work of %d bytes gives way: %t", size, got)
			}
		})
	}
}
