package integration

import (
	"flag"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/interleaving"
)

var (
	interleavings = flag.Int("interleavings", 20, "how many random interleavings are tried")
	firstSeed     = flag.Uint64("first-seed", 1, "the seed of the first of them")
)

func TestInterleavings_OfProvidersAndConsumers(t *testing.T) {
	s := startOne(t, roomy)
	interleaving.Config{Servers: []*annex.Server{s}, Check: func(tb testing.TB) { s.CheckData(tb) }}.RunSharing(t, *firstSeed, *interleavings)
}

func TestInterleavings_LeaveNothingBehind(t *testing.T) {
	s := startOne(t, roomy)
	interleaving.Config{Servers: []*annex.Server{s}, Check: func(tb testing.TB) { s.CheckData(tb) }}.Run(t, *firstSeed, *interleavings)
}

func TestInterleavings_OfInitializersAndTerminators(t *testing.T) {
	s := startOne(t, roomy)
	interleaving.Config{Servers: []*annex.Server{s}, Check: func(tb testing.TB) { s.CheckData(tb) }}.RunStages(t, *firstSeed, *interleavings/2)
}
