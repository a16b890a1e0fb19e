package operator

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/event"
	"github.com/annex-dev/annex/client/queue"
)

// eventWriting writes what is told to a recorder.
type eventWriting struct {
	recorder *event.Recorder
	waiting  workqueue.TypedRateLimitingInterface[client.Key]
}

// newEventWriting records from now on: what is told before the manager runs is written then.
func newEventWriting(recorder *event.Recorder, component string) *eventWriting {
	w := &eventWriting{recorder, queue.New("events-"+component, queue.NewLimiter[client.Key](), func(key client.Key) logicalcluster.Name { return key.Cluster })}
	recorder.Use(func(key client.Key, after time.Duration) { w.waiting.AddAfter(key, after) })
	return w
}

// run writes until ctx ends.
func (w *eventWriting) run(ctx context.Context) error {
	var done sync.WaitGroup
	done.Go(func() {
		for {
			key, ended := w.waiting.Get()
			if ended {
				return
			}
			w.recorder.Write(ctx, key)
			w.waiting.Done(key)
		}
	})
	<-ctx.Done()
	w.recorder.Use(nil)
	w.waiting.ShutDown()
	done.Wait()
	return nil
}

// eventWriter is the client that writes Events, by the endpoint that leads to their cluster.
type eventWriter struct {
	client.Client // the other methods are not called
	fleet         *fleet
}

// Create implements client.Writer.
func (w eventWriter) Create(ctx context.Context, gr schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error) {
	e, err := w.fleet.at(cluster)
	if err != nil {
		return nil, err
	}
	return e.typed.Create(ctx, gr, cluster, obj)
}

// Update implements client.Writer.
func (w eventWriter) Update(ctx context.Context, gr schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error) {
	e, err := w.fleet.at(cluster)
	if err != nil {
		return nil, err
	}
	return e.typed.Update(ctx, gr, cluster, obj)
}

// Get implements client.Reader.
func (w eventWriter) Get(ctx context.Context, gr schema.GroupResource, key client.Key) (client.Object, error) {
	e, err := w.fleet.at(key.Cluster)
	if err != nil {
		return nil, err
	}
	return e.typed.Get(ctx, gr, key)
}
