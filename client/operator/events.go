package operator

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/event"
	"github.com/annex-dev/annex/client/queue"
)

// writeEvents writes what is told to a recorder until ctx ends.
func writeEvents(ctx context.Context, recorder *event.Recorder, component string) error {
	waiting := queue.New("events-"+component, queue.NewLimiter[client.Key](), func(key client.Key) logicalcluster.Name { return key.Cluster })
	var done sync.WaitGroup
	done.Go(func() {
		for {
			key, ended := waiting.Get()
			if ended {
				return
			}
			recorder.Write(ctx, key)
			waiting.Done(key)
		}
	})
	recorder.Feed(ctx, func(key client.Key, after time.Duration) { waiting.AddAfter(key, after) })
	waiting.ShutDown()
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
