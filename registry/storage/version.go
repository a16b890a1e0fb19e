package storage

import (
	"context"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"

	"github.com/annex-dev/annex/registry/storage/layout"
)

// VersionError says that this program must not use the data in etcd.
type VersionError struct {
	// Prefix is where the data is, Stored what is there in place of the version that this program knows.
	Prefix, Stored string
}

// Error implements error. It is one line for the operator.
func (e *VersionError) Error() string {
	return fmt.Sprintf("the data in etcd under %s has version %s, but this release of annex reads version %d only: run the release that wrote the data, or restore a backup from before the upgrade",
		e.Prefix, e.Stored, layout.Version)
}

// CheckVersion returns nil if the data under prefix has the version of this program, or a *VersionError. Data without a version is of
// the first one, as all releases wrote that had none. The version is stored then, by the first of several processes.
func CheckVersion(ctx context.Context, client *kubernetes.Client, prefix string) error {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	stored, err := storedVersion(ctx, client, prefix+layout.VersionKey)
	if err != nil {
		return fmt.Errorf("reading the version of the data in etcd: %w", err)
	}
	if stored != strconv.Itoa(layout.Version) {
		return &VersionError{Prefix: prefix, Stored: strconv.Quote(stored)}
	}
	return nil
}

// storedVersion returns what is stored as the version, after it has stored the first one if there was none.
func storedVersion(ctx context.Context, client *kubernetes.Client, key string) (string, error) {
	// A full etcd refuses a transaction that might write.
	found, err := client.KV.Get(ctx, key)
	if err != nil {
		return "", err
	}
	if len(found.Kvs) == 1 {
		return string(found.Kvs[0].Value), nil
	}
	first := strconv.Itoa(layout.FirstVersion)
	response, err := client.KV.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, first)).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return "", err
	}
	if !response.Succeeded {
		if kvs := response.Responses[0].GetResponseRange().Kvs; len(kvs) == 1 {
			return string(kvs[0].Value), nil
		}
	}
	return first, nil
}
