package queue

import (
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// How long a key waits after an error: each time twice as long.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 1000 * time.Second
)

// New returns a queue of keys that clusters take turns in. The name is that of the controller, in metrics.
func New[K comparable](name string, limiter workqueue.TypedRateLimiter[K], clusterOf func(K) logicalcluster.Name) workqueue.TypedRateLimitingInterface[K] {
	ordered := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[K]{Name: name, Queue: &turns[K]{clusterOf: clusterOf}})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[K]{Name: name, Queue: ordered})
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[K]{Name: name, DelayingQueue: delaying})
}

// NewLimiter returns the limiter of a controller. It has no rate for all keys together, which one cluster could use up.
func NewLimiter[K comparable]() workqueue.TypedRateLimiter[K] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[K](firstRetry, lastRetry)
}

// turns orders keys so that clusters take turns: a key waits for at most one key of each other cluster, and for those of its own
// that came before it. It implements workqueue.Queue, whose calls never overlap. It holds nothing for a cluster without keys.
type turns[K comparable] struct {
	clusterOf func(K) logicalcluster.Name
	// order contains each cluster that has keys once; the first is next.
	order []logicalcluster.Name
	keys  map[logicalcluster.Name][]K
	total int
}

// Touch implements workqueue.Queue.
func (t *turns[K]) Touch(K) {}

// Push implements workqueue.Queue.
func (t *turns[K]) Push(key K) {
	if t.keys == nil {
		t.keys = map[logicalcluster.Name][]K{}
	}
	cluster := t.clusterOf(key)
	if len(t.keys[cluster]) == 0 {
		t.order = append(t.order, cluster)
	}
	t.keys[cluster] = append(t.keys[cluster], key)
	t.total++
}

// Len implements workqueue.Queue.
func (t *turns[K]) Len() int { return t.total }

// Pop implements workqueue.Queue.
func (t *turns[K]) Pop() K {
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
