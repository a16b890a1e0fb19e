package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/annex-dev/annex/test/framework/crowd"
)

const (
	// keysAtATime bounds one answer of etcd.
	keysAtATime = 10_000
	// keysInterval is how often etcd is asked whether keys are gone.
	keysInterval = time.Second
	// shownKeys is how many keys that are left are logged.
	shownKeys = 20
)

// database is the state of an embedded etcd; all 0 if it is not known.
type database struct {
	keys        float64
	size, inUse float64 // in bytes
}

// etcd returns a client of the embedded etcd, which the caller closes. It is nil if
// etcd has no socket where Annex puts it.
func (s *server) etcd() (*clientv3.Client, error) {
	sockets, err := filepath.Glob(filepath.Join(s.dir, "etcd-server", "member", "*.sock"))
	if err != nil || len(sockets) == 0 {
		return nil, err
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + sockets[0]}, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("connecting to the embedded etcd: %w", err)
	}
	return client, nil
}

func (s *server) database(ctx context.Context) (database, error) {
	client, err := s.etcd()
	if client == nil || err != nil {
		return database{}, err
	}
	defer client.Close()
	answer, err := client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		return database{}, fmt.Errorf("counting the keys of the embedded etcd: %w", err)
	}
	status, err := client.Status(ctx, client.Endpoints()[0])
	if err != nil {
		return database{}, fmt.Errorf("reading the size of the embedded etcd: %w", err)
	}
	return database{float64(answer.Count), float64(status.DbSize), float64(status.DbSizeInUse)}, nil
}

// keys returns the keys of objects in the embedded etcd, except for those of events
// and leases, which come and go by themselves. It is nil if etcd cannot be read.
func (s *server) keys(ctx context.Context) (map[string]bool, error) {
	client, err := s.etcd()
	if client == nil || err != nil {
		return nil, err
	}
	defer client.Close()
	keys := map[string]bool{}
	// What does not begin with a slash is a note of whoever compacts etcd.
	for next := "/"; ; {
		answer, err := client.Get(ctx, next, clientv3.WithRange(clientv3.GetPrefixRangeEnd("/")), clientv3.WithKeysOnly(), clientv3.WithLimit(keysAtATime))
		if err != nil {
			return nil, fmt.Errorf("reading the keys of the embedded etcd: %w", err)
		}
		for _, kv := range answer.Kvs {
			if key := string(kv.Key); !strings.Contains(key, "/events/") && !strings.Contains(key, "/leases/") {
				keys[key] = true
			}
		}
		if !answer.More {
			return keys, nil
		}
		next = string(answer.Kvs[len(answer.Kvs)-1].Key) + "\x00"
	}
}

// reportLeft prints how the keys differ from those before. It waits for those that
// are removed later than the object they belong to; keys that stay are an error.
func (b *bench) reportLeft(ctx context.Context, before map[string]bool) error {
	if before == nil {
		b.logf("the keys in etcd cannot be read: leaving out whether some are left")
		return nil
	}
	var added, missing []string
	for patience := time.Now().Add(changeTimeout); ; {
		after, err := b.server.keys(ctx)
		if err != nil {
			return err
		}
		added, missing = without(after, before), without(before, after)
		if len(added)+len(missing) == 0 || time.Now().After(patience) {
			break
		}
		if err := crowd.Sleep(ctx, keysInterval); err != nil {
			return err
		}
	}
	b.report.add("churn_keys_left", float64(len(added)), unitCount)
	b.report.add("churn_keys_missing", float64(len(missing)), unitCount)
	for what, keys := range map[string][]string{"left": added, "missing": missing} {
		if len(keys) > 0 {
			b.logf("keys that are %s: %s", what, strings.Join(keys[:min(shownKeys, len(keys))], ", "))
		}
	}
	if len(added)+len(missing) > 0 {
		return fmt.Errorf("%d keys are left in etcd and %d are missing", len(added), len(missing))
	}
	return nil
}

// without returns the keys of a that are not in b, sorted.
func without(a, b map[string]bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(a)), func(key string) bool { return b[key] })
}
