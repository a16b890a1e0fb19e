package install

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/dynamic"

	hostframework "github.com/annex-dev/annex/test/framework/host"
)

var databases = schema.GroupVersionResource{Group: "postgresql.example.com", Version: "v1", Resource: "databases"}

// team is a consumer's workspace, which its user reaches through the host.
type team struct {
	t      *testing.T
	client dynamic.ResourceInterface
	// acknowledged are the objects of which the server said that they are stored.
	mu           sync.Mutex
	acknowledged map[string]types.UID
}

func newTeam(t *testing.T, u *hostframework.User, workspace string) *team {
	t.Helper()
	client, err := dynamic.NewForConfig(u.Config(workspace))
	if err != nil {
		t.Fatal(err)
	}
	return &team{t: t, client: client.Resource(databases).Namespace("default"), acknowledged: map[string]types.UID{}}
}

// create makes a Database, again and again while the server is away.
func (c *team) create(name string) {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": databases.GroupVersion().String(), "kind": "Database", "metadata": map[string]any{"name": name},
	}}
	if err := eventually(c.t.Context(), func(ctx context.Context) error {
		made, err := c.client.Create(ctx, obj, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil // a crash took the answer away
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.acknowledged[name] = made.GetUID()
		return nil
	}); err != nil {
		c.t.Errorf("creating %s: %v", name, err)
	}
}

// ready waits until the Databases by these names, and no others, are there and are Ready.
func (c *team) ready(names ...string) {
	c.t.Helper()
	if err := eventually(c.t.Context(), func(ctx context.Context) error {
		list, err := c.client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		found := sets.New[string]()
		for i := range list.Items {
			obj := &list.Items[i]
			found.Insert(obj.GetName())
			conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
			if !slices.ContainsFunc(conditions, func(c any) bool {
				condition, _ := c.(map[string]any)
				return condition["type"] == "Ready" && condition["status"] == string(metav1.ConditionTrue) && condition["observedGeneration"] == obj.GetGeneration()
			}) {
				return fmt.Errorf("the Database %s is %v", obj.GetName(), conditions)
			}
			if uid, known := c.acknowledged[obj.GetName()]; known && uid != obj.GetUID() {
				c.t.Errorf("the Database %s is not the one that was stored", obj.GetName())
			}
		}
		if want := sets.New(names...); !found.Equal(want) {
			return fmt.Errorf("there are the Databases %v, want %v", sets.List(found), sets.List(want))
		}
		return nil
	}); err != nil {
		c.t.Fatalf("%v\n%s", err, installed.node.Describe())
	}
}

// operatorPods are the pods of an operator with their restarts: they stay the same if nothing ends them.
func operatorPods(t *testing.T, namespace string) map[string]int32 {
	t.Helper()
	pods, err := installed.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	restarts := map[string]int32{}
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp != nil {
			continue // of an earlier test
		}
		for _, status := range pods.Items[i].Status.ContainerStatuses {
			restarts[pods.Items[i].Name] += status.RestartCount
		}
	}
	return restarts
}

// The server is killed twice while an operator works through the host: while Databases are made, and while half of them are deleted. The
// operator, whose Lease is on the host, goes on in the same process, and in the end there is exactly what the users asked for.
func crashWhileOperating(t *testing.T, teams ...*team) {
	const each = 6
	var all, rest []string
	for n := range each {
		name := fmt.Sprintf("crash-%d", n)
		all = append(all, name)
		if n >= each/2 {
			rest = append(rest, name)
		}
	}
	before := operatorPods(t, "database-operator")
	// during kills the server in the middle of what do does for each name in each workspace.
	during := func(names []string, do func(c *team, name string)) {
		t.Helper()
		var work sync.WaitGroup
		half := make(chan struct{}, len(teams))
		for _, c := range teams {
			work.Go(func() {
				for i, name := range names {
					if i == len(names)/2 {
						half <- struct{}{}
					}
					do(c, name)
				}
			})
		}
		<-half
		if err := installed.node.Kill(namespace, release+"-0", "annex"); err != nil {
			t.Error(err)
		}
		work.Wait()
	}
	during(all, func(c *team, name string) { c.create(name) })
	for _, c := range teams {
		c.ready(all...)
	}
	during(all[:each/2], func(c *team, name string) {
		if err := eventually(t.Context(), func(ctx context.Context) error {
			err := c.client.Delete(ctx, name, metav1.DeleteOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		}); err != nil {
			t.Errorf("deleting %s: %v", name, err)
		}
	})
	for _, c := range teams {
		c.ready(rest...)
	}
	if made := installed.postgres.Ask(t, "SELECT datname FROM pg_database WHERE starts_with(datname, 'db_crash_')"); len(made) != len(teams)*len(rest) {
		t.Errorf("PostgreSQL has the databases %v, want %d", made, len(teams)*len(rest))
	}
	if after := operatorPods(t, "database-operator"); len(before) == 0 || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the pods of the operator and their restarts are %v, were %v\n%s", after, before, installed.node.Describe())
	}
	if !strings.Contains(installed.node.Describe(), release+"-0 annex: running") {
		t.Error("the server does not run") // or the oracle has looked at nothing
	}
}
