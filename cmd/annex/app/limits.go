package app

import (
	"runtime"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/memory"
)

// LimitOptions are the flags that limit how much the server serves at once. 0 means no limit.
type LimitOptions struct {
	// MaxRequests and MaxMutatingRequests limit the reads and the writes in flight in the whole server.
	MaxRequests, MaxMutatingRequests int
	// WorkspaceSeats limits the requests served at once for one workspace while other workspaces are active.
	WorkspaceSeats int
	// MaxQueued limits the waiting requests.
	MaxQueued int
	// MaxWatches limits the open watches.
	MaxWatches int
	// MaxRefusals limits the refusals (401, 403) of one origin in a second.
	MaxRefusals int
	// MaxObjects and MaxBytes limit what a workspace stores.
	MaxObjects int
	MaxBytes   resource.QuantityValue
}

// NewLimitOptions returns the defaults. The seats of a workspace depend on the number of processors: a workspace that floods the
// server keeps half of the processors busy, and the other half is free for other workspaces.
func NewLimitOptions() *LimitOptions {
	return &LimitOptions{
		MaxRequests:         1600,
		MaxMutatingRequests: 800,
		WorkspaceSeats:      max(1, runtime.GOMAXPROCS(0)/2),
		MaxQueued:           2000,
		MaxWatches:          50000,
		MaxRefusals:         50,
		MaxBytes:            resource.QuantityValue{Quantity: *resource.NewQuantity(0, resource.BinarySI)},
	}
}

// limitFlag is one of the flags.
type limitFlag struct {
	name, usage string
	value       *int
}

func (l *LimitOptions) flags() []limitFlag {
	return []limitFlag{
		{"max-requests-inflight", "Maximum number of reads in flight. A workspace may use as many as remain free; further requests get 429.", &l.MaxRequests},
		{"max-mutating-requests-inflight", "Maximum number of writes in flight. A workspace may use as many as remain free; further requests get 429.", &l.MaxMutatingRequests},
		{"workspace-seats", "Requests served at once for one workspace while other workspaces are active. If no other workspace is active, it has 16 times as many. A request for many objects counts as 4. Further requests wait, and users take turns. The default is half the number of processors, and at least 1.", &l.WorkspaceSeats},
		{"max-requests-queued", "Maximum number of waiting requests. A request waits for at most a quarter of --request-timeout. A workspace may use as many as remain free; further requests get 429.", &l.MaxQueued},
		{"max-watches", "Maximum number of open watches. A workspace may use as many as remain free; further requests get 429.", &l.MaxWatches},
		{"max-refusals-per-second", "Maximum number of requests a second, in the long run, that may be refused with 401 or 403 for one user, or for one address that sends no valid credentials. Ten times as many may be refused at once. Further requests of the same origin get 429.", &l.MaxRefusals},
		{"max-objects-per-workspace", "Maximum number of objects that a workspace stores, unless an annotation of its LogicalCluster or its WorkspaceType says otherwise. The root workspace has no limit. Further objects are refused with 403. With --etcd-servers-overrides, the limit applies in each etcd cluster separately.", &l.MaxObjects},
	}
}

// AddFlags adds a flag for every option.
func (l *LimitOptions) AddFlags(fs *pflag.FlagSet) {
	for _, flag := range l.flags() {
		fs.IntVar(flag.value, flag.name, *flag.value, flag.usage+" 0 means no limit.")
	}
	fs.Var(&l.MaxBytes, "max-bytes-per-workspace", "Maximum size of the objects that a workspace stores, in bytes as they are stored, for example 100Mi, in the same way. 0 means no limit.")
}

// stored returns the default limits of what a workspace stores.
func (l *LimitOptions) stored() limits.Limits {
	return limits.Limits{Objects: int64(l.MaxObjects), Bytes: l.MaxBytes.Value()}
}

// config returns the limits for the server.
func (l *LimitOptions) config(requestTimeout time.Duration, memoryBudget int64) fairness.Config {
	return fairness.Config{
		Reads:   l.MaxRequests,
		Writes:  l.MaxMutatingRequests,
		Seats:   l.WorkspaceSeats,
		Waiting: l.MaxQueued,
		Wait:    requestTimeout / 4,
		Watches: l.MaxWatches,
		Answers: memory.Answers(memoryBudget),
	}
}
