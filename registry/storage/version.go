package storage

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
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
		e.Prefix, e.Stored, layout.EncryptedVersion)
}

// CheckVersion returns nil if this program can use the data under prefix, in the main etcd and in those that are elsewhere. Otherwise it
// returns a *VersionError, or a *PlacementError. Data without a version is of the first one, as all releases wrote that had none. The
// version is stored then, by the first of several processes.
func CheckVersion(ctx context.Context, client *kubernetes.Client, prefix string, elsewhere []Elsewhere) error {
	_, err := placing{main: client, prefix: cmp.Or(prefix, DefaultPrefix), others: elsewhere}.settle(ctx)
	return err
}

// RaiseVersion checks the data, as CheckVersion does, and gives it the version of this program. Older data is good data of this version,
// but once this program has written, an older release must not use it any more. It also decides what is elsewhere, if nothing is stored
// of that yet. If it refuses the data, it has written nothing.
func RaiseVersion(ctx context.Context, client *kubernetes.Client, prefix string, elsewhere []Elsewhere) error {
	return raiseVersion(ctx, client, prefix, elsewhere, layout.Version)
}

// RaiseVersionToEncrypt does the same for a server that may encrypt: an older release takes what is encrypted for damaged, and would
// delete it together with its namespace without regard to its finalizers.
func RaiseVersionToEncrypt(ctx context.Context, client *kubernetes.Client, prefix string, elsewhere []Elsewhere) error {
	return raiseVersion(ctx, client, prefix, elsewhere, layout.EncryptedVersion)
}

func raiseVersion(ctx context.Context, client *kubernetes.Client, prefix string, elsewhere []Elsewhere, least int) error {
	p := placing{main: client, prefix: cmp.Or(prefix, DefaultPrefix), others: elsewhere}
	key := p.prefix + layout.VersionKey
	if len(elsewhere) > 0 {
		least = max(least, layout.ApartVersion)
	}
	version, err := p.settle(ctx)
	if err != nil {
		return err
	}
	for version < least {
		if _, err := client.KV.Txn(ctx).If(clientv3.Compare(clientv3.Value(key), "=", strconv.Itoa(version))).
			Then(clientv3.OpPut(key, strconv.Itoa(least))).Commit(); err != nil {
			return fmt.Errorf("raising the version of the data in etcd: %w", err)
		}
		if version, _, err = checkVersion(ctx, client, p.prefix); err != nil {
			return err
		}
	}
	if len(elsewhere) == 0 {
		return nil
	}
	p.decides = true
	_, err = p.settle(ctx)
	return err
}

// checkVersion returns the version of the data, and what is stored of other etcds.
func checkVersion(ctx context.Context, client *kubernetes.Client, prefix string) (version int, places []*mvccpb.KeyValue, err error) {
	stored, places, err := storedVersion(ctx, client, prefix)
	if err != nil {
		return 0, nil, fmt.Errorf("reading the version of the data in etcd: %w", err)
	}
	version, err = parseVersion(prefix, stored)
	return version, places, err
}

func parseVersion(prefix, stored string) (int, error) {
	version, err := strconv.Atoi(stored)
	if err != nil || version < layout.FirstVersion || version > layout.EncryptedVersion || stored != strconv.Itoa(version) {
		return 0, &VersionError{Prefix: prefix, Stored: strconv.Quote(stored)}
	}
	return version, nil
}

// storedVersion returns what is stored as the version, after it has stored the first one if there was none, and what is stored of other
// etcds.
func storedVersion(ctx context.Context, client *kubernetes.Client, prefix string) (version string, places []*mvccpb.KeyValue, err error) {
	key := prefix + layout.VersionKey
	// A full etcd refuses a transaction that might write.
	found, err := client.KV.Txn(ctx).Then(clientv3.OpGet(key), clientv3.OpGet(prefix+layout.EtcdsKey)).Commit()
	if err != nil {
		return "", nil, err
	}
	places = found.Responses[1].GetResponseRange().Kvs
	if kvs := found.Responses[0].GetResponseRange().Kvs; len(kvs) == 1 {
		return string(kvs[0].Value), places, nil
	}
	first := strconv.Itoa(layout.FirstVersion)
	response, err := client.KV.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, first)).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return "", nil, err
	}
	if !response.Succeeded {
		if kvs := response.Responses[0].GetResponseRange().Kvs; len(kvs) == 1 {
			return string(kvs[0].Value), places, nil
		}
	}
	return first, places, nil
}
