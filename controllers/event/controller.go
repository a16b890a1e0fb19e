package event

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/event"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// Component reports all Events of the server.
	Component = "annex"
	workers   = 2
)

var _ multicluster.Recorder = &event.Recorder{}

// New returns the recorder of the server, which writes with c while Spec runs.
func New(c client.Client) *event.Recorder { return event.New(c, Component) }

// Spec describes the controller that writes what is told to recorder.
func Spec(recorder *event.Recorder) multicluster.Spec {
	return multicluster.Spec{
		Name: "event", Workers: workers,
		Feeds: []func(context.Context, func(client.Key, time.Duration)){recorder.Feed},
		Reconcile: func(ctx context.Context, key client.Key) (reconcile.Result, error) {
			recorder.Write(ctx, key)
			return reconcile.Result{}, nil
		},
	}
}
