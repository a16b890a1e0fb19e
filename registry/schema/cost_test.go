package schema

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/annex-dev/annex/registry/catalog"
)

// TestHandlers_StartNothingOfTheirOwn says that a schema in use costs memory, but neither goroutines nor caches.
func TestHandlers_StartNothingOfTheirOwn(t *testing.T) {
	s := newServer(t, nil)
	request := func(i int) {
		crd := definition(t, widgetsA)
		crd.Spec.Names.ShortNames = []string{fmt.Sprintf("w%d", i)}
		s.serve("c1", catalog.LocalBucket, crd)
		s.must(http.StatusOK, "GET", "c1"+widgets, "", "")
	}
	request(0)
	before := runtime.NumGoroutine()
	const schemas = 40
	for i := range schemas {
		request(i + 1)
	}
	if s.handlers.Len() != schemas+1 {
		t.Fatalf("%d handlers", s.handlers.Len())
	}
	// Those of the requests end soon.
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return runtime.NumGoroutine() <= before+schemas/4, nil
	}); err != nil {
		t.Errorf("%d goroutines more for %d schemas", runtime.NumGoroutine()-before, schemas)
	}
}

// BenchmarkHandlers_FirstRequest measures what a schema costs when it is first used.
func BenchmarkHandlers_FirstRequest(b *testing.B) {
	s := newServer(b, nil)
	i := 0
	for b.Loop() {
		i++
		crd := definition(b, widgetsA)
		crd.Spec.Names.ShortNames = []string{fmt.Sprintf("w%d", i)}
		s.serve("c1", catalog.LocalBucket, crd)
		s.must(http.StatusOK, "GET", "c1"+widgets, "", "")
	}
}
