package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/index"
)

// empty is a cluster in which nothing exists, which is known once synced is closed.
type empty struct {
	client.Reader
	synced chan struct{}
}

// Watch implements client.Reader.
func (e empty) Watch(ctx context.Context, _ schema.GroupResource, handle func(client.Event)) error {
	handle(client.Event{Type: client.Reset})
	select {
	case <-e.synced:
		handle(client.Event{Type: client.Synced})
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

func TestRunController_BeginsWhenPathsAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := empty{synced: make(chan struct{})}
		s := &Server{
			Index: index.New(index.Config{
				Paths: index.NewPaths(), Cached: storage,
				Switched: func(context.Context, logicalcluster.Name) {}, Gone: func(logicalcluster.Name) {},
			}),
			bootstrapped: make(chan struct{}),
		}
		go func() { _ = s.Index.Run(t.Context()) }()
		stop, begun, ended := make(chan struct{}), false, false
		go func() {
			s.runController(t.Context(), "name", stop, func(ctx context.Context) error {
				begun = true
				<-ctx.Done()
				return nil
			})
			ended = true
		}()
		step := func(what string, wantBegun, wantEnded bool) {
			t.Helper()
			synctest.Wait()
			if begun != wantBegun || ended != wantEnded {
				t.Fatalf("%s: begun %t, ended %t, want %t and %t", what, begun, ended, wantBegun, wantEnded)
			}
		}
		step("before the bootstrap", false, false)
		close(s.bootstrapped)
		step("before paths are known", false, false)
		close(storage.synced)
		time.Sleep(bootstrapInterval)
		step("with paths", true, false)
		close(stop)
		step("after the stop", true, true)
	})
}

func TestRunController_StopsBeforeItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Index: index.New(index.Config{Paths: index.NewPaths()}), bootstrapped: make(chan struct{})}
		stop := make(chan struct{})
		close(stop)
		s.runController(t.Context(), "name", stop, func(context.Context) error {
			t.Error("the controller runs")
			return nil
		})
	})
}
