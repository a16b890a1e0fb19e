package replicas

import (
	"flag"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/interleaving"
)

var (
	interleavings = flag.Int("interleavings", 8, "how many random interleavings are tried")
	firstSeed     = flag.Uint64("first-seed", 1001, "the seed of the first of them")
)

// A request goes to one replica, and what its object belongs to is deleted at another.
func TestInterleavings_LeaveNothingBehind(t *testing.T) {
	all := make([]*annex.Server, replicas)
	for i := range all {
		all[i] = theWorld.replicas[i].For(t)
	}
	check := func(tb testing.TB) { all[0].CheckData(tb, theWorld.etcd.urls()...) }
	interleaving.Config{Servers: all, Check: check}.Run(t, *firstSeed, *interleavings)
}
