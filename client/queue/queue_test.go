package queue

import (
	"fmt"
	"slices"
	"testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

func clusterOf(key client.Key) logicalcluster.Name { return key.Cluster }

func TestQueue_ClustersTakeTurns(t *testing.T) {
	queue := New("", NewLimiter[client.Key](), clusterOf)
	defer queue.ShutDown()
	add := func(cluster logicalcluster.Name, from, to int) {
		for i := from; i < to; i++ {
			queue.Add(client.Key{Cluster: cluster, Name: fmt.Sprint(i)})
		}
	}
	var got []string
	take := func(n int) {
		for range n {
			key, _ := queue.Get()
			queue.Done(key)
			got = append(got, key.String())
		}
	}
	add("busy", 0, 500)
	take(2)
	add("quiet", 0, 2)
	add("third", 0, 1)
	take(6)
	want := []string{"busy|0", "busy|1", "busy|2", "quiet|0", "third|0", "busy|3", "quiet|1", "busy|4"}
	if !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
	take(queue.Len())
	seen := map[string]bool{}
	for _, key := range got {
		seen[key] = true
	}
	if len(got) != 503 || len(seen) != 503 {
		t.Errorf("%d keys were taken, %d different ones, want 503", len(got), len(seen))
	}
}

func TestTurns_KeepNothingOfAClusterWithoutKeys(t *testing.T) {
	q := turns[client.Key]{clusterOf: clusterOf}
	for i := range 1000 {
		q.Push(client.Key{Cluster: logicalcluster.Name(fmt.Sprint(i)), Name: "a"})
	}
	for q.Len() > 0 {
		q.Pop()
	}
	if len(q.keys) != 0 || len(q.order) != 0 {
		t.Errorf("%d clusters and %d turns are left", len(q.keys), len(q.order))
	}
}
