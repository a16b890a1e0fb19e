package multicluster

import (
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// How long a key waits after an error: each time twice as long.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 1000 * time.Second
)

// newQueue returns the queue of a controller. Only the order of its keys differs from the queue of Kubernetes; see turns.
func newQueue(name string, limiter workqueue.TypedRateLimiter[client.Key]) workqueue.TypedRateLimitingInterface[client.Key] {
	ordered := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[client.Key]{Name: name, Queue: &turns{}})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[client.Key]{Name: name, Queue: ordered})
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[client.Key]{Name: name, DelayingQueue: delaying})
}

// newLimiter returns the limiter of a controller. It has no rate for all keys together, which one cluster could use up.
func newLimiter() workqueue.TypedRateLimiter[client.Key] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[client.Key](firstRetry, lastRetry)
}

// turns orders keys so that clusters take turns: a key waits for at most one key of each other cluster, and for those of its own
// that came before it. It implements workqueue.Queue, whose calls never overlap. It holds nothing for a cluster without keys.
type turns struct {
	// order contains each cluster that has keys once; the first is next.
	order []logicalcluster.Name
	keys  map[logicalcluster.Name][]client.Key
	total int
}

// Touch implements workqueue.Queue.
func (t *turns) Touch(client.Key) {}

// Push implements workqueue.Queue.
func (t *turns) Push(key client.Key) {
	if t.keys == nil {
		t.keys = map[logicalcluster.Name][]client.Key{}
	}
	if len(t.keys[key.Cluster]) == 0 {
		t.order = append(t.order, key.Cluster)
	}
	t.keys[key.Cluster] = append(t.keys[key.Cluster], key)
	t.total++
}

// Len implements workqueue.Queue.
func (t *turns) Len() int { return t.total }

// Pop implements workqueue.Queue.
func (t *turns) Pop() client.Key {
	cluster := t.order[0]
	t.order = t.order[1:]
	key := t.keys[cluster][0]
	if rest := t.keys[cluster][1:]; len(rest) > 0 {
		t.keys[cluster] = rest
		t.order = append(t.order, cluster)
	} else {
		delete(t.keys, cluster)
	}
	t.total--
	return key
}
