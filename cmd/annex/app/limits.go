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
	// MaxWorkspaceRequests and MaxWorkspaceMutatingRequests are for each workspace.
	MaxWorkspaceRequests, MaxWorkspaceMutatingRequests int
	// MaxQueued is how many requests may wait, reads and writes apart.
	MaxQueued int
	// MaxWatches is how many watches may be open.
	MaxWatches int
}

// NewLimitOptions returns the defaults. Those for each workspace follow from the processors that there are: a workspace that
// keeps them all busy would be in everybody's way.
func NewLimitOptions() *LimitOptions {
	seats := 2 * max(2, runtime.GOMAXPROCS(0))
	return &LimitOptions{
		MaxRequests:                  1600,
		MaxMutatingRequests:          800,
		MaxWorkspaceRequests:         seats,
		MaxWorkspaceMutatingRequests: 2 * seats,
		MaxQueued:                    2000,
		MaxWatches:                   50000,
	}
}

// limitFlag is one of the flags.
type limitFlag struct {
	name, usage string
	value       *int
}

func (l *LimitOptions) flags() []limitFlag {
	return []limitFlag{
		{"max-requests-inflight", "Reads served at once. More wait for their turn; workspaces take turns.", &l.MaxRequests},
		{"max-mutating-requests-inflight", "Writes served at once. More wait for their turn; workspaces take turns.", &l.MaxMutatingRequests},
		{"max-workspace-requests-inflight", "Reads served at once for one workspace; one that works on many objects counts as 4. More wait for their turn; users take turns. The default follows from the number of processors.", &l.MaxWorkspaceRequests},
		{"max-workspace-mutating-requests-inflight", "Writes served at once for one workspace, likewise.", &l.MaxWorkspaceMutatingRequests},
		{"max-requests-queued", "Reads, and writes, that may wait for their turn, for up to a quarter of --request-timeout. A workspace may have as many as there is room for more; others are answered with 429.", &l.MaxQueued},
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
		Reads:      l.MaxRequests,
		Writes:     l.MaxMutatingRequests,
		ReadSeats:  l.MaxWorkspaceRequests,
		WriteSeats: l.MaxWorkspaceMutatingRequests,
		Waiting:    l.MaxQueued,
		Wait:       requestTimeout / 4,
		Watches:    l.MaxWatches,
	}
}
