package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// compares is how many keys the transaction that creates an object compares: the object, the meter of its cluster, and up to three
	// owners (registry/storage/owners).
	compares = 5
	// commitAttempts is how often a commit is measured, and commitBudget for how long. The shortest one counts.
	commitAttempts, commitBudget = 3, time.Second
	// slowCommit is the time from which a commit is slow. It is the one from which etcd itself logs a request as slow, and its default
	// interval between two heartbeats of the leader. A new workspace takes a dozen commits.
	slowCommit = 100 * time.Millisecond
	// progressPatience is how long a store may take to open a watch and to notify it of its progress, which etcd does at once.
	progressPatience = 3 * time.Second
	// watchAttempts is how many watches are tried: the member that has the first one may have stopped meanwhile.
	watchAttempts = 2
)

// Report is what Probe has seen of a store that has everything that Annex needs.
type Report struct {
	// Version is that of the oldest member that has answered.
	Version string
	// Commit is the time that a commit takes; 0 if the store takes no writes now.
	Commit time.Duration
	// Warnings say, one line each, what is wrong with the store and what to do.
	Warnings []string
}

// LackError says that Annex cannot use a store, because it is no etcd, an old one, or one that is restricted.
type LackError struct {
	Endpoints []string
	// Lack is what is missing, Remedy what to do.
	Lack, Remedy string
}

// Error implements error. It is one line for the operator.
func (e *LackError) Error() string {
	return fmt.Sprintf("the store at %s cannot be used: %s; %s", strings.Join(e.Endpoints, ", "), e.Lack, e.Remedy)
}

// Probe finds out whether a store has what Annex needs of etcd, and how it is. A *LackError says that it never will; any other error
// that it does not answer now. Probe changes nothing: its transactions have conditions that do not hold. Their keys begin with prefix.
// operations is how many reads the largest transaction of Annex has.
func Probe(ctx context.Context, client *clientv3.Client, prefix string, operations int) (Report, error) {
	return (&prober{
		client: client, prefix: prefix, operations: operations, patience: progressPatience, slow: slowCommit,
	}).probe(ctx)
}

type prober struct {
	client         *clientv3.Client
	prefix         string
	operations     int
	patience, slow time.Duration
}

func (p *prober) probe(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Whoever is not reached, or not allowed to read, learns nothing about the store.
	now, err := p.client.Get(ctx, p.key(0))
	if err != nil {
		return Report{}, fmt.Errorf("reading from etcd: %w", err)
	}
	answers := make(chan []answer, 1)
	go func() { answers <- p.askMembers(ctx) }()
	if err := p.checkTransactions(ctx); err != nil {
		return Report{}, err
	}
	commit, alarm, err := p.commit(ctx)
	if err != nil {
		return Report{}, err
	}
	for attempt := 1; ; attempt++ {
		if err := p.checkWatch(ctx, now.Header.Revision); err == nil {
			break
		} else if attempt == watchAttempts {
			return Report{}, err
		}
	}
	report, err := p.judge(<-answers, alarm)
	if report.Commit = commit; commit >= p.slow {
		report.Warnings = append(report.Warnings, fmt.Sprintf(
			"a commit in etcd takes %s, which makes every write slow: give etcd a faster disk, or less distance between its members, until it takes less than %s",
			commit.Round(time.Millisecond), p.slow))
	}
	return report, err
}

// checkTransactions looks whether conditions are taken, and whether all of them count. It only reads.
func (p *prober) checkTransactions(ctx context.Context) error {
	for _, holds := range []bool{true, false} {
		last := clientv3.Compare(clientv3.CreateRevision(p.key(compares-1)), "=", 0)
		if !holds {
			last = clientv3.Compare(clientv3.Value(p.key(compares-1)), "=", "never")
		}
		var conditions []clientv3.Cmp
		for i := range compares - 1 {
			conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(p.key(i)), "=", 0))
		}
		resp, err := p.client.Txn(ctx).If(append(conditions, last)...).Then(p.reads(p.operations)...).Else(p.reads(2)...).Commit()
		switch {
		case errors.Is(err, rpctypes.ErrTooManyOps):
			return p.lack(fmt.Sprintf("it does not take %d reads in a transaction", p.operations), "start etcd with --max-txn-ops=128, which is the default")
		case refuses(err):
			return p.lack(fmt.Sprintf("it does not take transactions with several compares (%s)", rpctypes.ErrorDesc(err)), useEtcd)
		case err != nil:
			return fmt.Errorf("trying a transaction: %w", err)
		case resp.Succeeded != holds || holds && len(resp.Responses) != p.operations || !holds && len(resp.Responses) != 2:
			return p.lack("it does not decide by all compares of a transaction", useEtcd)
		}
	}
	return nil
}

// commit measures how long the members need to agree on a transaction and to store it. They do so before they look at its conditions,
// none of which holds, so that the transaction does not write. If the store takes no writes because of an alarm, commit returns that.
func (p *prober) commit(ctx context.Context) (fastest time.Duration, alarm error, err error) {
	var never []clientv3.Cmp
	for i := range compares {
		never = append(never, clientv3.Compare(clientv3.ModRevision(p.key(i)), "<", 0))
	}
	began := time.Now()
	for attempt := range commitAttempts {
		start := time.Now()
		resp, err := p.client.Txn(ctx).If(never...).
			Then(clientv3.OpPut(p.key(0), ""), clientv3.OpDelete(p.key(1))).
			Else(p.reads(2)...).Commit()
		took := time.Since(start)
		switch {
		case errors.Is(err, rpctypes.ErrNoSpace), errors.Is(err, rpctypes.ErrCorrupt):
			return 0, err, nil
		case refuses(err):
			return 0, nil, p.lack(fmt.Sprintf("it does not take transactions that write one key and delete another (%s)", rpctypes.ErrorDesc(err)), useEtcd)
		case err != nil:
			return 0, nil, fmt.Errorf("trying a transaction: %w", err)
		case resp.Succeeded:
			return 0, nil, p.lack("it commits a transaction whose compares do not hold", useEtcd)
		}
		if attempt == 0 || took < fastest {
			fastest = took
		}
		if fastest < p.slow || time.Since(began) > commitBudget {
			break
		}
	}
	return fastest, nil, nil
}

// key returns one of the keys that the probe names. Nobody writes them.
func (p *prober) key(i int) string { return p.prefix + "/probe-" + strconv.Itoa(i) }

func (p *prober) reads(n int) []clientv3.Op {
	ops := make([]clientv3.Op, n)
	for i := range ops {
		ops[i] = clientv3.OpGet(p.key(i), clientv3.WithKeysOnly())
	}
	return ops
}

// lack returns the error that says what is missing and what to do about it.
func (p *prober) lack(lack, remedy string) error {
	return &LackError{Endpoints: p.client.Endpoints(), Lack: lack, Remedy: remedy}
}

// refuses reports whether err is the answer of a store that does not know the request; at another time it will not know it either.
func refuses(err error) bool {
	code := codes.OK
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		code = known.Code()
	} else if s, ok := status.FromError(err); ok {
		code = s.Code()
	}
	return code == codes.Unimplemented || code == codes.InvalidArgument || code == codes.Unknown
}
