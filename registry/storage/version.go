package storage

import (
	"cmp"
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
	return fmt.Sprintf("the data in etcd under %s has version %s, but this release of annex reads versions up to %d: run the release that wrote the data, or restore a backup from before the upgrade",
		e.Prefix, e.Stored, layout.Version)
}

// CheckVersion returns nil if this program can use the data under prefix, or a *VersionError. Data without a version is of the first
// one, as all releases wrote that had none. The version is stored then, by the first of several processes.
func CheckVersion(ctx context.Context, client *kubernetes.Client, prefix string) error {
	_, err := checkVersion(ctx, client, cmp.Or(prefix, DefaultPrefix))
	return err
}

// checkVersion returns the version of the data.
func checkVersion(ctx context.Context, client *kubernetes.Client, prefix string) (int, error) {
	stored, err := storedVersion(ctx, client, prefix+layout.VersionKey)
	if err != nil {
		return 0, fmt.Errorf("reading the version of the data in etcd: %w", err)
	}
	version, err := strconv.Atoi(stored)
	if err != nil || version < layout.FirstVersion || version > layout.Version || stored != strconv.Itoa(version) {
		return 0, &VersionError{Prefix: prefix, Stored: strconv.Quote(stored)}
	}
	return version, nil
}

// RaiseVersion checks the data, as CheckVersion does, and gives it the version of this program. Older data is good data of this version,
// but once this program has written, an older release must not use it any more.
func RaiseVersion(ctx context.Context, client *kubernetes.Client, prefix string) error {
	prefix = cmp.Or(prefix, DefaultPrefix)
	key := prefix + layout.VersionKey
	for {
		version, err := checkVersion(ctx, client, prefix)
		if err != nil || version == layout.Version {
			return err
		}
		response, err := client.KV.Txn(ctx).If(clientv3.Compare(clientv3.Value(key), "=", strconv.Itoa(version))).
			Then(clientv3.OpPut(key, strconv.Itoa(layout.Version))).Commit()
		if err != nil {
			return fmt.Errorf("raising the version of the data in etcd: %w", err)
		}
		if response.Succeeded {
			return nil
		}
	}
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
