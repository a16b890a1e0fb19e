package owners

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// pair is a main etcd, and another one with custom resources and configmaps.
type pair struct {
	*house        // of the other one
	main   *house // of the one that has the owners
	steps  int    // transactions of both
	at     int    // the step before which do is called; 0 for none
	do     func()
}

// stepping calls do before a transaction.
type stepping struct {
	clientv3.KV
	pair *pair
}

func (s stepping) Txn(ctx context.Context) clientv3.Txn {
	if s.pair.steps++; s.pair.steps == s.pair.at {
		s.pair.do()
	}
	return s.KV.Txn(ctx)
}

// newPair empties both etcds and makes the owners.
func newPair(t *testing.T, main, other *kubernetes.Client) *pair {
	t.Helper()
	p := &pair{main: newHouse(t, main), house: newHouse(t, other)}
	p.main.KV = stepping{main.KV, p}
	p.Home, p.Cached, p.KV = p.main.Client, nil, stepping{other.KV, p}
	p.main.Elsewhere = []*Client{p.Client}
	for _, k := range []layout.Key{clusterKey, namespaceKey, definitionKey, bindingKey} {
		p.main.known[k] = p.main.store(k, "uid", false)
	}
	return p
}

// keys returns all keys of the other etcd, without the prefix.
func (p *pair) keys() []string {
	p.t.Helper()
	resp, err := p.etcd.KV.Get(p.t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		p.t.Fatal(err)
	}
	var keys []string
	for _, kv := range resp.Kvs {
		keys = append(keys, strings.TrimPrefix(string(kv.Key), prefix))
	}
	return keys
}

// sweep does what another process does that deletes what belongs to owners, and reports whether it finds k.
func (p *pair) sweep(k layout.Key) bool {
	p.t.Helper()
	main := New(Config{Interface: p.main.etcd.Kubernetes, KV: p.main.etcd.KV, Prefix: prefix, Cached: func(context.Context, layout.Key) (Seen, bool) { return Seen{}, false }})
	other := New(Config{Interface: p.etcd.Kubernetes, KV: p.etcd.KV, Prefix: prefix, Home: main})
	if err := other.Shut(p.t.Context(), "c1", "", func(k layout.Key) bool {
		all := []owner{{key: k}}
		if err := main.read(p.t.Context(), all); err != nil {
			p.t.Fatal(err)
		}
		return all[0].revision != 0 && !all[0].deleting && all[0].leaving == ""
	}); err != nil {
		p.t.Fatal(err)
	}
	return p.has(k)
}

func TestGate_Costs(t *testing.T) {
	p := newPair(t, runEtcd(t), runEtcd(t))
	_, revisions, err := p.put(local(t.Context()), widgetKey)
	if err != nil || revisions != 4 || p.steps != 6 {
		t.Errorf("the first create costs %d revisions and %d transactions: %v", revisions, p.steps, err)
	}
	another := widgetKey
	another.Name = "another"
	if _, revisions, err := p.put(local(t.Context()), another); err != nil || revisions != 1 || p.steps != 7 {
		t.Errorf("the next one costs %d revisions and %d transactions: %v", revisions, p.steps-6, err)
	}
	for _, k := range []layout.Key{clusterKey, namespaceKey, definitionKey} {
		if !p.has(GateKey(k)) {
			t.Errorf("%s has no gate", k)
		}
		if owner, ok := OwnerOf(GateKey(k)); !ok || owner != k {
			t.Errorf("the gate of %s is the one of %s", k, owner)
		}
	}
	// What is retired there is read with what serves it in the main etcd.
	if err := p.Retire(t.Context(), widgetKey, "v1", Retirement{Of: Definitions.String(), Name: definitionKey.Name, Revision: 1 << 40}); err != nil || !p.has(RetiredKey(widgetKey, "v1")) {
		t.Errorf("retiring a version: %v", err)
	}
	late := widgetKey
	late.Name = "late"
	if _, _, err := p.put(local(t.Context()), late); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("the definition does not list the version, and it is used: %v", err)
	}
	if err := p.Leave(t.Context(), "c1"); err != nil {
		t.Error(err)
	}
	if keys := p.keys(); len(keys) != 2 {
		t.Errorf("%v are left", keys)
	}
}

// An owner goes before any of the transactions of a create. What is created is there when the deletion looks for it, or never.
func TestGate_OwnersGoAtAnyTime(t *testing.T) {
	main, other := runEtcd(t), runEtcd(t)
	for name, tc := range map[string]struct {
		created layout.Key
		owner   layout.Key
		in      func(context.Context) context.Context
	}{
		"LogicalCluster":           {widgetKey, clusterKey, local},
		"Namespace":                {widgetKey, namespaceKey, local},
		"CustomResourceDefinition": {widgetKey, definitionKey, local},
		"APIBinding":               {boundKey, bindingKey, bound},
	} {
		events := map[string]func(p *pair){
			"its deletion begins": func(p *pair) { p.main.store(tc.owner, "uid", true) },
			"it goes":             func(p *pair) { p.main.remove(tc.owner) },
		}
		if tc.owner == bindingKey {
			events["its resource leaves"] = func(p *pair) { p.main.storeLeaving("gadgets.example.com,widgets.example.com") }
		}
		for event, do := range events {
			for _, warm := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, warm %t", name, event, warm), func(t *testing.T) {
					refused := 0
					for at := 1; ; at++ {
						p := newPair(t, main, other)
						if warm {
							first := tc.created
							first.Name = "first"
							if _, _, err := p.put(tc.in(t.Context()), first); err != nil {
								t.Fatal(err)
							}
						}
						swept := false
						p.steps, p.at = 0, at
						p.do = func() { do(p); swept = p.sweep(tc.created) }
						resp, _, err := p.put(tc.in(t.Context()), tc.created)
						if p.steps < at { // it has ended before
							if refused == 0 || err != nil {
								t.Errorf("refused %d times, at last %v", refused, err)
							}
							return
						}
						if is := p.has(tc.created); is != swept || is != (err == nil && resp.Succeeded) {
							t.Errorf("before step %d: the deletion found it: %t, it is there: %t, the answer: %v", at, swept, is, err)
						}
						if err != nil {
							refused++
						}
						if err != nil && p.has(GateKey(tc.owner)) {
							t.Errorf("before step %d: the gate of what is not there stays", at)
						}
					}
				})
			}
		}
	}
}

// What does not exist gets no gate, and another object of the same name is not the owner.
func TestGate_OfNothing(t *testing.T) {
	p := newPair(t, runEtcd(t), runEtcd(t))
	p.main.remove(namespaceKey)
	if _, revisions, err := p.put(local(t.Context()), widgetKey); !apierrors.IsNotFound(err) || len(p.keys()) > 0 {
		t.Errorf("got %v after %d revisions, and %v are there", err, revisions, p.keys())
	}
	p.main.known[namespaceKey] = p.main.store(namespaceKey, "uid", false)
	p.main.store(definitionKey, "other", false)
	if _, _, err := p.put(local(t.Context()), widgetKey); !isNotServed(err) || len(p.keys()) > 0 {
		t.Errorf("got %v, and %v are there", err, p.keys())
	}
}

// The write that begins a deletion, or ends it, shuts the gates before it is answered.
func TestGate_IsShutByTheDeletion(t *testing.T) {
	p := newPair(t, runEtcd(t), runEtcd(t))
	write := func(value string) {
		t.Helper()
		resp, err := p.main.OptimisticPut(t.Context(), p.path(namespaceKey), []byte(value), p.main.revision(namespaceKey), kubernetes.PutOptions{})
		if err != nil || !resp.Succeeded {
			t.Fatal(resp, err)
		}
	}
	has := func() bool { return slices.Contains(p.keys(), GateKey(namespaceKey).String()) }
	if _, _, err := p.put(local(t.Context()), widgetKey); err != nil {
		t.Fatal(err)
	}
	if write(`{"metadata":{"uid":"uid","labels":{"a":"b"}}}`); !has() {
		t.Error("a change has shut the gate")
	}
	if write(`{"metadata":{"uid":"uid","deletionTimestamp":"2026-01-01T00:00:00Z"}}`); has() {
		t.Error("the begin of the deletion leaves the gate open")
	}
	p.main.store(namespaceKey, "uid", false)
	p.main.known[namespaceKey] = p.main.revision(namespaceKey)
	another := widgetKey
	another.Name = "another"
	if _, _, err := p.put(local(t.Context()), another); err != nil || !has() {
		t.Fatal(err)
	}
	if p.main.delete(namespaceKey); has() {
		t.Error("the end of the deletion leaves the gate open")
	}
}

// Limits hold in each etcd by itself.
func TestGate_Limits(t *testing.T) {
	main, other := runEtcd(t), runEtcd(t)
	p := newPair(t, main, other)
	p.main.Limits, p.main.Stored = limits.Limits{Objects: 5}, p.main.count
	p.Limits, p.Stored = p.main.Limits, p.count
	for i := range 2 {
		if err := p.main.create(configMap(fmt.Sprint(i)), 10); err != nil {
			t.Fatal(err) // the namespace, the definition and the binding count, too
		}
	}
	if err := p.main.create(configMap("more"), 10); !apierrors.IsForbidden(err) {
		t.Errorf("the main etcd takes more: %v", err)
	}
	for i := range 5 {
		if err := p.create(configMap(fmt.Sprint(i)), 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.create(configMap("more"), 10); !apierrors.IsForbidden(err) {
		t.Errorf("the other etcd takes more: %v", err)
	}
	p.delete(configMap("0"))
	if err := p.create(configMap("more"), 10); err != nil {
		t.Errorf("there is room: %v", err)
	}
	if err := p.Leave(t.Context(), "c1"); err != nil || p.has(MeterKey("c1")) {
		t.Errorf("the meter stays: %v", err)
	}
}
