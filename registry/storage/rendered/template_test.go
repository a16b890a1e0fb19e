package rendered

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// What an object is made general from is what it renders to.
func TestGeneralize(t *testing.T) {
	k := layout.Key{Resource: configMaps, Cluster: "c1", Namespace: "default", Name: "of-alice"}
	const created = "2026-01-02T03:04:05Z"
	was := `{"metadata":{"name":"of-alice","namespace":"default","uid":"u","creationTimestamp":"` + created + `","annotations":{"path":"root:a \"b\""},
		"managedFields":[{"time":"` + created + `","manager":"annex"}]},"cluster":"c1","list":["c1","alice",1,null,true],"text":"alice and c1","empty":""}`
	its := []string{"root:a \"b\"", "alice", "of-alice"}
	o, err := Generalize(k, []byte(was), its)
	if err != nil {
		t.Fatal(err)
	}
	template := &Template{Objects: []Object{o}}
	name, data, err := template.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if template, err = decodeTemplate(name, data); err != nil {
		t.Fatal(err)
	}
	render := func(cluster logicalcluster.Name, strings ...string) (layout.Key, map[string]any) {
		at, err := time.Parse(time.RFC3339, created)
		if err != nil {
			t.Fatal(err)
		}
		i := &instance{template: template, values: values{cluster: cluster, uid: "lc-uid", created: at, values: strings}}
		kv := (&Client{prefix: prefix}).render(i, &template.Objects[0])
		var content map[string]any
		if err := json.Unmarshal(kv.Value, &content); err != nil {
			t.Fatalf("%v\n%s", err, kv.Value)
		}
		k, err := layout.Parse(string(kv.Key[len(prefix):]))
		if err != nil {
			t.Fatal(err)
		}
		return k, content
	}
	key, got := render("c1", its...)
	var want map[string]any
	if err := json.Unmarshal([]byte(was), &want); err != nil {
		t.Fatal(err)
	}
	want["metadata"].(map[string]any)["uid"] = got["metadata"].(map[string]any)["uid"]
	if key != k || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v %v, want %v %v", key, got, k, want)
	}
	key, got = render("c2", "root:b", "bob\n", "of-bob")
	if key.Cluster != "c2" || key.Name != "of-bob" || fmt.Sprint(got["list"]) != "[c2 bob\n 1 <nil> true]" {
		t.Errorf("got %v %v", key, got)
	}
}

func TestTemplate_Encode(t *testing.T) {
	good := body(namespaces, "", "default", `"x":"`+SlotValue(0)+`"`)
	for name, objects := range map[string][]Object{
		"twice":       {good, good},
		"no JSON":     {{Resource: "namespaces", Name: "default", Body: "{"}},
		"wrong slot":  {{Resource: "namespaces", Name: "default", Body: `{"x":"` + SlotValue(MaxValues) + `"}`}},
		"wrong name":  {{Resource: "namespaces", Name: "a/b/c", Body: `{}`}},
		"open slot":   {{Resource: "namespaces", Name: "default", Body: `{"x":"` + slotMark + `"}`}},
		"no resource": {{Name: "default", Body: `{}`}},
	} {
		if _, _, err := (&Template{Objects: objects}).Encode(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	name, data, err := (&Template{Objects: []Object{good}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeTemplate(name, []byte(strings.Replace(string(data), "default", "other", 1))); err == nil {
		t.Error("a changed template is read")
	}
}

// namesOf returns the names of the templates that are stored.
func (c *Client) namesOf(t *testing.T) map[string]bool {
	resp, err := c.kv.Get(t.Context(), prefix+TemplateRoot, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, kv := range resp.Kvs {
		names[strings.TrimPrefix(string(kv.Key), prefix+TemplateRoot)] = true
	}
	return names
}

// A template goes when nothing is made from it, and not before. A LogicalCluster whose template is gone cannot be created.
func TestCollect(t *testing.T) {
	s, c := rendering(t)
	ctx := t.Context()
	lc := func(uid string) string {
		return fmt.Sprintf(`{"metadata":{"name":"cluster","uid":%q,"creationTimestamp":"2026-01-01T00:00:00Z","annotations":{}}}`, uid)
	}
	if err := s.make(ctx, lc("1"), "c1", Made{Values: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	unused, err := c.PutTemplate(ctx, &Template{Objects: basic.Objects[:1]})
	if err != nil {
		t.Fatal(err)
	}
	// Clusters are created meanwhile, too.
	since, err := c.markUsed(ctx, map[string]bool{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.make(ctx, lc("3"), "c3", Made{Values: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{unused: true}
	maps.Copy(all, c.namesOf(t))
	if _, err := c.markUsed(ctx, all, since); err != nil || len(all) != 1 || !all[unused] {
		t.Errorf("unused are %v, %v; want %s", all, err, unused)
	}
	if err := s.remove(ctx, "c3"); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Collect(ctx); n != 1 || err != nil {
		t.Errorf("%d templates went, %v; want 1", n, err)
	}
	if c.Holds(unused) {
		t.Error("a template that went is in memory")
	}
	made := strings.Replace(lc("2"), `"annotations":{`, `"annotations":{"`+Annotation+`":"{\"template\":\"`+unused+`\"}"`, 1)
	if err := put(ctx, c, clusterPath("c2"), made); err == nil {
		t.Error("a cluster is made from a template that is gone")
	}
	if err := s.make(ctx, lc("2"), "c2", Made{Values: []string{"a", "b"}}); err != nil {
		t.Error(err)
	}
	for _, cluster := range []logicalcluster.Name{"c1", "c2"} {
		if err := s.remove(ctx, cluster); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.Collect(ctx); n != 1 || err != nil {
		t.Errorf("%d templates went, %v; want 1", n, err)
	}
	left, err := c.kv.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil || len(left.Kvs) > 0 {
		t.Errorf("%v, %v are left", left.Kvs, err)
	}
}

// A damaged LogicalCluster, or one whose template is damaged or gone, hides only what is rendered in its own cluster.
func TestClient_Damage(t *testing.T) {
	s, c := rendering(t)
	ctx := t.Context()
	lc := `{"metadata":{"name":"cluster","uid":"1","creationTimestamp":"2026-01-01T00:00:00Z","annotations":{}}}`
	if err := s.make(ctx, lc, "good", Made{Values: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	from := func(template string) string {
		return strings.Replace(lc, `"annotations":{`, `"annotations":{"`+Annotation+`":"{\"template\":\"`+template+`\"}"`, 1)
	}
	for key, value := range map[string]string{
		clusterPath("bad1"): "x", clusterPath("bad2"): from("missing"), clusterPath("bad3"): from("damaged"),
		clusterPath("bad4"):      strings.Replace(lc, `"annotations":{`, `"annotations":{"`+Annotation+`":"x"`, 1),
		c.templateKey("damaged"): "{}",
	} {
		if _, err := c.kv.Put(ctx, key, value); err != nil {
			t.Fatal(err)
		}
	}
	root := prefix + "/core/namespaces/"
	list, err := c.List(ctx, root, kubernetes.ListOptions{})
	if err != nil || len(list.Kvs) != 2 {
		t.Errorf("%d objects, %v; want those of the good cluster", len(list.Kvs), err)
	}
	watching, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), 30*time.Second)
	defer cancel()
	w := s.watch.Watch(watching, root, clientv3.WithPrefix(), clientv3.WithRev(1))
	if err := put(ctx, s, root+"system:admin/last", "{}"); err != nil {
		t.Fatal(err)
	}
	for events := 0; events < 3; {
		response, ok := <-w
		if !ok {
			t.Fatalf("the watch ended after %d events", events)
		}
		events += len(response.Events)
	}
}

// A cluster shows what it contained after its template was removed, as long as etcd has its revision.
func TestClient_TemplateOfThePast(t *testing.T) {
	s, c := rendering(t)
	ctx := t.Context()
	if err := s.make(ctx, `{"metadata":{"name":"cluster","uid":"1","annotations":{}}}`, "c1", Made{Values: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	was, err := c.List(ctx, prefix+"/core/namespaces/", kubernetes.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.remove(ctx, "c1"); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Collect(ctx); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	c.instances.Drop("c1")
	is, err := c.List(ctx, prefix+"/core/namespaces/", kubernetes.ListOptions{Revision: was.Revision})
	if err != nil || len(is.Kvs) != len(was.Kvs) || len(is.Kvs) != 2 {
		t.Errorf("%v, %v; want %v", is.Kvs, err, was.Kvs)
	}
}

// What is recorded is not stored, and nothing else can be done meanwhile.
func TestClient_Find(t *testing.T) {
	s, c := rendering(t)
	ctx := t.Context()
	if err := s.make(ctx, `{"metadata":{"name":"cluster","uid":"1","annotations":{}}}`, "c1", Made{Values: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	list, err := c.List(ctx, prefix+"/core/namespaces/", kubernetes.ListOptions{})
	if err != nil || len(list.Kvs) != 2 {
		t.Fatal(list.Kvs, err)
	}
	for _, kv := range list.Kvs {
		key, data := strings.TrimPrefix(string(kv.Key), prefix), string(kv.Value)
		from, part := c.Find(key)
		if from == nil || string(from.Data(part)) != data || !strings.Contains(data, string(from.UID(part))) || from.Revision() != kv.ModRevision {
			t.Errorf("%s is made from %v", key, from)
		}
		for _, other := range []string{key + "x", strings.Replace(key, "c1", "c2", 1), "/core/secrets/c1/default/x", ""} {
			if from, _ := c.Find(other); from != nil {
				t.Errorf("%q is made from a template", other)
			}
		}
	}
}

func TestRecord(t *testing.T) {
	s, c := rendering(t)
	ctx, recording := Record(t.Context())
	key := prefix + "/core/namespaces/c1/default"
	if err := put(ctx, s, key, "{}"); err != nil {
		t.Fatal(err)
	}
	if got := recording.Objects(); len(got) != 1 || prefix+got[0].Key.String() != key || string(got[0].Value) != "{}" {
		t.Errorf("recorded %v", got)
	}
	if err := put(ctx, s, prefix+"/core/secrets/c1/default/x", "{}"); err == nil {
		t.Error("what cannot be in a template is recorded")
	}
	if resp, err := s.OptimisticPut(ctx, key, nil, 5, kubernetes.PutOptions{}); err == nil {
		t.Errorf("an update is recorded: %v", resp)
	}
	if resp, err := s.OptimisticDelete(ctx, key, 5, kubernetes.DeleteOptions{}); err == nil {
		t.Errorf("a deletion is recorded: %v", resp)
	}
	if got, err := c.Get(t.Context(), key, kubernetes.GetOptions{}); err != nil || got.KV != nil {
		t.Errorf("stored %v, %v", got.KV, err)
	}
}

// A watch that begins behind a revision in which several objects came or were deleted gets the events of that revision again, and no
// other watch does; also from a process that has not seen the revision.
func TestAgain(t *testing.T) {
	s, c := rendering(t)
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(t.Context()), 30*time.Second)
	defer cancel()
	root := prefix + "/core/namespaces/"
	w := s.watch.Watch(ctx, root, clientv3.WithPrefix(), clientv3.WithRev(1))
	// read returns n events, and the revision of the last.
	read := func(w clientv3.WatchChan, n int) (events []string, last int64) {
		for len(events) < n {
			response, ok := <-w
			if !ok {
				t.Fatalf("the watch ended after %v", events)
			}
			for _, e := range response.Events {
				events = append(events, fmt.Sprint(e.Type, " ", strings.TrimPrefix(string(e.Kv.Key), root)))
				last = e.Kv.ModRevision
			}
		}
		return events, last
	}
	if err := s.make(ctx, `{"metadata":{"name":"cluster","uid":"1","annotations":{}}}`, "c1", Made{Values: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	came, born := read(w, 2)
	if err := put(ctx, s, prefix+"/core/namespaces/c1/default", "{}"); err == nil {
		t.Error("what is rendered is created")
	}
	if resp, err := s.OptimisticPut(ctx, root+"c1/default", []byte("{}"), born, kubernetes.PutOptions{}); err != nil || !resp.Succeeded {
		t.Fatal(resp, err)
	}
	_, between := read(w, 1)
	if err := s.remove(ctx, "c1"); err != nil {
		t.Fatal(err)
	}
	went, died := read(w, 3) // the first was stored, too, and is deleted twice
	if err := put(ctx, s, prefix+"/core/namespaces/system:admin/last", "{}"); err != nil {
		t.Fatal(err)
	}
	_, last := read(w, 1)

	fresh := New(Config{KV: c.kv, Prefix: prefix, Resources: []schema.GroupResource{namespaces, crbs, configMaps}, Bytes: 1 << 20})
	for name, c := range map[string]*Client{"remembers": c, "does not remember": fresh} {
		for revision, want := range map[int64]string{
			born - 1: "[]", born: fmt.Sprint(came), between: "[]", died: "[DELETE c1/default DELETE c1/kube-system]", last: "[]", last + 100: "[]",
		} {
			events, err := c.Again(ctx, root, revision, c != fresh)
			got := make([]string, 0, len(events))
			for _, e := range events {
				got = append(got, fmt.Sprint(e.Type, " ", strings.TrimPrefix(string(e.Kv.Key), root)))
			}
			if fmt.Sprint(got) != want || err != nil {
				t.Errorf("a process that %s: revision %d: %v, %v; want %s", name, revision, got, err, want)
			}
		}
		if events, err := c.Again(ctx, prefix+"/core/secrets/", born, false); len(events) > 0 || err != nil {
			t.Errorf("of another resource: %v, %v", events, err)
		}
	}
	again, _ := read(s.watch.Watch(ctx, root, clientv3.WithPrefix(), clientv3.WithRev(born+1)), 3)
	if want := fmt.Sprint(append(came, "PUT c1/default")); fmt.Sprint(again) != want {
		t.Errorf("a watch behind the first revision: %v, want %s", again, want)
	}
	again, _ = read(s.watch.Watch(ctx, root, clientv3.WithPrefix(), clientv3.WithRev(died+1)), 3)
	if !strings.HasPrefix(fmt.Sprint(again), "[DELETE c1/default DELETE c1/kube-system") {
		t.Errorf("a watch behind the last revision: %v after %v", again, went)
	}

	var all turns
	for revision := range int64(turnsKept + 10) {
		all.add(revision+1, turn{})
	}
	if _, known := all.at(5, true); known || len(all.of) != turnsKept || len(all.order) != turnsKept {
		t.Errorf("%d turns are remembered, and it is known what was forgotten: %t", len(all.of), known)
	}
}

// All objects have UIDs of their own, which stay the same.
func TestUID(t *testing.T) {
	var uids []string
	for _, cluster := range []logicalcluster.Name{"c1", "c2"} {
		for i := range basic.Objects {
			v := values{cluster: cluster, uid: "lc", values: []string{"a", "b"}}
			uid := basic.Objects[i].uid(v)
			if uid != basic.Objects[i].uid(v) || slices.Contains(uids, uid) {
				t.Errorf("%s of %s: UID %s", basic.Objects[i].Name, cluster, uid)
			}
			uids = append(uids, uid)
		}
	}
}
