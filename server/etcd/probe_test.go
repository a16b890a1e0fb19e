package etcd

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/annex-dev/annex/test/framework/lacking"
)

// testOperations is as many as registry/storage needs.
const testOperations = 100

// newProber returns a prober of the store at url that takes no commit for slow.
func newProber(t *testing.T, url string) *prober {
	t.Helper()
	client, err := NewClient(Endpoints{URLs: []string{url}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &prober{client: client.Client, prefix: "/annex", operations: testOperations, patience: 20 * time.Second, slow: time.Hour}
}

// state returns the revision and the number of keys of an etcd.
func state(t *testing.T, client *clientv3.Client) [2]int64 {
	t.Helper()
	resp, err := client.Get(t.Context(), "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return [2]int64{resp.Header.Revision, resp.Count}
}

func TestProbe_EtcdHasEverything(t *testing.T) {
	p := newProber(t, startEmbedded(t).endpoint)
	before := state(t, p.client)
	var replicas sync.WaitGroup
	for range 8 {
		replicas.Go(func() {
			report, err := p.probe(t.Context())
			if err != nil || report.Commit == 0 || !strings.HasPrefix(report.Version, "3.") || len(report.Warnings) > 0 {
				t.Errorf("report %+v, error %v", report, err)
			}
		})
	}
	replicas.Wait()
	if after := state(t, p.client); after != before {
		t.Errorf("revision and keys were %d and are %d", before, after)
	}
}

// While a watch waits for a revision to come, etcd does not answer any other on its stream: the watch caches do so after a list.
func TestProbe_DoesNotMindOtherWatches(t *testing.T) {
	p := newProber(t, startEmbedded(t).endpoint)
	ahead := state(t, p.client)[0] + 1
	if created := <-p.client.Watch(clientv3.WithRequireLeader(t.Context()), "/annex", clientv3.WithRev(ahead), clientv3.WithCreatedNotify()); !created.Created {
		t.Fatalf("the watch is not open: %v", created.Err())
	}
	if _, err := p.probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestProbe_RefusesWhatIsNoEtcd(t *testing.T) {
	embedded := startEmbedded(t)
	etcd := newProber(t, embedded.endpoint).client
	for name, tc := range map[string]struct {
		store *lacking.Store
		want  string
	}{
		"kine":        {lacking.Kine(), "does not take transactions with several compares (etcdserver: unsupported operations in txn request); use etcd"},
		"no progress": {&lacking.Store{NoProgress: true}, "its watches do not notify of progress when asked"},
		"no watches":  {&lacking.Store{NoWatch: true}, "it does not open a watch (unknown service"},
		"one compare decides": {&lacking.Store{Txn: func(txn *pb.TxnRequest) error {
			txn.Compare = txn.Compare[:1]
			return nil
		}}, "does not decide by all compares"},
		"nothing is read instead": {&lacking.Store{Txn: func(txn *pb.TxnRequest) error {
			txn.Failure = nil
			return nil
		}}, "does not decide by all compares"},
		"one write in a transaction": {&lacking.Store{Txn: func(txn *pb.TxnRequest) error {
			if len(txn.Success) == 2 {
				return status.Error(codes.Unknown, "one at a time")
			}
			return nil
		}}, "does not take transactions that write one key and delete another (one at a time)"},
		"small transactions": {&lacking.Store{Txn: func(txn *pb.TxnRequest) error {
			if len(txn.Success) > 64 {
				return rpctypes.ErrGRPCTooManyOps
			}
			return nil
		}}, "does not take 100 reads in a transaction; start etcd with --max-txn-ops=128"},
		"an old etcd": {&lacking.Store{Status: func(s *pb.StatusResponse) error { s.Version = "3.5.12"; return nil }},
			"is etcd 3.5.12, where notifications of progress can overtake events; use etcd 3.5.13 or later"},
		"a very old etcd": {&lacking.Store{Status: func(s *pb.StatusResponse) error { s.Version = "3.3.27"; return nil }}, "is etcd 3.3.27,"},
		"no version":      {&lacking.Store{Status: func(s *pb.StatusResponse) error { s.Version = ""; return nil }}, "does not say which version"},
		"no status": {&lacking.Store{Status: func(*pb.StatusResponse) error {
			return status.Error(codes.Unimplemented, "unknown method Status")
		}}, "does not say which version of etcd it is (unknown method Status)"},
	} {
		t.Run(name, func(t *testing.T) {
			url := tc.store.Start(t, embedded.endpoint)
			before := state(t, etcd)
			p := newProber(t, url)
			if tc.store.NoProgress {
				p.patience = 2 * askAgain // but that is long enough for none of the others
			}
			_, err := p.probe(t.Context())
			var lack *LackError
			if !errors.As(err, &lack) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), url) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %v, want %q", err, tc.want)
			}
			if after := state(t, etcd); after != before {
				t.Errorf("revision and keys were %d and are %d", before, after)
			}
		})
	}
}

func TestProbe_WarnsOfASlowCommit(t *testing.T) {
	const delay = 20 * time.Millisecond
	p := newProber(t, (&lacking.Store{Delay: delay}).Start(t, startEmbedded(t).endpoint))
	p.slow = delay
	report, err := p.probe(t.Context())
	if err != nil || report.Commit < delay || len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "faster disk") {
		t.Errorf("report %+v, error %v", report, err)
	}
}

func TestProbe_WarnsOfAlarms(t *testing.T) {
	for alarm, want := range map[pb.AlarmType]string{pb.AlarmType_NOSPACE: "defragment etcd", pb.AlarmType_CORRUPT: "restore a backup"} {
		t.Run(alarm.String(), func(t *testing.T) {
			p := newProber(t, startEmbedded(t).endpoint)
			set := func(action pb.AlarmRequest_AlarmAction) {
				t.Helper()
				if _, err := pb.NewMaintenanceClient(p.client.ActiveConnection()).Alarm(t.Context(), &pb.AlarmRequest{Action: action, Alarm: alarm, MemberID: 1}); err != nil {
					t.Fatal(err)
				}
			}
			set(pb.AlarmRequest_ACTIVATE)
			report, err := p.probe(t.Context())
			if err != nil || report.Commit != 0 || len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], alarm.String()) || !strings.Contains(report.Warnings[0], want) {
				t.Errorf("report %+v, error %v", report, err)
			}
			set(pb.AlarmRequest_DEACTIVATE)
			if report, err := p.probe(t.Context()); err != nil || len(report.Warnings) > 0 {
				t.Errorf("when it is off: report %+v, error %v", report, err)
			}
		})
	}
}

// A store that does not answer now may do so later: that is not held against it.
func TestProbe_DoesNotRefuseWhatDoesNotAnswer(t *testing.T) {
	embedded := startEmbedded(t)
	for name, store := range map[string]*lacking.Store{
		"no leader":     {Txn: func(*pb.TxnRequest) error { return rpctypes.ErrGRPCNoLeader }},
		"no permission": {Txn: func(*pb.TxnRequest) error { return rpctypes.ErrGRPCPermissionDenied }},
		"a slow one":    {Txn: func(*pb.TxnRequest) error { return status.Error(codes.DeadlineExceeded, "too late") }},
		"no status":     {Status: func(*pb.StatusResponse) error { return status.Error(codes.ResourceExhausted, "busy") }},
	} {
		t.Run(name, func(t *testing.T) {
			var lack *LackError
			if _, err := newProber(t, store.Start(t, embedded.endpoint)).probe(t.Context()); err == nil || errors.As(err, &lack) {
				t.Errorf("error = %v", err)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var lack *LackError
		if _, err := newProber(t, "http://127.0.0.1:1").probe(ctx); err == nil || errors.As(err, &lack) {
			t.Errorf("error = %v", err)
		}
	})
}
