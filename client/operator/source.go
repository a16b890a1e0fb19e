package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/informer"
)

// Handler says what to reconcile after an event. Those of controller-runtime's package handler that are typed can be used, for example
// handler.TypedEnqueueRequestsFromMapFunc.
type Handler = handler.TypedEventHandler[ctrlclient.Object, Request]

// feed is the source of the events of one kind in all clusters.
type feed struct {
	fleet      *fleet
	informer   *informer.Informer
	handler    Handler
	predicates []predicate.Predicate
}

var _ source.TypedSyncingSource[Request] = &feed{}

const (
	// few is how many requests may wait before what was there at the start is added: a change does not wait behind all of it.
	few      = 128
	interval = 10 * time.Millisecond
	// patience is the pause before an endpoint that does not serve a kind is looked at again.
	patience = 250 * time.Millisecond
)

// Start implements source.TypedSource.
func (s *feed) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[Request]) error {
	s.informer.Add(ctx, &informer.Handler{
		Listed:  func(_ context.Context, keys []client.Key) { go s.show(ctx, keys, queue) },
		Changed: func(_ context.Context, change informer.Change) { s.handle(ctx, change, queue) },
	})
	return nil
}

// show adds what a server has, a little at a time.
func (s *feed) show(ctx context.Context, keys []client.Key, queue workqueue.TypedRateLimitingInterface[Request]) {
	for _, key := range keys {
		for queue.Len() >= few {
			select {
			case <-ctx.Done():
				return
			case <-time.After(interval):
			}
		}
		// If it is gone meanwhile, the handler has heard of that.
		if obj := s.informer.Get(key); obj != nil {
			s.create(ctx, event.CreateEvent{Object: obj, IsInInitialList: true}, queue)
		}
	}
}

// WaitForSync implements source.TypedSyncingSource: it tries until ctx ends, for a kind may be served later than its endpoint.
func (s *feed) WaitForSync(ctx context.Context) error {
	for {
		err := s.fleet.wait(ctx, s.informer)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(patience):
		}
	}
}

// String names the source in messages.
func (s *feed) String() string { return fmt.Sprintf("all clusters: %s", s.informer) }

func (s *feed) create(ctx context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[Request]) {
	for _, p := range s.predicates {
		if !p.Create(e) {
			return
		}
	}
	s.handler.Create(ctx, e, queue)
}

func (s *feed) handle(ctx context.Context, change informer.Change, queue workqueue.TypedRateLimitingInterface[Request]) {
	switch {
	case change.Old == nil:
		s.create(ctx, event.CreateEvent{Object: change.New}, queue)
	case change.New == nil:
		e := event.DeleteEvent{Object: change.Old}
		for _, p := range s.predicates {
			if !p.Delete(e) {
				return
			}
		}
		s.handler.Delete(ctx, e, queue)
	default:
		e := event.UpdateEvent{ObjectOld: change.Old, ObjectNew: change.New}
		for _, p := range s.predicates {
			if !p.Update(e) {
				return
			}
		}
		s.handler.Update(ctx, e, queue)
	}
}
