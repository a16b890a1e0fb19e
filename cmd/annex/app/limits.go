package app

import (
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/annex-dev/annex/server/fairness"
)

// LimitOptions are the flags that say how much is served at once; 0 is for no limit.
type LimitOptions struct {
	// MaxRequests and MaxMutatingRequests are for the whole server.
	MaxRequests, MaxMutatingRequests int
	// WorkspaceSeats is how much of it a workspace has while others work, too.
	WorkspaceSeats int
	// MaxQueued is how many requests may wait.
	MaxQueued int
	// MaxWatches is how many watches may be open.
	MaxWatches int
}

// NewLimitOptions returns the defaults. The seats of a workspace follow from the processors that there are: one that floods the
// server keeps half of them busy, and others find the other half free.
func NewLimitOptions() *LimitOptions {
	return &LimitOptions{
		MaxRequests:         1600,
		MaxMutatingRequests: 800,
		WorkspaceSeats:      max(1, runtime.GOMAXPROCS(0)/2),
		MaxQueued:           2000,
		MaxWatches:          50000,
	}
}

// limitFlag is one of the flags.
type limitFlag struct {
	name, usage string
	value       *int
}

func (l *LimitOptions) flags() []limitFlag {
	return []limitFlag{
		{"max-requests-inflight", "Reads in flight at once. A workspace may have as many as there is room for more; others are answered with 429.", &l.MaxRequests},
		{"max-mutating-requests-inflight", "Writes in flight at once, in the same way.", &l.MaxMutatingRequests},
		{"workspace-seats", "Requests that are served at once for one workspace while others work, too; alone it has 16 times as many. One that works on many objects counts as 4. More wait for their turn; users take turns. The default is half the number of processors, and at least 1.", &l.WorkspaceSeats},
		{"max-requests-queued", "Requests that may wait for their turn, for up to a quarter of --request-timeout. A workspace may have as many as there is room for more; others are answered with 429.", &l.MaxQueued},
		{"max-watches", "Watches open at once. A workspace may have as many as there is room for more; others are answered with 429.", &l.MaxWatches},
	}
}

// AddFlags adds a flag for every option.
func (l *LimitOptions) AddFlags(fs *pflag.FlagSet) {
	for _, flag := range l.flags() {
		fs.IntVar(flag.value, flag.name, *flag.value, flag.usage+" 0 is for no limit.")
	}
}

// config returns the limits for the server.
func (l *LimitOptions) config(requestTimeout time.Duration) fairness.Config {
	return fairness.Config{
		Reads:   l.MaxRequests,
		Writes:  l.MaxMutatingRequests,
		Seats:   l.WorkspaceSeats,
		Waiting: l.MaxQueued,
		Wait:    requestTimeout / 4,
		Watches: l.MaxWatches,
	}
}
