package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/annex-dev/annex/registry/storage/layout"
)

// PlacementError says that the etcds are not those that have the data.
type PlacementError struct{ text string }

// Error implements error. It is one line for the operator.
func (e *PlacementError) Error() string { return e.text }

func misplaced(format string, args ...any) error {
	return &PlacementError{"--etcd-servers-overrides: " + fmt.Sprintf(format, args...)}
}

// placement is what every etcd of an installation that has several stores at layout.EtcdsKey.
type placement struct {
	// Installation is the same in all of them.
	Installation string `json:"installation"`
	// Etcd tells the others apart. The main one has none.
	Etcd string `json:"etcd,omitempty"`
	// Elsewhere says in which of the others a root is. Only the main one has it.
	Elsewhere map[string]string `json:"elsewhere,omitempty"`
}

// parsePlacement returns what is stored; nil if nothing is.
func parsePlacement(stored []*mvccpb.KeyValue) (*placement, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	p := &placement{}
	if err := json.Unmarshal(stored[0].Value, p); err != nil || p.Installation == "" {
		return nil, misplaced("what is stored at %s cannot be read: %q", stored[0].Key, stored[0].Value)
	}
	return p, nil
}

// placing checks, or decides, which etcd has what.
type placing struct {
	main   *kubernetes.Client
	prefix string
	others []Elsewhere
	// decides is whether what is not decided yet is decided and stored.
	decides bool
}

func at(client *kubernetes.Client) string {
	return "the etcd at " + strings.Join(client.Endpoints(), ", ")
}

// settle returns the version of the data after the check. What several processes decide at a time is checked again.
func (p placing) settle(ctx context.Context) (int, error) {
	version, stored, err := checkVersion(ctx, p.main, p.prefix)
	for err == nil {
		done, fault := p.check(ctx, stored)
		if done {
			return version, nil
		}
		before := revisionOf(stored)
		if version, stored, err = checkVersion(ctx, p.main, p.prefix); err == nil && fault != nil && revisionOf(stored) == before {
			return 0, fault
		}
	}
	return 0, err
}

// revisionOf returns the revision of what is stored at a key; 0 for nothing.
func revisionOf(stored []*mvccpb.KeyValue) int64 {
	for _, kv := range stored {
		return kv.ModRevision
	}
	return 0
}

// check compares the configuration with what is stored in the main etcd, which stored is, and in the others. It is false if another
// process has decided something meanwhile.
func (p placing) check(ctx context.Context, stored []*mvccpb.KeyValue) (bool, error) {
	main, err := parsePlacement(stored)
	if err != nil {
		return false, err
	}
	switch {
	case main == nil && len(p.others) == 0:
		return true, nil
	case main != nil && main.Etcd != "":
		return false, misplaced("%s has only a part of the data: name another one with --etcd-servers", at(p.main))
	case len(p.others) == 0 && len(main.Elsewhere) > 0:
		return false, misplaced("must be set, because %s are not in %s", namesOf(slices.Collect(maps.Keys(main.Elsewhere))), at(p.main))
	}
	next := placement{Installation: string(uuid.NewUUID()), Elsewhere: map[string]string{}}
	if main != nil {
		next.Installation = main.Installation
		maps.Copy(next.Elsewhere, main.Elsewhere)
	}
	if main == nil && p.decides {
		// The others must not get an ID that the main etcd does not have.
		return false, p.store(ctx, stored, next)
	}
	holders := map[string]*kubernetes.Client{"": p.main}
	wanted := map[string]string{}
	for i, other := range p.others {
		id, ok, err := p.identify(ctx, other.Client, next.Installation, i)
		if err != nil || !ok {
			return false, err
		}
		if twin, ok := holders[id]; ok {
			return false, misplaced("%s and %s are the same", at(twin), at(other.Client))
		}
		holders[id] = other.Client
		for _, root := range other.Roots {
			wanted[root] = id
		}
	}
	moved := false
	for _, root := range slices.Sorted(maps.Keys(both(wanted, next.Elsewhere))) {
		if wanted[root] == next.Elsewhere[root] {
			continue
		}
		if err := p.movable(ctx, root, holders[next.Elsewhere[root]]); err != nil {
			return false, err
		}
		moved = true
	}
	if !moved || !p.decides {
		return true, nil
	}
	next.Elsewhere = wanted
	return false, p.store(ctx, stored, next)
}

// both returns a map with the keys of both.
func both(one, other map[string]string) map[string]string {
	all := maps.Clone(one)
	maps.Copy(all, other)
	return all
}

// namesOf returns the names of roots in a sentence.
func namesOf(roots []string) string {
	all := make([]string, len(roots))
	for i, root := range roots {
		all[i] = overrideName(root)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// store stores the placement of the main etcd if it has not changed.
func (p placing) store(ctx context.Context, before []*mvccpb.KeyValue, next placement) error {
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	key := p.prefix + layout.EtcdsKey
	if _, err = p.main.KV.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revisionOf(before))).Then(clientv3.OpPut(key, string(value))).Commit(); err != nil {
		return fmt.Errorf("storing which etcd has what: %w", err)
	}
	return nil
}

// identify returns the ID of one of the others. An empty etcd gets one; false if it has got one from another process.
func (p placing) identify(ctx context.Context, client *kubernetes.Client, installation string, number int) (string, bool, error) {
	key := p.prefix + layout.EtcdsKey
	resp, err := client.KV.Txn(ctx).Then(clientv3.OpGet(key), clientv3.OpGet(p.prefix+layout.VersionKey),
		clientv3.OpGet(p.prefix+"/", clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())).Commit()
	if err != nil {
		return "", false, fmt.Errorf("reading which data is in %s: %w", at(client), err)
	}
	its, err := parsePlacement(resp.Responses[0].GetResponseRange().Kvs)
	if err != nil {
		return "", false, err
	}
	version := resp.Responses[1].GetResponseRange().Kvs
	switch {
	case its == nil && len(resp.Responses[2].GetResponseRange().Kvs) > 0:
		return "", false, misplaced("%s has data below %s that does not belong to this installation", at(client), p.prefix)
	case its == nil && !p.decides:
		return "new-" + strconv.Itoa(number), true, nil
	case its == nil:
		value, err := json.Marshal(placement{Installation: installation, Etcd: string(uuid.NewUUID())})
		if err != nil {
			return "", false, err
		}
		if _, err = client.KV.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, string(value)), clientv3.OpPut(p.prefix+layout.VersionKey, strconv.Itoa(layout.ApartVersion))).Commit(); err != nil {
			return "", false, fmt.Errorf("storing which data is in %s: %w", at(client), err)
		}
		return "", false, nil
	case its.Installation != installation:
		return "", false, misplaced("%s belongs to another installation than %s", at(client), at(p.main))
	case its.Etcd == "":
		return "", false, misplaced("%s is the one of --etcd-servers", at(client))
	case len(version) == 0:
		return "", false, misplaced("%s has no version of its data: restore a backup", at(client))
	}
	_, err = parseVersion(p.prefix, string(version[0].Value))
	return its.Etcd, true, err
}

// movable returns an error unless holder has nothing below root.
func (p placing) movable(ctx context.Context, root string, holder *kubernetes.Client) error {
	if holder == nil {
		return misplaced("%s is in another etcd than any that is named: name that one", overrideName(root))
	}
	found, err := holder.KV.Get(ctx, p.prefix+root+"/", clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil {
		return fmt.Errorf("reading what is stored of %s: %w", overrideName(root), err)
	}
	if len(found.Kvs) > 0 {
		return misplaced("%s has objects in %s, which nobody would see any more: objects cannot be moved to another etcd", overrideName(root), at(holder))
	}
	return nil
}
